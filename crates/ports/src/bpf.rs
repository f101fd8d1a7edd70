//! Steering by BPF: loading the programs, giving them our sockets, attaching them.

use std::collections::HashSet;
use std::os::fd::AsRawFd;

use aya::maps::{Map, SockMap};
use aya::programs::links::LinkOrder;
use aya::programs::tc::TcAttachOptions;
use aya::programs::{SchedClassifier, SkLookup, TcAttachType};
use aya::{Ebpf, EbpfLoader};

use nix::net::if_::if_nameindex;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::geteuid;

use crate::anchor::Anchors;
use crate::nat;
use crate::rules::Rules;
use crate::steer::{Hook, Reason, Steering};

/// Made by `bpf/build` from `bpf/steer.bpf.c`.
#[repr(align(8))]
struct Aligned<T: ?Sized>(T);
static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!("../bpf/steer.bpf.o"));

/// Programs, which stay attached as long as this is there in some process.
#[derive(Debug)]
pub(crate) struct Bpf {
    hook: Hook,
    ebpf: Ebpf,
    /// The interfaces that have one.
    interfaces: HashSet<u32>,
}

impl Bpf {
    /// The program of this hook, and of those that may have to stand in for it. Needs `CAP_BPF` and
    /// `CAP_NET_ADMIN`.
    pub(crate) fn load(hook: Hook) -> Result<(Self, Rules), Reason> {
        // Kernels before 5.11 count a program against this limit.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        // The kernel's own types are not needed; reading them would take 16 MB.
        let mut ebpf = EbpfLoader::new().btf(None).load(&OBJECT.0).map_err(|error| {
            let reason = chain(error);
            match reason.contains("Operation not permitted") {
                true if geteuid().is_root() => {
                    "this machine forbids BPF even to root, as containers do".to_owned()
                }
                true => format!("needs root ({reason})"),
                false => reason,
            }
        })?;
        if hook == Hook::Tcx {
            classifier(&mut ebpf)?.load().map_err(chain)?;
        }
        lookup(&mut ebpf)?.load().map_err(chain)?;
        let Some(Map::Array(rules)) = ebpf.map("rules") else {
            return Err("the BPF object has no rules".to_owned());
        };
        let rules = Rules::map(rules.fd()).map_err(|error| format!("sharing memory: {error}"))?;
        rules.set_at_lookup(hook == Hook::SkLookup);
        Ok((Self { hook, ebpf, interfaces: HashSet::new() }, rules))
    }

    /// Attaches to every interface that has no program yet; fails if there is one that refuses.
    fn attach_to_new(&mut self) -> Result<(), Reason> {
        let interfaces = if_nameindex().map_err(|error| format!("listing interfaces: {error}"))?;
        let mut result = Ok(());
        let mut present = HashSet::new();
        for interface in &interfaces {
            present.insert(interface.index());
            if self.interfaces.contains(&interface.index()) {
                continue;
            }
            let name = interface.name().to_string_lossy();
            let order = TcAttachOptions::TcxOrder(LinkOrder::default());
            match classifier(&mut self.ebpf)?.attach_with_options(
                &name,
                TcAttachType::Ingress,
                order,
            ) {
                Ok(_) => {
                    self.interfaces.insert(interface.index());
                }
                Err(error) => {
                    let reason = chain(error);
                    result = Err(format!("{name}: tcx, which came with Linux 6.6: {reason}"));
                }
            }
        }
        self.interfaces.retain(|index| present.contains(index));
        result
    }
}

impl Steering for Bpf {
    fn to(&mut self, anchors: &Anchors) -> Result<(), Reason> {
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

    fn attach(&mut self) -> Result<(), Reason> {
        let here = std::fs::File::open("/proc/thread-self/ns/net").map_err(chain)?;
        lookup(&mut self.ebpf)?.attach(here).map(|_| ()).map_err(chain)?;
        if self.hook == Hook::Tcx { self.attach_to_new() } else { Ok(()) }
    }

    fn look(&mut self, rules: &Rules) -> Result<(), Reason> {
        if self.hook == Hook::Tcx {
            // An interface that was gone before it could be attached to is no failure.
            let _ = self.attach_to_new();
            rules.set_at_lookup(nat::translates());
        }
        Ok(())
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
    let place = |of: usize| line.char_indices().nth(of).map_or(line.len(), |(place, _)| place);
    match line.chars().count() {
        long @ 401.. => format!("{} ... {}", &line[..place(100)], &line[place(long - 300)..]),
        _ => line,
    }
}
