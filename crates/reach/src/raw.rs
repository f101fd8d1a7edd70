//! SYNs of our own making, for a loud search on a machine that allows raw sockets: one packet for each
//! port, and no socket. What the kernel knows nothing of it ends, by an RST, when it is accepted; the
//! port is then dialled like any other. IPv4 only.
//!
//! The number that a SYN bears follows from whom it is sent to, so that an acceptance proves to
//! answer it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc::{
    BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use wire::ctr::Ctr;
use wire::echo::Transport;

use crate::batch::{BATCH, Incoming, send_all};
use crate::deadlines::Deadlines;
use crate::door::Door;
use crate::mail::Mail;
use crate::probe::{Ask, Met, Outcome};
use crate::target::Road;
use crate::verdict::Verdict;
use crate::{Spot, Targets};

const SYN: u8 = 1 << 1;
const RST: u8 = 1 << 2;
const ACK: u8 = 1 << 4;
/// How many calls send before answers are looked at.
const A_TURN: usize = 8;
const BUFFER: usize = 8 << 20;
/// A header with the largest segment as its one option.
const HEADER: usize = 24;

/// Sends SYNs until nobody asks any more.
pub(crate) struct Engine {
    pub(crate) mail: Mail<Ask>,
    pub(crate) socket: Arc<Socket>,
    pub(crate) targets: Targets,
}

/// What all our SYNs have in common.
struct Sender {
    key: [u8; 32],
    /// Ours on each road: it is held by a socket that does not listen, so that nobody else has it.
    port: u16,
    _held: Socket,
    sources: HashMap<Ipv4Addr, Ipv4Addr>,
}

/// What is out.
struct Out {
    asked: HashMap<u64, Waiting>,
    deadlines: Deadlines<u64>,
    /// A SYN that is accepted takes a place in the kernel of the relay until our RST has come there: a
    /// flood of them where nothing is cut would keep out everybody else.
    door: Door<u64>,
}

struct Waiting {
    ask: Ask,
    sent: Instant,
    /// Whether it may still be on its way to the door, or there.
    at_door: bool,
}

/// A raw socket. Who opens it before a search can give up, before anything is read, what it takes.
#[derive(Clone, Debug)]
pub struct RawSocket(Arc<Socket>);

impl RawSocket {
    /// Opens one.
    ///
    /// # Errors
    /// Where this machine gives us none: it takes `CAP_NET_RAW`.
    pub fn open() -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new_raw(Domain::IPV4, kind, Some(Protocol::TCP))?;
        let _ = socket.set_recv_buffer_size(BUFFER);
        let _ = socket.set_send_buffer_size(BUFFER);
        Ok(Self(Arc::new(socket)))
    }

    pub(crate) fn socket(&self) -> Arc<Socket> {
        Arc::clone(&self.0)
    }
}

/// What the kernel is to hand us of all segments that come: those to this port of ours. Classic BPF:
/// past the IP header, whose length is in its first byte, the third and fourth byte of TCP's.
fn only_to(port: u16) -> [SockFilter; 5] {
    let step = |code: u32, jt, jf, k| {
        let code = u16::try_from(code).expect("an instruction's code has 16 bits");
        SockFilter::new(code, jt, jf, k)
    };
    [
        step(BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0),
        step(BPF_LD | BPF_H | BPF_IND, 0, 0, 2),
        step(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, port.into()),
        step(BPF_RET | BPF_K, 0, 0, u32::MAX),
        step(BPF_RET | BPF_K, 0, 0, 0),
    ]
}

impl Engine {
    /// Until there is nobody left who could ask.
    ///
    /// # Errors
    /// When the machine takes the sockets away.
    pub(crate) fn run(self) -> nix::Result<()> {
        let sender = Sender::new(&self.targets).map_err(|_| nix::Error::EADDRNOTAVAIL)?;
        // Without it we would only have more to read.
        let _ = self.socket.attach_filter(&only_to(sender.port));
        let roads: HashMap<IpAddr, Arc<Road>> =
            self.targets.roads().iter().map(|road| (road.ip, Arc::clone(road))).collect();
        let mut out = Out {
            asked: HashMap::new(),
            deadlines: Deadlines::default(),
            door: Door::new(usize::MAX),
        };
        let mut waiting: VecDeque<Ask> = VecDeque::new();
        let mut done = Vec::new();
        let mut incoming = Incoming::default();
        loop {
            if !self.mail.take(&mut waiting, out.asked.is_empty()) {
                return Ok(());
            }
            for _ in 0..A_TURN {
                self.send(&sender, &mut waiting, &mut out, &mut done);
            }
            let sleep = match (waiting.is_empty(), out.door.has_room()) {
                (true, _) => out.deadlines.until_next(),
                (false, true) => Duration::ZERO,
                (false, false) => out.deadlines.until_next().min(out.door.until_next()),
            };
            self.mail.sleep(std::iter::once(&*self.socket), sleep)?;
            let before = Instant::now();
            loop {
                let count = incoming.receive(&self.socket);
                for (from, packet) in incoming.all() {
                    let Some(road) = roads.get(&from.ip()) else { continue };
                    let Some((spot, flags)) = sender.read(road, packet) else { continue };
                    let met =
                        if flags & RST != 0 { Met::Other(Verdict::Refused) } else { Met::Accepted };
                    if let Some((ask, sent)) = out.heard(&spot, flags & RST == 0) {
                        done.push(outcome(ask, sent, Some(sent.elapsed()), met));
                    }
                }
                if count < BATCH {
                    break;
                }
            }
            out.make_room(before);
            out.expire(before, &mut done);
            if !self.mail.tell(&mut done) {
                return Ok(());
            }
        }
    }

    fn send(
        &self,
        sender: &Sender,
        waiting: &mut VecDeque<Ask>,
        out: &mut Out,
        done: &mut Vec<Outcome>,
    ) {
        let batch: Vec<Ask> =
            waiting.drain(..waiting.len().min(BATCH).min(out.door.room())).collect();
        if batch.is_empty() {
            return;
        }
        let packet = |ask: &Ask| {
            let to = SocketAddr::new(ask.spot.address().ip(), 0);
            (to, sender.syn(&ask.spot).unwrap_or([0; HEADER]))
        };
        let packets: Vec<(SocketAddr, [u8; HEADER])> = batch.iter().map(packet).collect();
        let slices: Vec<(SocketAddr, &[u8])> =
            packets.iter().map(|(to, bytes)| (*to, &bytes[..])).collect();
        let sent = send_all(&self.socket, &slices);
        let now = Instant::now();
        for (at, ask) in batch.into_iter().enumerate() {
            if at < sent {
                out.put(ask, now);
            } else if at == sent {
                done.push(outcome(ask, now, None, Met::Other(Verdict::Unreachable)));
            } else {
                waiting.push_front(ask);
            }
        }
    }
}

impl Sender {
    fn new(targets: &Targets) -> io::Result<Self> {
        let held = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        held.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
        let port = held.local_addr()?.as_socket().map_or(0, |address| address.port());
        let mut sources = HashMap::new();
        for road in targets.roads() {
            // What the kernel would send from; nothing is sent to find out.
            if let IpAddr::V4(ip) = road.ip {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                socket.connect(SocketAddrV4::new(ip, 9))?;
                if let IpAddr::V4(source) = socket.local_addr()?.ip() {
                    sources.insert(ip, source);
                }
            }
        }
        Ok(Self { key: wire::random(), port, _held: held, sources })
    }

    /// The number that a SYN to this spot bears.
    fn number(&self, spot: &Spot) -> u32 {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&spot.key().to_be_bytes());
        let mut noise = [0; 4];
        Ctr::new(&self.key, &block).apply(&mut noise);
        u32::from_be_bytes(noise)
    }

    /// RFC 9293, 3.1.
    fn syn(&self, spot: &Spot) -> Option<[u8; HEADER]> {
        let IpAddr::V4(to) = spot.address().ip() else { return None };
        let from = self.sources.get(&to)?;
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&self.port.to_be_bytes());
        header[2..4].copy_from_slice(&spot.port().to_be_bytes());
        header[4..8].copy_from_slice(&self.number(spot).to_be_bytes());
        header[12] = 6 << 4;
        header[13] = SYN;
        header[14..16].copy_from_slice(&64_240_u16.to_be_bytes());
        header[20..].copy_from_slice(&[2, 4, 5, 180]);
        let sum = checksum(*from, to, &header);
        header[16..18].copy_from_slice(&sum.to_be_bytes());
        Some(header)
    }

    /// Which spot answers our SYN by this packet, and with which flags.
    fn read(&self, road: &Arc<Road>, packet: &[u8]) -> Option<(Spot, u8)> {
        let header = usize::from(packet.first()? & 0xf) * 4;
        let segment = packet.get(header..)?;
        let short =
            |at: usize| Some(u16::from_be_bytes([*segment.get(at)?, *segment.get(at + 1)?]));
        let acknowledged = u32::from_be_bytes(*segment.get(8..)?.first_chunk()?);
        let flags = *segment.get(13)?;
        let spot = road.spot(Transport::Tcp, short(0)?)?;
        let is_answer = short(2)? == self.port
            && flags & ACK != 0
            && flags & (SYN | RST) != 0
            && acknowledged == self.number(&spot).wrapping_add(1);
        is_answer.then_some((spot, flags))
    }
}

/// RFC 9293, 3.1: over addresses, protocol, length and segment.
fn checksum(from: Ipv4Addr, to: Ipv4Addr, segment: &[u8; HEADER]) -> u16 {
    let (from, to) = (from.octets(), to.octets());
    let more = [0, 6, 0, 24];
    let words = [&from[..], &to, &more, segment].concat();
    let (words, _) = words.as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((((folded & 0xffff) + (folded >> 16)) & 0xffff) as u16)
}

impl Out {
    fn put(&mut self, ask: Ask, sent: Instant) {
        let key = ask.spot.key();
        self.deadlines.put(sent, ask.hold, key);
        self.door.approach(sent, key);
        self.asked.insert(key, Waiting { ask, sent, at_door: true });
    }

    /// What was asked there, and when.
    fn heard(&mut self, spot: &Spot, is_accepted: bool) -> Option<(Ask, Instant)> {
        let Waiting { ask, sent, at_door } = self.asked.remove(&spot.key())?;
        if at_door {
            self.door.leave();
        }
        self.door.took(sent.elapsed());
        self.door.learn(is_accepted);
        Some((ask, sent))
    }

    /// Whatever should have been heard of by now makes room.
    fn make_room(&mut self, now: Instant) {
        while let Some((since, key)) = self.door.next_late(now) {
            if let Some(it) = self.asked.get_mut(&key).filter(|it| it.sent == since && it.at_door) {
                it.at_door = false;
                self.door.leave();
                self.door.learn(false);
            }
        }
    }

    fn expire(&mut self, drained: Instant, done: &mut Vec<Outcome>) {
        self.deadlines.expire(drained, |key| {
            if let Some(Waiting { ask, sent, at_door }) = self.asked.remove(&key) {
                if at_door {
                    self.door.leave();
                }
                done.push(outcome(ask, sent, None, Met::Other(Verdict::Dropped)));
            }
        });
    }
}

fn outcome(ask: Ask, dialled: Instant, rtt: Option<Duration>, met: Met) -> Outcome {
    Outcome { ask, dialled, rtt, bytes: 0, met }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: RFC 1071 over a SYN of which every byte is known.
    #[test]
    fn a_syn_has_the_checksum_that_its_receiver_wants() {
        let (from, to) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let mut segment = [0; HEADER];
        segment[..4].copy_from_slice(&[0x30, 0x39, 0, 179]);
        segment[12] = 0x60;
        segment[13] = SYN;
        let sum = checksum(from, to, &segment);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        // A receiver sums all of it, the checksum too, and must get nothing.
        assert_eq!(checksum(from, to, &segment), 0);
        assert_ne!(sum, 0);
    }
}
