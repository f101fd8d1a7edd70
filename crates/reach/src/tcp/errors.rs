//! What the machine says of a dial, and what it means.

use std::net::SocketAddr;

use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};

use crate::verdict::Verdict;

/// A socket that does not block.
pub(super) fn open(to: SocketAddr) -> std::io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    Socket::new_raw(Domain::for_address(to), kind, Some(Protocol::TCP))
}

/// Whether the machine has no socket, port or memory left for now.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    let full = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| full.contains(&code) || code == libc::EAGAIN)
}

/// Why a dial, or a datagram, was refused, if it was.
pub(crate) fn refusal(error: &std::io::Error) -> Option<Verdict> {
    match error.raw_os_error()? {
        libc::ECONNREFUSED | libc::ECONNRESET => Some(Verdict::Refused),
        libc::ETIMEDOUT => Some(Verdict::Dropped),
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EACCES
        | libc::EPERM
        | libc::ENOPROTOOPT
        | libc::EHOSTDOWN
        | libc::ENONET => Some(Verdict::Unreachable),
        _ => None,
    }
}

/// Why a connection broke that had been accepted.
pub(crate) fn broken(error: &std::io::Error, after: u16) -> Verdict {
    match error.raw_os_error() {
        Some(libc::ETIMEDOUT) => Verdict::HandshakeOnly,
        Some(libc::EHOSTUNREACH | libc::ENETUNREACH) => Verdict::Unreachable,
        _ => Verdict::Reset { after },
    }
}
