//! Many datagrams at once, without privileges: one ordinary socket for each family, and calls that
//! take sixty-four datagrams at a time. Questions are not remembered but made again when an answer
//! comes.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use socket2::{Domain, Protocol, Socket, Type};
use wire::echo::{Question, Shape, Transport};

use crate::asking::Questions;
use crate::batch::{BATCH, Incoming, refusals, send_all};
use crate::deadlines::Deadlines;
use crate::mail::Mail;
use crate::probe::{Answered, Ask, Met, Outcome};
use crate::target::Road;
use crate::tcp::refusal;
use crate::verdict::Verdict;
use crate::{Spot, Targets};

/// How many calls send before answers are looked at.
const A_TURN: usize = 4;
/// How much the kernel may keep for us, in bytes.
const BUFFER: usize = 4 << 20;

/// Asks what it is given until nobody asks any more.
pub(crate) struct Engine {
    pub(crate) mail: Mail<Datagram>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) targets: Targets,
}

/// A question as it goes out: it is sealed by whoever gives it, so that both work at once.
pub(crate) struct Datagram {
    pub(crate) ask: Ask,
    pub(crate) bytes: Vec<u8>,
}

/// A spot's number, a shape and which attempt it is.
type Key = (u64, Shape, u8);

/// What is out.
#[derive(Default)]
struct Out {
    asked: HashMap<Key, Waiting>,
    deadlines: Deadlines<Key>,
}

struct Waiting {
    ask: Ask,
    sent: Instant,
    length: usize,
    /// What was met there but for an answer, which may still come: somebody else's, or a router's word,
    /// which anybody can say in its name.
    met: Verdict,
}

impl Engine {
    /// Until there is nobody left who could ask.
    ///
    /// # Errors
    /// When the machine gives no socket of either family, or takes one away.
    pub(crate) fn run(self) -> nix::Result<()> {
        let sockets: Vec<(Domain, Socket)> =
            [Domain::IPV4, Domain::IPV6].into_iter().filter_map(open).collect();
        let roads: HashMap<IpAddr, Arc<Road>> =
            self.targets.roads().iter().map(|road| (road.ip, Arc::clone(road))).collect();
        let mut out = Out::default();
        let mut waiting: VecDeque<Datagram> = VecDeque::new();
        let mut done = Vec::new();
        let mut incoming = Incoming::default();
        loop {
            if !self.mail.take(&mut waiting, out.asked.is_empty()) {
                return Ok(());
            }
            for _ in 0..A_TURN {
                self.send(&sockets, &mut waiting, &mut out, &mut done);
            }
            let sleep =
                if waiting.is_empty() { out.deadlines.until_next() } else { Duration::ZERO };
            self.mail.sleep(sockets.iter().map(|(_, socket)| socket), sleep)?;
            let before = Instant::now();
            for (_, socket) in &sockets {
                while incoming.receive(socket) == BATCH {
                    self.read(&incoming, &roads, &mut out, &mut done);
                }
                self.read(&incoming, &roads, &mut out, &mut done);
                for (to, error) in refusals(socket) {
                    let road = roads.get(&to.ip().to_canonical());
                    let spot = road.and_then(|road| road.spot(Transport::Udp, to.port()));
                    if let (Some(spot), Some(verdict)) = (spot, refusal(&error.into())) {
                        out.meets(&spot, verdict);
                    }
                }
            }
            out.expire(before, &mut done);
            if !self.mail.tell(&mut done) {
                return Ok(());
            }
        }
    }

    /// One call's worth, of one family.
    fn send(
        &self,
        sockets: &[(Domain, Socket)],
        waiting: &mut VecDeque<Datagram>,
        out: &mut Out,
        done: &mut Vec<Outcome>,
    ) {
        let Some(first) = waiting.front() else { return };
        let domain = Domain::for_address(first.ask.spot.address());
        let same = |it: &&Datagram| Domain::for_address(it.ask.spot.address()) == domain;
        let many = waiting.iter().take(BATCH).take_while(same).count();
        let batch: Vec<Datagram> = waiting.drain(..many).collect();
        let socket = sockets.iter().find(|(of, _)| *of == domain);
        let packets: Vec<(SocketAddr, &[u8])> =
            batch.iter().map(|it| (it.ask.spot.address(), &it.bytes[..])).collect();
        let sent = socket.map_or(0, |(_, socket)| send_all(socket, &packets));
        let now = Instant::now();
        for (at, datagram) in batch.into_iter().enumerate() {
            if at < sent {
                out.put(datagram.ask, now, datagram.bytes.len());
            } else if at == sent && socket.is_some() {
                // The machine will not send this one, e.g. since a rule of its own forbids it.
                let met = Met::Other(Verdict::Unreachable);
                done.push(outcome(datagram.ask, now, None, 0, met));
            } else if socket.is_some() {
                waiting.push_front(datagram);
                // Their order does not matter, nor does it change what comes of them.
            } else {
                done.push(outcome(datagram.ask, now, None, 0, Met::Other(Verdict::Untried)));
            }
        }
    }

    fn read(
        &self,
        incoming: &Incoming,
        roads: &HashMap<IpAddr, Arc<Road>>,
        out: &mut Out,
        done: &mut Vec<Outcome>,
    ) {
        for (from, came) in incoming.all() {
            let road = roads.get(&from.ip().to_canonical());
            let Some(spot) = road.and_then(|road| road.spot(Transport::Udp, from.port())) else {
                continue;
            };
            let waiting = out.attempts(spot.key());
            let moments = self.questions.moments(&spot);
            let answered = waiting.iter().find_map(|&(shape, attempt)| {
                let sealed = spot.dress(shape).read_answer(came).ok()??.0;
                let asked = |moment| -> (Question, _) {
                    let question = self.questions.question(&spot, shape, attempt, moment);
                    let answer = spot.asker().read(&question, &sealed);
                    (question, answer)
                };
                let found = moments.iter().copied().map(asked);
                let (question, answer) =
                    found.into_iter().find_map(|(question, it)| Some((question, it?)))?;
                Some((
                    (shape, attempt),
                    Answered { question, answer, stream: None, came: came.len() },
                ))
            });
            match answered {
                Some(((shape, attempt), answered)) => {
                    if let Some(it) = out.asked.remove(&(spot.key(), shape, attempt)) {
                        let rtt = Some(it.sent.elapsed());
                        let met = Met::Answered(Box::new(answered));
                        done.push(outcome(it.ask, it.sent, rtt, it.length + came.len(), met));
                    }
                }
                None => out.meets(&spot, Verdict::Liar),
            }
        }
    }
}

impl Out {
    fn put(&mut self, ask: Ask, sent: Instant, length: usize) {
        let key = (ask.spot.key(), ask.shape, ask.attempt);
        self.deadlines.put(sent, ask.hold, key);
        self.asked.insert(key, Waiting { ask, sent, length, met: Verdict::Dropped });
    }

    /// What is waited for from there.
    fn attempts(&self, key: u64) -> Vec<(Shape, u8)> {
        let all = Shape::ALL.into_iter();
        let all = all.flat_map(|shape| (0..crate::search::ATTEMPTS).map(move |it| (shape, it)));
        all.filter(|(shape, it)| self.asked.contains_key(&(key, *shape, *it))).collect()
    }

    /// This was met there; a lie says more than a refusal.
    fn meets(&mut self, spot: &Spot, verdict: Verdict) {
        for (shape, attempt) in self.attempts(spot.key()) {
            if let Some(it) = self.asked.get_mut(&(spot.key(), shape, attempt))
                && it.met != Verdict::Liar
            {
                it.met = verdict;
            }
        }
    }

    fn expire(&mut self, drained: Instant, done: &mut Vec<Outcome>) {
        self.deadlines.expire(drained, |key| {
            if let Some(it) = self.asked.remove(&key) {
                done.push(outcome(it.ask, it.sent, None, it.length, Met::Other(it.met)));
            }
        });
    }
}

fn outcome(ask: Ask, dialled: Instant, rtt: Option<Duration>, bytes: usize, met: Met) -> Outcome {
    Outcome { ask, dialled, rtt, bytes: u32::try_from(bytes).unwrap_or(u32::MAX), met }
}

fn open(domain: Domain) -> Option<(Domain, Socket)> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new_raw(domain, kind, Some(Protocol::UDP)).ok()?;
    let any: SocketAddr = match domain {
        Domain::IPV4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        _ => {
            socket.set_only_v6(true).ok()?;
            (Ipv6Addr::UNSPECIFIED, 0).into()
        }
    };
    socket.bind(&any.into()).ok()?;
    // Who refuses is heard.
    let _ = match domain {
        Domain::IPV4 => setsockopt(&socket, Ipv4RecvErr, &true),
        _ => setsockopt(&socket, Ipv6RecvErr, &true),
    };
    // As much of it as the machine allows.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    Some((domain, socket))
}
