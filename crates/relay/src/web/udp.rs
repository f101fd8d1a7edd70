//! Datagrams, for as long as a SOCKS5 connection holds the way open (RFC 1928, UDP ASSOCIATE).
//!
//! One socket faces the client, at the address that it dialled, and hears nobody else; one of each
//! family faces the world, and hears only those whom the client has written to. So whoever is asked
//! for its address (STUN) sees the one that calls then go through.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use wire::socks5::{Reply, datagram, datagram_head};
use wire::target::{Host, Target};

use super::caller::Caller;
use crate::Shared;
use crate::tally::{Counter, Flow};

/// How many peers a client may write to at the same time.
const PEERS: usize = 64;
/// When one that nothing was said to makes room for another.
const PEER_IDLE: Duration = Duration::from_secs(60);
/// When a way is closed on which nothing moves.
const IDLE: Duration = Duration::from_secs(300);
/// How many names may be on their way to being resolved; datagrams to more are lost.
const LOOKUPS: usize = 8;
/// How many names are remembered, each with one of its addresses.
const NAMES: usize = 64;
/// The largest datagram there is.
const LARGEST: usize = 65_535;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LARGEST]);
}

pub(super) struct Association {
    shared: Arc<Shared>,
    /// Ends with this connection; `None` only until it has one.
    control: Option<TcpStream>,
    /// From where alone datagrams are taken.
    client: IpAddr,
    inner: UdpSocket,
    /// Whether the inner socket hears one port of the client alone by now.
    settled: bool,
    four: UdpSocket,
    six: Option<UdpSocket>,
    /// Whom the client wrote to, and when.
    peers: HashMap<SocketAddr, Instant>,
    names: HashMap<Target, SocketAddr>,
    lookups: JoinSet<Option<(Target, SocketAddr, Vec<u8>)>>,
}

impl Association {
    /// Opens the sockets; the reply tells the client where the inner one is.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        caller: &Caller<'_>,
    ) -> io::Result<(Self, Vec<u8>)> {
        let local = caller.local()?.ip();
        let inner = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
        let at = inner.local_addr()?;
        let association = Self {
            shared: Arc::clone(shared),
            control: None,
            client: caller.peer.ip().to_canonical(),
            inner,
            settled: false,
            four: outer(Ipv4Addr::UNSPECIFIED.into())?,
            six: outer(Ipv6Addr::UNSPECIFIED.into()).ok(),
            peers: HashMap::new(),
            names: HashMap::new(),
            lookups: JoinSet::new(),
        };
        Ok((association, Reply::Succeeded.with(at)))
    }

    /// Ties it to the connection that asked for it.
    pub(super) fn held_by(mut self, control: TcpStream) -> Box<Self> {
        self.control = Some(control);
        Box::new(self)
    }

    /// Carries datagrams until the client lets go of its connection, or nothing moves any more.
    pub(super) async fn run(&mut self, flow: Flow<'_>) {
        let Some(control) = self.control.take() else { return };
        let mut until = Instant::now() + IDLE;
        loop {
            tokio::select! {
                () = ended(&control) => return,
                () = sleep_until(until) => return,
                ready = self.inner.readable() => if ready.is_err() { return },
                _ = self.four.readable() => {}
                () = readable(self.six.as_ref()) => {}
                Some(found) = self.lookups.join_next() => {
                    if let Ok(Some((target, at, payload))) = found {
                        if self.names.len() >= NAMES {
                            self.names.clear();
                        }
                        self.names.insert(target, at);
                        self.send(at, &payload, flow);
                    }
                    continue;
                }
            }
            if self.shuttle(flow).await {
                until = Instant::now() + IDLE;
            }
        }
    }

    /// Moves one datagram each way, as far as there are any; whether there were.
    async fn shuttle(&mut self, flow: Flow<'_>) -> bool {
        let mut moved = false;
        let from_client = BUFFER.with_borrow_mut(|buffer| {
            let (length, from) = self.inner.try_recv_from(buffer).ok()?;
            // The first that is understood settles which of the client's ports counts.
            let is_theirs = from.ip().to_canonical() == self.client;
            let (target, payload) = datagram(&buffer[..length]).filter(|_| is_theirs)?;
            Some((from, target, payload.to_vec()))
        });
        if let Some((from, target, payload)) = from_client {
            moved = true;
            if !self.settled {
                self.settled = self.inner.connect(from).await.is_ok();
            }
            self.pass_on(target, payload, flow);
        }
        for outer in std::iter::once(&self.four).chain(&self.six) {
            moved |= BUFFER.with_borrow_mut(|buffer| self.bring_back(outer, buffer, flow));
        }
        moved
    }

    /// A datagram from the client: by an address at once, by a name when it is known.
    fn pass_on(&mut self, target: Target, payload: Vec<u8>, flow: Flow<'_>) {
        match (&target.host, self.names.get(&target)) {
            (Host::Address(address), _) => {
                self.send(SocketAddr::new(address.to_canonical(), target.port), &payload, flow);
            }
            (Host::Name(_), Some(&at)) => self.send(at, &payload, flow),
            (Host::Name(_), None) if self.lookups.len() < LOOKUPS => {
                let shared = Arc::clone(&self.shared);
                self.lookups.spawn(async move {
                    let found = shared.gate().find(&target).await.ok()?;
                    // An app that uses names for datagrams expects IPv4 to do.
                    let at = found.iter().find(|at| at.is_ipv4()).or(found.first()).copied()?;
                    Some((target, at, payload))
                });
            }
            (Host::Name(_), None) => {}
        }
    }

    /// Sends it if its receiver may be written to. Like any datagram, it may be lost.
    fn send(&mut self, at: SocketAddr, payload: &[u8], flow: Flow<'_>) {
        if self.shared.gate().check(at).is_err() {
            return self.shared.counters.count(Counter::EgressRefused);
        }
        if !self.remember(at) {
            return;
        }
        let outer = if at.is_ipv4() { Some(&self.four) } else { self.six.as_ref() };
        if outer.is_some_and(|outer| outer.try_send_to(payload, at).is_ok()) {
            flow.add_up(payload.len());
        }
    }

    /// Notes that this peer may answer; whether there is room for it.
    fn remember(&mut self, at: SocketAddr) -> bool {
        let now = Instant::now();
        if !self.peers.contains_key(&at) && self.peers.len() >= PEERS {
            self.peers.retain(|_, last| now.duration_since(*last) < PEER_IDLE);
            if self.peers.len() >= PEERS {
                return false;
            }
        }
        self.peers.insert(at, now);
        true
    }

    /// A datagram from the world; whether there was one for the client.
    fn bring_back(&self, outer: &UdpSocket, buffer: &mut [u8], flow: Flow<'_>) -> bool {
        let Ok((length, from)) = outer.try_recv_from(buffer) else { return false };
        if !self.settled || !self.peers.contains_key(&from) {
            return false;
        }
        let mut words = datagram_head(from);
        words.extend_from_slice(&buffer[..length]);
        if self.inner.try_send(&words).is_ok() {
            flow.add_down(length);
        }
        true
    }
}

/// A socket that faces the world, in one family.
fn outer(any: IpAddr) -> io::Result<UdpSocket> {
    let at = SocketAddr::new(any, 0);
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    if any.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    UdpSocket::from_std(socket.into())
}

async fn readable(socket: Option<&UdpSocket>) {
    match socket {
        Some(socket) => _ = socket.readable().await,
        None => std::future::pending().await,
    }
}

/// Waits for the end of the connection on which nothing more is to be said.
async fn ended(control: &TcpStream) {
    loop {
        if control.readable().await.is_err() {
            return;
        }
        match control.try_read(&mut [0; 64]) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}
