//! One listener for each port and family: the plainest way, which works everywhere.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::PortList;

/// How many connections may wait to be accepted; the kernel lowers it to its `somaxconn`.
const BACKLOG: i32 = 4096;

/// What [`bind`] got, and what it did not get.
#[derive(Debug, Default)]
pub struct Bound {
    /// Non-blocking listeners, two for most ports: IPv4 and IPv6.
    pub listeners: Vec<TcpListener>,
    /// The ports that answer in at least one family, in the list's order.
    pub open: Vec<u16>,
    /// The ports that do not answer in any.
    pub refused: Vec<Refused>,
    /// Whether this machine speaks IPv6 at all.
    pub ipv6: bool,
}

/// Why a port could not be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Another program listens there.
    Taken(u16),
    /// Ports below 1024 need root or `CAP_NET_BIND_SERVICE`.
    NotAllowed(u16),
    /// There are listeners enough for the files that this process may have open.
    NoRoom(u16),
    /// It is never taken from whoever may need it: ssh, DHCP, network time.
    Never(u16),
    /// The system gives it to programs that ask from wherever they like.
    Ephemeral(u16),
    /// Something else, as the system names it.
    Other(u16, Errno),
}

impl Refused {
    pub(crate) fn new(port: u16, error: &io::Error) -> Self {
        match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::EADDRINUSE => Self::Taken(port),
            Errno::EACCES | Errno::EPERM => Self::NotAllowed(port),
            other => Self::Other(port, other),
        }
    }

    /// Which port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match *self {
            Self::Taken(port)
            | Self::NotAllowed(port)
            | Self::Never(port)
            | Self::NoRoom(port)
            | Self::Ephemeral(port)
            | Self::Other(port, _) => port,
        }
    }
}

/// How many listeners are reasonable: half of the files that this process may have open.
pub(crate) fn most_listeners() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(files / 2).unwrap_or(usize::MAX)
}

/// Listens on every port of the list, on all of the machine's addresses of both families.
///
/// At most `most` listeners are opened, so that there are descriptors left for those who come.
///
/// A port counts as taken when another program holds it in either family: half of a port would
/// make a link work on some networks and not on others.
#[must_use]
pub fn bind(ports: &PortList, most: usize) -> Bound {
    let ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let mut bound = Bound { ipv6, ..Bound::default() };
    for &port in ports.as_slice() {
        if bound.listeners.len() + 2 > most {
            bound.refused.push(Refused::NoRoom(port));
            continue;
        }
        match bind_port(port, bound.ipv6) {
            Ok(listeners) => {
                bound.listeners.extend(listeners);
                bound.open.push(port);
            }
            Err(error) => bound.refused.push(Refused::new(port, &error)),
        }
    }
    bound
}

fn bind_port(port: u16, ipv6: bool) -> io::Result<Vec<TcpListener>> {
    let mut listeners = vec![listen((Ipv4Addr::UNSPECIFIED, port).into())?];
    if ipv6 {
        listeners.push(listen((Ipv6Addr::UNSPECIFIED, port).into())?);
    }
    Ok(listeners)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    listen_on(socket, address)
}

pub(crate) fn listen_on(socket: Socket, address: SocketAddr) -> io::Result<TcpListener> {
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_program_holds_is_named_and_the_others_are_had() {
        let taken = TcpListener::bind("0.0.0.0:0").expect("a port");
        let taken = taken.local_addr().map(|at| (at.port(), taken)).expect("its number");
        let free = TcpListener::bind("0.0.0.0:0")
            .and_then(|free| free.local_addr())
            .expect("a port")
            .port();
        let bound = bind(&PortList::from([taken.0, free]), 10);
        assert_eq!(bound.refused, [Refused::Taken(taken.0)]);
        assert_eq!(bound.open, [free]);
        assert_eq!(bound.listeners.len(), if bound.ipv6 { 2 } else { 1 });
        assert_eq!(bind(&PortList::from([free]), 1).refused, [Refused::NoRoom(free)]);
    }
}
