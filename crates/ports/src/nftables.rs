//! The kernel's nftables, spoken to as the `nft` command does, which need not be installed.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt::SndBuf,
};

use crate::netlink::{self, Attributes, messages};

/// What there is: the number of the message that makes one; those after it ask for it and delete it.
pub(crate) const TABLE: u16 = 0;
pub(crate) const CHAIN: u16 = 3;
pub(crate) const RULE: u16 = 6;
pub(crate) const SET: u16 = 9;
pub(crate) const ELEMENTS: u16 = 12;

/// `NFNL_SUBSYS_NFTABLES`, and as it stands in the kind of a message.
const NFTABLES: u8 = 10;
const KIND: u16 = 10 << 8;
/// `NFPROTO_INET`: IPv4 and IPv6.
const BOTH_FAMILIES: u8 = 1;
const ANY_FAMILY: u8 = 0;

/// What the kernel would not do.
#[derive(Debug)]
pub(crate) struct Refusal {
    what: &'static str,
    error: io::Error,
}

impl Refusal {
    pub(crate) fn code(&self) -> Errno {
        Errno::from_raw(self.error.raw_os_error().unwrap_or_default())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Errno::EPERM => write!(f, "needs root (nftables: {})", self.error),
            _ => write!(f, "nftables refuses {}: {}", self.what, self.error),
        }
    }
}

/// A line to the nftables of the network namespace in which it was opened. A table with an owner goes
/// when its owner's line is closed.
#[derive(Debug)]
pub(crate) struct Netfilter(OwnedFd);

impl Netfilter {
    pub(crate) fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkNetFilter;
        let flags = SockFlag::SOCK_CLOEXEC;
        let line = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        // Room for a batch with thousands of ports; the system allows less than this.
        setsockopt(&line, SndBuf, &(1 << 20))?;
        Ok(Self(line))
    }

    /// The attributes of all tables, or all chains, of all families. Needs `CAP_NET_ADMIN`.
    pub(crate) fn list(&mut self, what: u16) -> Result<Vec<Vec<u8>>, Refusal> {
        self.read(what).map_err(|error| Refusal { what: "to tell what there is", error })
    }

    fn read(&mut self, what: u16) -> io::Result<Vec<Vec<u8>>> {
        let request = netlink::message(KIND | (what + 1), netlink::DUMP, 0, &header(ANY_FAMILY, 0));
        self.send(&request)?;
        let mut found = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            for message in messages(&buffer[..length]) {
                match message.kind {
                    netlink::DONE => return Ok(found),
                    netlink::ERROR => return message.result().map(|()| found),
                    kind if kind == KIND | what => {
                        found.extend(message.body.get(4..).map(<[u8]>::to_vec));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Does all of it at one moment; or nothing.
    pub(crate) fn commit(&mut self, batch: Batch) -> Result<(), Refusal> {
        let (bytes, steps) = batch.end();
        let what = |sequence: u32| {
            let step = usize::try_from(sequence).ok().and_then(|at| steps.get(at));
            step.copied().unwrap_or("all of it")
        };
        self.carry_out(&bytes, steps.len().saturating_sub(1))
            .map_err(|(sequence, error)| Refusal { what: what(sequence), error })
    }

    fn carry_out(&mut self, bytes: &[u8], last: usize) -> Result<(), (u32, io::Error)> {
        let plain = |error: io::Error| (u32::MAX, error);
        self.send(bytes).map_err(plain)?;
        let mut buffer = vec![0; 65_536];
        loop {
            // The kernel has answered when the call by which we asked returns.
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)
                .map_err(|error| plain(error.into()))?;
            for message in messages(&buffer[..length]).filter(|one| one.kind == netlink::ERROR) {
                message.result().map_err(|error| (message.sequence, error))?;
                if usize::try_from(message.sequence) == Ok(last) {
                    return Ok(());
                }
            }
        }
    }

    /// Asks, once nothing is left of what was answered before.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fd = self.0.as_raw_fd();
        while recv(fd, &mut [0; 64], MsgFlags::MSG_DONTWAIT).is_ok() {}
        sendto(fd, bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        Ok(())
    }
}

/// struct nfgenmsg.
fn header(family: u8, subsystem: u8) -> Vec<u8> {
    vec![family, 0, 0, subsystem]
}

/// Things to be done together, of the family `inet`.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// What each is, for whoever reads that it was refused; the first is the beginning.
    steps: Vec<&'static str>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        const BEGIN: u16 = 0x10;
        let bytes = netlink::message(BEGIN, 0, 0, &header(ANY_FAMILY, NFTABLES));
        Self { bytes, steps: vec!["all of it"] }
    }

    /// Makes one, after those of its kind that there are. `called` is what it is in an error.
    pub(crate) fn make(&mut self, what: u16, called: &'static str, attributes: &Attributes) {
        const CREATE_LAST: u16 = 0xc00; // NLM_F_CREATE | NLM_F_APPEND
        self.push(what, CREATE_LAST, called, attributes);
    }

    /// Deletes one, and all that is in it.
    pub(crate) fn delete(&mut self, what: u16, called: &'static str, attributes: &Attributes) {
        self.push(what + 2, 0, called, attributes);
    }

    fn push(&mut self, kind: u16, flags: u16, called: &'static str, attributes: &Attributes) {
        let sequence = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        let mut body = header(BOTH_FAMILIES, 0);
        body.extend(attributes.as_slice());
        let flags = flags | netlink::ACKNOWLEDGE;
        self.bytes.extend(netlink::message(KIND | kind, flags, sequence, &body));
        self.steps.push(called);
    }

    /// The messages, and what each of them is.
    fn end(mut self) -> (Vec<u8>, Vec<&'static str>) {
        const END: u16 = 0x11;
        self.bytes.extend(netlink::message(END, 0, 0, &header(ANY_FAMILY, NFTABLES)));
        (self.bytes, self.steps)
    }
}
