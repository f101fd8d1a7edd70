//! The climb over datagrams: each of ours is answered by one of the relay's, and what is lost is
//! asked again.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use wire::echo::climb::{MOST, PIECES};
use wire::echo::{Climb, Dress, Kind, Piece, Transport, Wanted, Way};

use super::{
    Climbed, Height, LONGEST, Route, judge_slow, judge_speed, judge_stop, patience, told, unix,
};
use crate::verdict::Verdict;

/// How many datagrams are under way at a time.
const WINDOW: usize = 24;
/// How often one is sent at most.
const TRIES: u8 = 8;
const LONGEST_DATAGRAM: usize = 1500;

/// A port of ours from which the relay was asked, and answered.
pub(super) struct Rope<'a> {
    route: &'a Route,
    socket: UdpSocket,
    climb: Climb,
    dress: Dress,
    bytes: usize,
}

/// A piece that is under way.
struct Sent {
    number: u16,
    at: Instant,
    tries: u8,
}

impl<'a> Rope<'a> {
    /// Asks from a port of its own: on it the pieces follow.
    pub(super) fn new(route: &'a Route) -> Result<Self, Verdict> {
        let socket = dial(route).map_err(|_| Verdict::Untried)?;
        let mut bytes = 0;
        let mut asked = Vec::new();
        let asker = route.spot.asker();
        let dress = route.spot.dress(route.shape);
        for _ in 0..4 {
            let wanted = Wanted {
                transport: Transport::Udp,
                shape: route.shape,
                relay: route.spot.address(),
                time: unix(),
                near: None,
            };
            let question = route.spot.asker().ask(&wanted, wire::random());
            let dressed = dress.question(&question);
            bytes += dressed.len();
            let _ = socket.send(&dressed);
            asked.push(question);
            let deadline = Instant::now() + (route.rtt * 2).max(Duration::from_millis(300));
            while let Some(came) = receive(&socket, deadline) {
                bytes += came.len();
                let read = dress.read_answer(&came);
                let Ok(Some((sealed, _))) = read else { continue };
                let mut all = asked.iter();
                if let Some(question) = all.find(|asked| asker.read(asked, &sealed).is_some()) {
                    let climb = asker.climb(question);
                    let opening = dress.opening(Way::Up, unix());
                    if !opening.is_empty() {
                        bytes += opening.len();
                        let _ = socket.send(&opening);
                    }
                    return Ok(Self { route, socket, climb, dress, bytes });
                }
            }
        }
        // It answered another port of ours, and not this one.
        Err(Verdict::Frozen { up: Some(0), down: Some(0) })
    }

    pub(super) fn climb(&mut self) -> Climbed {
        let mut lost = (0, 0);
        let mut receipt = None;
        let verdict = self.all(&mut lost, &mut receipt);
        let bytes = u32::try_from(self.bytes).unwrap_or(u32::MAX);
        Climbed { verdict, bytes, receipt, lost: Some(lost) }
    }

    fn all(&mut self, lost: &mut (u32, u32), receipt: &mut Option<Vec<u8>>) -> Verdict {
        let began = Instant::now();
        let patience = patience(self.route.rtt, self.route.is_lossy || lost.0 > 2);
        let again = (self.route.rtt * 3 / 2).max(Duration::from_millis(150));
        let (mut next, mut moved) = (0, began);
        let mut under_way: Vec<Sent> = Vec::new();
        let mut height = Height::default();
        while height.down < PIECES {
            while next < PIECES && under_way.len() < WINDOW {
                self.say(Kind::Load, next, height.down, Vec::new());
                under_way.push(Sent { number: next, at: Instant::now(), tries: 1 });
                lost.1 += 1;
                next += 1;
            }
            let late = |sent: &&mut Sent| sent.at.elapsed() > again && sent.tries < TRIES;
            for sent in under_way.iter_mut().filter(late) {
                sent.at = Instant::now();
                sent.tries += 1;
                lost.0 += 1;
                lost.1 += 1;
                let piece = Piece {
                    kind: Kind::Load,
                    number: sent.number,
                    received: height.down,
                    body: Vec::new(),
                };
                self.bytes += self.send(&piece);
            }
            match self.receive(Instant::now() + Duration::from_millis(20)) {
                Some(piece) if piece.kind == Kind::Load => {
                    height.up = height.up.max(piece.received.min(PIECES));
                    if let Some(at) = under_way.iter().position(|sent| sent.number == piece.number)
                    {
                        under_way.swap_remove(at);
                        height.down += 1;
                        moved = Instant::now();
                    }
                }
                _ if moved.elapsed() > patience => return judge_stop(height, false),
                _ if began.elapsed() > LONGEST || self.route.stop.is_set() => {
                    return judge_slow(height, began.elapsed());
                }
                _ => {}
            }
        }
        let took = began.elapsed();
        // Nothing is missing if it does not come.
        let told = told(&self.route.network);
        *receipt = self.exchange(Kind::Receipt, 0, &told, patience).unwrap_or_default();
        judge_speed(took, self.route.rtt)
    }

    /// Whether it still lives, with a receipt for that if the relay gives one.
    pub(super) fn is_alive(&mut self, patience: Duration) -> Option<Option<Vec<u8>>> {
        self.exchange(Kind::Alive, 0, &[], patience)?;
        let told = told(&self.route.network);
        Some(self.exchange(Kind::Receipt, 1, &told, patience).unwrap_or_default())
    }

    /// Says one thing until it is answered: with nothing, or with what.
    fn exchange(
        &mut self,
        kind: Kind,
        number: u16,
        body: &[u8],
        patience: Duration,
    ) -> Option<Option<Vec<u8>>> {
        let end = Instant::now() + patience;
        let again = (self.route.rtt * 3 / 2).max(Duration::from_millis(300));
        while Instant::now() < end {
            self.say(kind, number, PIECES, body.to_vec());
            let deadline = (Instant::now() + again).min(end);
            while let Some(piece) = self.receive(deadline) {
                if piece.kind == kind && piece.number == number {
                    return Some(Some(piece.body).filter(|body| !body.is_empty()));
                }
            }
            if self.route.stop.is_set() {
                return None;
            }
        }
        None
    }

    fn say(&mut self, kind: Kind, number: u16, received: u16, body: Vec<u8>) {
        debug_assert!(body.len() <= MOST);
        let piece = Piece { kind, number, received, body };
        self.bytes += self.send(&piece);
    }

    /// How many bytes it was.
    fn send(&self, piece: &Piece) -> usize {
        let dressed = self.dress.piece(Way::Up, &self.climb.seal(piece), &[]);
        // What is not sent is lost, as any datagram may be.
        let _ = self.socket.send(&dressed);
        dressed.len()
    }

    fn receive(&mut self, deadline: Instant) -> Option<Piece> {
        while let Some(came) = receive(&self.socket, deadline) {
            self.bytes += came.len();
            let read = self.dress.read_piece(Way::Down, &came);
            if let Ok(Some((sealed, _))) = read
                && let Some(piece) = self.climb.open(&sealed)
            {
                return Some(piece);
            }
        }
        None
    }
}

fn dial(route: &Route) -> io::Result<UdpSocket> {
    let any: IpAddr = match route.spot.address() {
        std::net::SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        std::net::SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(route.spot.address())?;
    Ok(socket)
}

/// The next datagram before then.
fn receive(socket: &UdpSocket, deadline: Instant) -> Option<Vec<u8>> {
    let mut buffer = [0; LONGEST_DATAGRAM];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
        match socket.recv(&mut buffer) {
            Ok(length) => return Some(buffer[..length].to_vec()),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return None,
                // A router's word about one of our datagrams; the others may pass.
                _ => std::thread::sleep(Duration::from_millis(5)),
            },
        }
    }
}
