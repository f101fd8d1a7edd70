//! The BPF programs: loading them, and giving them our sockets.

use std::os::fd::AsRawFd;

use aya::maps::{Map, SockMap};
use aya::programs::links::LinkOrder;
use aya::programs::tc::TcAttachOptions;
use aya::programs::{SchedClassifier, SkLookup, TcAttachType};
use aya::{Ebpf, EbpfLoader};

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

use crate::anchor::Anchors;
use crate::rules::Rules;

/// Made by `bpf/build` from `bpf/steer.bpf.c`.
#[repr(align(8))]
struct Aligned<T: ?Sized>(T);
static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!("../bpf/steer.bpf.o"));

/// Where the kernel asks us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hook {
    /// At every packet, before it is known whose it is.
    Tcx,
    /// When a socket is looked for.
    SkLookup,
}

/// Programs that are loaded and attached nowhere yet.
#[derive(Debug)]
pub(crate) struct Steering {
    ebpf: Ebpf,
}

/// Why not, in the words of the kernel.
pub(crate) type Reason = String;

impl Steering {
    /// The program of this hook, and of those that may have to stand in for it. Needs `CAP_BPF` and
    /// `CAP_NET_ADMIN`.
    pub(crate) fn load(hook: Hook) -> Result<(Self, Rules), Reason> {
        // Kernels before 5.11 count a program against this limit.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        // The kernel's own types are not needed; reading them would take 16 MB.
        let mut ebpf = EbpfLoader::new().btf(None).load(&OBJECT.0).map_err(|error| {
            let reason = chain(error);
            let forbidden = reason.contains("Operation not permitted");
            if forbidden { format!("needs root ({reason})") } else { reason }
        })?;
        if hook == Hook::Tcx {
            classifier(&mut ebpf)?.load().map_err(chain)?;
        }
        lookup(&mut ebpf)?.load().map_err(chain)?;
        let Some(Map::Array(rules)) = ebpf.map("rules") else {
            return Err("the BPF object has no rules".to_owned());
        };
        let rules = Rules::map(rules.fd()).map_err(|error| format!("sharing memory: {error}"))?;
        rules.work_at(hook);
        Ok((Self { ebpf }, rules))
    }

    /// From now on the program may hand packets to these.
    pub(crate) fn to(&mut self, anchors: &Anchors) -> Result<(), Reason> {
        let sockets = self.ebpf.map_mut("sockets").ok_or("the BPF object has no sockets")?;
        let mut sockets = SockMap::try_from(sockets).map_err(chain)?;
        let ours = [
            Some(anchors.tcp4.as_raw_fd()),
            anchors.udp4.as_ref().map(AsRawFd::as_raw_fd),
            anchors.tcp6.as_ref().map(AsRawFd::as_raw_fd),
            anchors.udp6.as_ref().map(AsRawFd::as_raw_fd),
        ];
        for (slot, socket) in (0..).zip(ours) {
            if let Some(socket) = socket {
                sockets.set(slot, &socket, 0).map_err(chain)?;
            }
        }
        Ok(())
    }

    /// Attaches to an interface, for as long as this process lives or the interface does.
    pub(crate) fn attach_to_interface(&mut self, name: &str) -> Result<(), Reason> {
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        classifier(&mut self.ebpf)?
            .attach_with_options(name, TcAttachType::Ingress, order)
            .map(|_| ())
            .map_err(|error| format!("tcx, which came with Linux 6.6: {}", chain(error)))
    }

    /// Attaches to the network namespace of this thread, for as long as this process lives.
    pub(crate) fn attach_to_namespace(&mut self) -> Result<(), Reason> {
        let here = std::fs::File::open("/proc/thread-self/ns/net").map_err(chain)?;
        lookup(&mut self.ebpf)?.attach(here).map(|_| ()).map_err(chain)
    }
}

fn classifier(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, Reason> {
    let program = ebpf.program_mut("at_ingress").ok_or("the BPF object has no at_ingress")?;
    program.try_into().map_err(chain)
}

fn lookup(ebpf: &mut Ebpf) -> Result<&mut SkLookup, Reason> {
    let program = ebpf.program_mut("at_lookup").ok_or("the BPF object has no at_lookup")?;
    program.try_into().map_err(chain)
}

/// An error with what caused it, on one line.
#[allow(clippy::needless_pass_by_value)] // for map_err
fn chain<E: std::error::Error>(error: E) -> Reason {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    // The verifier says much, and what matters last.
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
