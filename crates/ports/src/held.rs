//! Which sockets there are on this machine, whoever's: `sock_diag(7)`, which needs no privilege.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use crate::netlink::{self, messages};
use crate::set::PortSet;

/// A bit for each state of a TCP socket, of which these are two.
pub(crate) const ESTABLISHED: u32 = 1 << 1;
pub(crate) const LISTEN: u32 = 1 << 10;
/// The states of a UDP socket: connected, and not.
const CLOSE: u32 = 1 << 7;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A socket that somebody has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) local: SocketAddr,
    pub(crate) inode: u32,
    pub(crate) listens: bool,
}

/// A question to the kernel, in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Sockets(OwnedFd);

impl Sockets {
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkSockDiag;
        Ok(Self(socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?))
    }

    /// TCP sockets in these states.
    pub(crate) fn tcp(&mut self, states: u32) -> io::Result<Vec<Held>> {
        let mut all = self.ask(nix::libc::AF_INET, TCP, states)?;
        all.extend(self.ask(nix::libc::AF_INET6, TCP, states)?);
        Ok(all)
    }

    /// The ports that somebody listens on, other than on loopback alone.
    pub(crate) fn tcp_ports(&mut self) -> io::Result<PortSet> {
        Ok(outside(&self.tcp(LISTEN)?))
    }

    /// The ports that somebody has a UDP socket on, other than on loopback alone.
    pub(crate) fn udp_ports(&mut self) -> io::Result<PortSet> {
        let mut all = self.ask(nix::libc::AF_INET, UDP, CLOSE)?;
        all.extend(self.ask(nix::libc::AF_INET6, UDP, CLOSE)?);
        Ok(outside(&all))
    }

    fn ask(&mut self, family: i32, protocol: u8, states: u32) -> io::Result<Vec<Held>> {
        const BY_FAMILY: u16 = 20; // SOCK_DIAG_BY_FAMILY
        let family = u8::try_from(family).map_err(io::Error::other)?;
        // struct inet_diag_req_v2, with an id of nothing in particular.
        let mut question = [0; 56];
        question[0] = family;
        question[1] = protocol;
        question[4..8].copy_from_slice(&states.to_ne_bytes());
        let request = netlink::message(BY_FAMILY, netlink::DUMP, 0, &question);
        let fd = self.0.as_raw_fd();
        sendto(fd, &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;

        let mut found = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            let length = recv(fd, &mut buffer, MsgFlags::empty())?;
            for message in messages(&buffer[..length]) {
                match message.kind {
                    netlink::DONE => return Ok(found),
                    // A kernel that does not know the question has nothing to tell.
                    netlink::ERROR => return message.result().map(|()| found),
                    BY_FAMILY => found.extend(held(message.body)),
                    _ => {}
                }
            }
        }
    }
}

/// struct inet_diag_msg.
fn held(body: &[u8]) -> Option<Held> {
    let array = |from: usize| body.get(from..from + 16)?.try_into().ok();
    let address: [u8; 16] = array(8)?;
    let port = u16::from_be_bytes([*body.get(4)?, *body.get(5)?]);
    let ip = match i32::from(*body.first()?) {
        nix::libc::AF_INET => IpAddr::from([address[0], address[1], address[2], address[3]]),
        _ => IpAddr::from(address),
    };
    let inode = u32::from_ne_bytes(body.get(68..72)?.try_into().ok()?);
    Some(Held { local: SocketAddr::new(ip, port), inode, listens: *body.get(1)? == 10 })
}

fn outside(all: &[Held]) -> PortSet {
    all.iter()
        .map(|one| one.local)
        .filter(|at| !at.ip().is_loopback())
        .map(|at| at.port())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn what_is_bound_is_seen_and_what_is_bound_to_loopback_is_told_apart() {
        let mut sockets = Sockets::open().expect("sock_diag");
        let port = |at: SocketAddr| at.port();
        let tcp = TcpListener::bind("0.0.0.0:0").expect("a port");
        let udp = UdpSocket::bind("0.0.0.0:0").expect("a port");
        let inside = TcpListener::bind("127.0.0.1:0").expect("a port");
        let listened = sockets.tcp_ports().expect("an answer");
        assert!(listened.has(tcp.local_addr().map(port).expect("its port")));
        assert!(!listened.has(inside.local_addr().map(port).expect("its port")));
        let bound = sockets.udp_ports().expect("an answer");
        assert!(bound.has(udp.local_addr().map(port).expect("its port")));
    }
}
