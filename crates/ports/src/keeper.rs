//! The keeper: a small process that keeps what the relay, having given up root, could not.
//!
//! It holds what steers, has it follow what changes on the machine, and looks out for ports of an ssh
//! daemon. It reads nothing from the network. When the process that started it ends, however it ends,
//! it ends too, and nothing is steered any more. It runs as the user who started it, with no more than
//! four of root's capabilities.
#![allow(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setsid};

use crate::anchor::Anchors;
use crate::rules::Rules;
use crate::steer::{Reason, Steering};
use crate::{capabilities, never};

/// How often it has a look at what has changed by itself.
const LOOK: Duration = Duration::from_secs(1);
/// How often it goes through all processes for ssh daemons.
const SSH: Duration = Duration::from_secs(3);
/// How long somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// `CAP_DAC_READ_SEARCH` and `CAP_SYS_PTRACE`, to see which process has which socket;
/// `CAP_NET_ADMIN` and `CAP_BPF`, to attach programs, to have rules and to see those of others. As a
/// service it has the latter two alone, and knows an ssh daemon's ports from its settings.
const NEEDED: u64 = 1 << 2 | 1 << 19 | 1 << 12 | 1 << 39;
/// What it says when it steers.
const READY: &str = "ready";
/// What it says when it has looked because it was asked to.
const DONE: u8 = b'.';
const FAILED: u8 = b'!';

/// Gives the system what loading programs has needed and nobody needs any more: a C library keeps it
/// for later, and after a fork it would be kept twice.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it looks at what is free, under the allocator's own lock.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// A keeper at work. When this is dropped, it ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Pid,
    /// Closed, it tells the keeper to end.
    line: Option<UnixStream>,
}

impl Keeper {
    /// Starts one that attaches what steers; returns when it is at work.
    ///
    /// What is open in this process stays open in the keeper, but for the anchors: with our process,
    /// our sockets are to go.
    pub(crate) fn start(
        steering: Box<dyn Steering>,
        rules: &Rules,
        anchors: Anchors,
    ) -> Result<(Self, Anchors), Reason> {
        let plain = |error: io::Error| error.to_string();
        let (ours, theirs) = UnixStream::pair().map_err(plain)?;
        give_memory_back();
        // SAFETY: the child runs only `keep`, which takes no lock that another thread of this process
        // may hold at this moment: it talks to the kernel, and allocates, which both glibc and musl
        // make possible after a fork. It leaves by `_exit`.
        match unsafe { fork() }.map_err(|error| error.to_string())? {
            ForkResult::Child => {
                drop((ours, anchors));
                // Signals of a terminal are not for it.
                let _ = setsid();
                let _ = capabilities::keep_only(NEEDED);
                keep(steering, rules, theirs);
                // SAFETY: ends the process without running anything that belongs to its parent.
                unsafe { nix::libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                drop(theirs);
                let mut said = String::new();
                let line = ours.try_clone().map_err(plain)?;
                let keeper = Self { process: child, line: Some(line) };
                BufReader::new(&ours).read_line(&mut said).map_err(plain)?;
                ours.set_read_timeout(Some(PATIENCE)).map_err(plain)?;
                match said.trim() {
                    READY => Ok((keeper, anchors)),
                    "" => Err("its keeper ended at once".to_owned()),
                    reason => Err(reason.to_owned()),
                }
            }
        }
    }

    /// Has it follow the rules now, and waits until it has; at most [`PATIENCE`].
    pub(crate) fn follow(&self) -> io::Result<()> {
        let Some(mut line) = self.line.as_ref() else { return Ok(()) };
        // What it said too late the last time.
        line.set_nonblocking(true)?;
        while line.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        line.set_nonblocking(false)?;
        line.write_all(&[DONE])?;
        let mut said = [0];
        let late = |_| io::Error::other("the process that holds the ports does not answer");
        line.read_exact(&mut said).map_err(late)?;
        match said {
            [DONE] => Ok(()),
            _ => Err(io::Error::other("nftables refuse to have other ports")),
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
fn keep(mut steering: Box<dyn Steering>, rules: &Rules, mut line: UnixStream) {
    let mut ssh = never::Watch::default();
    ssh.look(rules);
    let mut ssh_at = Instant::now();
    let said = match steering.attach().and_then(|()| steering.look(rules)) {
        Ok(()) => writeln!(line, "{READY}"),
        Err(reason) => return drop(writeln!(line, "{reason}")),
    };
    if said.is_err() {
        return;
    }
    while let Some(asked) = wait(&mut line, LOOK) {
        if ssh_at.elapsed() >= SSH {
            ssh.look(rules);
            ssh_at = Instant::now();
        }
        let looked = steering.look(rules);
        let answer = if looked.is_ok() { DONE } else { FAILED };
        if asked && line.write_all(&[answer]).is_err() {
            return;
        }
    }
}

/// Waits that long, or until somebody asks; tells whether somebody did, or nothing when the other end
/// is closed.
fn wait(line: &mut UnixStream, time: Duration) -> Option<bool> {
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    let mut polled = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
    match poll(&mut polled, timeout) {
        Ok(0) | Err(Errno::EINTR) => Some(false),
        _ => line.read(&mut [0]).is_ok_and(|read| read > 0).then_some(true),
    }
}
