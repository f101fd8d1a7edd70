//! The sockets to which steered packets go: one per transport and family.
//!
//! They are bound where nobody from outside reaches them by themselves, on a loopback address and a
//! low port that no program wants: a socket of ours must not take a port from anybody.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::bind::listen_on;
use crate::datagrams::Datagrams;

/// Out of the way of whoever listens on 127.0.0.1 or on all addresses.
const V4: Ipv4Addr = Ipv4Addr::new(127, 106, 97, 114);
const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

/// Ports below 1024 that stand for nothing in particular.
const PORTS: std::ops::Range<u16> = 1001..1021;

/// How many bytes of datagrams may wait, if the system allows it: a burst of some thousands. Those that
/// come when it is full are lost.
const WAITING: usize = 4 << 20;

/// One socket per transport and family that was asked for and that this machine speaks.
#[derive(Debug)]
pub(crate) struct Anchors {
    pub(crate) tcp4: TcpListener,
    pub(crate) tcp6: Option<TcpListener>,
    pub(crate) udp4: Option<UdpSocket>,
    pub(crate) udp6: Option<UdpSocket>,
}

impl Anchors {
    /// `transparent`: they may be given packets by rules of nftables. Takes `CAP_NET_ADMIN` or
    /// `CAP_NET_RAW`.
    pub(crate) fn new(udp: bool, transparent: bool) -> io::Result<Self> {
        let ipv6 = Socket::new(Domain::IPV6, Type::STREAM, None).is_ok();
        let anchors = Self {
            tcp4: somewhere(V4.into(), listen_free)?,
            tcp6: ipv6.then(|| somewhere(V6.into(), listen_free)).transpose()?,
            udp4: udp.then(|| somewhere(V4.into(), datagrams)).transpose()?,
            udp6: (udp && ipv6).then(|| somewhere(V6.into(), datagrams)).transpose()?,
        };
        for socket in [&anchors.udp4, &anchors.udp6].into_iter().flatten() {
            // The system's bound is for those who are not root. Less is no reason to do without.
            if setsockopt(socket, sockopt::RcvBufForce, &WAITING).is_err() {
                let _ = setsockopt(socket, sockopt::RcvBuf, &WAITING);
            }
        }
        if transparent {
            let tcp = [Some(anchors.tcp4.as_fd()), anchors.tcp6.as_ref().map(AsFd::as_fd)];
            let udp = [anchors.udp4.as_ref(), anchors.udp6.as_ref()].map(|one| Some(one?.as_fd()));
            for socket in tcp.into_iter().chain(udp).flatten() {
                // Of IPv6 too: it is one and the same mark.
                setsockopt(&socket, sockopt::IpTransparent, &true)?;
            }
        }
        Ok(anchors)
    }
}

/// Binds to the first port that is free.
fn somewhere<T>(address: IpAddr, bind: fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    // Port 0: wherever the system likes, before failing altogether.
    let mut last = None;
    for port in PORTS.chain([0]) {
        match bind((address, port).into()) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

/// Listens there even if this machine has no such address, as while its loopback link is down.
fn listen_free(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    freebind(&socket, address)?;
    listen_on(socket, address)
}

fn freebind(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() { socket.set_freebind_v6(true) } else { socket.set_freebind_v4(true) }
}

/// A non-blocking UDP socket that tells what its datagrams were sent to.
pub(crate) fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    freebind(&socket, address)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    Datagrams::tell_destination(&socket)?;
    Ok(socket)
}
