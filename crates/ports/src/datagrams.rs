//! Datagrams: what was sent to which of our ports, and answers from that same port.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

/// Who sent a datagram, and where to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// The sender.
    pub from: SocketAddr,
    /// The address and port of ours that it was sent to.
    pub to: SocketAddr,
}

/// Where datagrams come in and answers go out.
///
/// It does not block.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    out: Out,
}

/// How answers leave.
#[derive(Clone, Debug)]
pub(crate) enum Out {
    /// By a raw socket, from whatever port was asked.
    Raw(Arc<Raw>),
    /// By the socket itself, which has the port that was asked.
    Own,
}

impl Datagrams {
    pub(crate) fn new(socket: UdpSocket, out: Out) -> Self {
        Self { socket, out }
    }

    /// Asks the kernel to say where each datagram was sent to.
    pub(crate) fn tell_destination(socket: &UdpSocket) -> io::Result<()> {
        if socket.local_addr()?.is_ipv4() {
            setsockopt(socket, sockopt::Ipv4OrigDstAddr, &true)?;
        } else {
            setsockopt(socket, sockopt::Ipv6OrigDstAddr, &true)?;
        }
        Ok(())
    }

    /// The socket, to wait on. With tokio: make a `UdpSocket` of a clone of it, and call
    /// [`Datagrams::receive`] in its `async_io`.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The port of the socket itself: what [`Change::closed`](crate::Change::closed) speaks of.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |at| at.port())
    }

    /// The next datagram, cut to the length of the buffer: how many bytes, and who sent it where.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is none now, and whatever the system reports.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Flow)> {
        let mut control = nix::cmsg_space!(nix::libc::sockaddr_in6);
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let from = message.address.as_ref().and_then(address);
        let to = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4OrigDstAddr(to) => Some(SocketAddr::new(
                IpAddr::from(to.sin_addr.s_addr.to_ne_bytes()),
                u16::from_be(to.sin_port),
            )),
            ControlMessageOwned::Ipv6OrigDstAddr(to) => Some(SocketAddr::new(
                IpAddr::from(to.sin6_addr.s6_addr),
                u16::from_be(to.sin6_port),
            )),
            _ => None,
        });
        match (from, to) {
            (Some(from), Some(to)) => Ok((message.bytes, Flow { from, to })),
            _ => Err(io::Error::other("a datagram without a sender or a destination")),
        }
    }

    /// Answers the sender of a flow, from the address and port that it asked.
    ///
    /// # Errors
    /// What the system reports: an answer that does not fit into one packet of the link is refused
    /// with `EMSGSIZE`, a full link with [`io::ErrorKind::WouldBlock`]. Both are for the caller to
    /// drop, as the network would.
    pub fn answer(&self, flow: &Flow, payload: &[u8]) -> io::Result<()> {
        match &self.out {
            Out::Own => send_as(&self.socket, flow.to.ip(), flow.from, payload),
            Out::Raw(raw) => raw.send(flow.to, flow.from, payload),
        }
    }
}

/// Sends from the socket's port, and from that address of this machine.
fn send_as(socket: &UdpSocket, from: IpAddr, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
    let slices = [IoSlice::new(payload)];
    let (v4, v6);
    let source = match from {
        IpAddr::V4(from) => {
            let address = nix::libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) };
            let none = nix::libc::in_addr { s_addr: 0 };
            v4 = nix::libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: none };
            ControlMessage::Ipv4PacketInfo(&v4)
        }
        IpAddr::V6(from) => {
            let ipi6_addr = nix::libc::in6_addr { s6_addr: from.octets() };
            v6 = nix::libc::in6_pktinfo { ipi6_ifindex: 0, ipi6_addr };
            ControlMessage::Ipv6PacketInfo(&v6)
        }
    };
    let to = SockaddrStorage::from(to);
    sendmsg(socket.as_raw_fd(), &slices, &[source], MsgFlags::empty(), Some(&to))?;
    Ok(())
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    // With the scope, without which nobody on a link-local address can be answered.
    storage.as_sockaddr_in6().map(|v6| {
        std::net::SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id()).into()
    })
}

/// Sends UDP from any address and port of this machine. Opening it takes `CAP_NET_RAW`; using it
/// takes nothing.
#[derive(Debug)]
pub(crate) struct Raw {
    v4: Socket,
    v6: Option<Socket>,
}

const UDP: u8 = 17;

impl Raw {
    pub(crate) fn new() -> io::Result<Self> {
        // `IPPROTO_RAW`: we write the headers, and nothing is ever received.
        let open = |domain| {
            let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(255)))?;
            socket.set_nonblocking(true)?;
            Ok::<_, io::Error>(socket)
        };
        Ok(Self { v4: open(Domain::IPV4)?, v6: open(Domain::IPV6).ok() })
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
        let too_long = || io::Error::from_raw_os_error(nix::libc::EMSGSIZE);
        let length = u16::try_from(payload.len() + 8).map_err(|_| too_long())?;
        let mut udp = [0; 8];
        udp[0..2].copy_from_slice(&from.port().to_be_bytes());
        udp[2..4].copy_from_slice(&to.port().to_be_bytes());
        udp[4..6].copy_from_slice(&length.to_be_bytes());
        let sum = checksum(from.ip(), to.ip(), &udp, payload);
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
        let (socket, header, size) = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let total = length.checked_add(20).ok_or_else(too_long)?;
                let mut header = [0; 40];
                header[0] = 0x45;
                header[2..4].copy_from_slice(&total.to_be_bytes());
                // The identification and the header's own checksum are left to the kernel.
                header[8..10].copy_from_slice(&[64, UDP]);
                header[12..16].copy_from_slice(&from.octets());
                header[16..20].copy_from_slice(&to.octets());
                (&self.v4, header, 20)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let mut header = [0; 40];
                header[0] = 0x60;
                header[4..6].copy_from_slice(&length.to_be_bytes());
                header[6..8].copy_from_slice(&[UDP, 64]);
                header[8..24].copy_from_slice(&from.octets());
                header[24..40].copy_from_slice(&to.octets());
                (self.v6.as_ref().ok_or(io::ErrorKind::Unsupported)?, header, 40)
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        // A raw IPv6 socket takes the port for a protocol, and allows none but 0.
        let mut to = to;
        to.set_port(0);
        let slices = [IoSlice::new(&header[..size]), IoSlice::new(&udp), IoSlice::new(payload)];
        socket.send_to_vectored(&slices, &to.into()).map(|_| ())
    }
}

/// RFC 768 and RFC 8200, 8.1: the sum over addresses, length, protocol, header and payload.
fn checksum(from: IpAddr, to: IpAddr, udp: &[u8; 8], payload: &[u8]) -> u16 {
    let mut sum = u64::from(UDP) + u64::from(u16::from_be_bytes([udp[4], udp[5]]));
    let mut add = |bytes: &[u8]| {
        for pair in bytes.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    };
    for ip in [from, to] {
        match ip {
            IpAddr::V4(v4) => add(&v4.octets()),
            IpAddr::V6(v6) => add(&v6.octets()),
        }
    }
    add(udp);
    add(payload);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match u16::try_from(!sum & 0xffff).unwrap_or(0) {
        // Zero would mean that there is none.
        0 => 0xffff,
        sum => sum,
    }
}
