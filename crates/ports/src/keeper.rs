//! The keeper: a small process that keeps what the relay, having given up root, could not.
//!
//! It holds the attached programs, attaches them to interfaces that appear later, and looks out for
//! ports of an ssh daemon and for translation of addresses. It reads nothing from the network. When
//! the process that started it ends, however it ends, it ends too, and the kernel detaches the
//! programs. It runs as the user who started it, with no more than four of root's capabilities.
#![allow(unsafe_code)]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::net::if_::if_nameindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setsid};

use crate::rules::Rules;
use crate::steer::{Hook, Reason, Steering};
use crate::{nat, never};

/// How often it looks for new interfaces and for translation.
const LOOK: Duration = Duration::from_secs(1);
/// At every how manieth of these looks it goes through all processes for ssh daemons.
const SSH: u32 = 3;
/// `CAP_DAC_READ_SEARCH` and `CAP_SYS_PTRACE`, to see which process has which socket;
/// `CAP_NET_ADMIN` and `CAP_BPF`, to attach programs and to see rules of translation.
const NEEDED: u64 = 1 << 2 | 1 << 19 | 1 << 12 | 1 << 39;
/// What it says when it holds everything.
const READY: &str = "ready";

/// A keeper at work. When this is dropped, it ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Pid,
    /// Closed, it tells the keeper to end.
    line: Option<UnixStream>,
}

impl Keeper {
    /// Starts one that attaches the program; returns when it is attached everywhere.
    ///
    /// What is open in this process stays open in the keeper, so sockets come later.
    pub(crate) fn start(
        hook: Hook,
        steering: &mut Steering,
        rules: &Rules,
    ) -> Result<Self, Reason> {
        let plain = |error: std::io::Error| error.to_string();
        let (ours, theirs) = UnixStream::pair().map_err(plain)?;
        // SAFETY: the child runs only `keep`, which takes no lock that another thread of this process
        // may hold at this moment: it talks to the kernel, and allocates, which both glibc and musl
        // make possible after a fork. It leaves by `_exit`.
        match unsafe { fork() }.map_err(|error| error.to_string())? {
            ForkResult::Child => {
                drop(ours);
                // Signals of a terminal are not for it.
                let _ = setsid();
                let _ = give_up_all_but(NEEDED);
                keep(hook, steering, rules, theirs);
                // SAFETY: ends the process without running anything that belongs to its parent.
                unsafe { nix::libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                drop(theirs);
                let mut said = String::new();
                let keeper = Self { process: child, line: Some(ours.try_clone().map_err(plain)?) };
                BufReader::new(ours).read_line(&mut said).map_err(plain)?;
                match said.trim() {
                    READY => Ok(keeper),
                    "" => Err("its keeper ended at once".to_owned()),
                    reason => Err(reason.to_owned()),
                }
            }
        }
    }

    /// Whether it is still there.
    pub(crate) fn lives(&self) -> bool {
        matches!(
            waitpid(self.process, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)
        )
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.line = None;
        while waitpid(self.process, None) == Err(Errno::EINTR) {}
    }
}

/// The keeper's life.
fn keep(hook: Hook, steering: &mut Steering, rules: &Rules, mut line: UnixStream) {
    let mut known = HashSet::new();
    let mut ssh = never::Watch::default();
    let mut attached = steering.attach_to_namespace();
    if hook == Hook::Tcx {
        attached = attached.and_then(|()| attach_to_new(steering, &mut known));
    }
    let mut looks = 0_u32;
    let mut look = || {
        if looks.is_multiple_of(SSH) {
            ssh.look(rules);
        }
        looks = looks.wrapping_add(1);
        if hook == Hook::Tcx {
            rules.work_at(if nat::translates() { Hook::SkLookup } else { Hook::Tcx });
        }
    };
    look();
    let said = match &attached {
        Ok(()) => writeln!(line, "{READY}"),
        Err(reason) => writeln!(line, "{reason}"),
    };
    if attached.is_err() || said.is_err() {
        return;
    }
    while !closed(&line, LOOK) {
        if hook == Hook::Tcx {
            // An interface that was gone before it could be attached to is no failure.
            let _ = attach_to_new(steering, &mut known);
        }
        look();
    }
}

/// Attaches to every interface that is not in `known`; fails if there is one that refuses.
fn attach_to_new(steering: &mut Steering, known: &mut HashSet<u32>) -> Result<(), Reason> {
    let interfaces = if_nameindex().map_err(|error| format!("listing interfaces: {error}"))?;
    let mut result = Ok(());
    let mut present = HashSet::new();
    for interface in &interfaces {
        present.insert(interface.index());
        if known.contains(&interface.index()) {
            continue;
        }
        let name = interface.name().to_string_lossy();
        match steering.attach_to_interface(&name) {
            Ok(()) => {
                known.insert(interface.index());
            }
            Err(reason) => result = Err(format!("{name}: {reason}")),
        }
    }
    known.retain(|index| present.contains(index));
    result
}

/// Keeps, of what it is allowed to do, these capabilities(7) alone.
fn give_up_all_but(capabilities: u64) -> nix::Result<()> {
    // _LINUX_CAPABILITY_VERSION_3, and this process.
    let mut header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: `capget` reads a header and writes two structs of three numbers each, as `sets` has.
    let got = unsafe {
        nix::libc::syscall(nix::libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr())
    };
    Errno::result(got)?;
    // Effective, permitted, inheritable, of the lower and then of the upper capabilities.
    for (half, sets) in sets.chunks_exact_mut(3).enumerate() {
        let keep = u32::try_from(capabilities >> (32 * half) & 0xffff_ffff).unwrap_or(0);
        sets[1] &= keep;
        sets[0] = sets[1];
        sets[2] = 0;
    }
    // SAFETY: `capset` reads what `capget` wrote.
    let set =
        unsafe { nix::libc::syscall(nix::libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()) };
    Errno::result(set).map(|_| ())
}

/// Waits that long; or until the other end is closed, and then says so.
fn closed(line: &UnixStream, wait: Duration) -> bool {
    let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
    let mut polled = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
    match poll(&mut polled, timeout) {
        Ok(0) | Err(Errno::EINTR) => false,
        // Nobody ever writes there, so this is the end.
        _ => true,
    }
}
