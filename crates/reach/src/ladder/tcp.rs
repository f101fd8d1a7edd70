//! The climb over a connection: both ways at once.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::SockRef;
use wire::echo::climb::PIECES;
use wire::echo::{Climb, Dress, Kind, Piece, Question, Way};

use super::acknowledged::acknowledged;
use super::{
    Climbed, Height, LONGEST, Route, judge_slow, judge_speed, judge_stop, patience, told, unix,
};
use crate::tcp::broken;
use crate::verdict::{Verdict, kib};

/// How much the kernel takes of ours before any of it is acknowledged, in bytes.
const IN_FLIGHT: usize = 32 * 1024;

/// How long a relay waits for ours before it sends its last piece, and a little.
const KEPT: Duration = Duration::from_millis(1_200);

/// How many pieces go before the relay's first has come: whoever counts both ways together must let
/// some of either pass, so that it shows where they stop.
const FIRST: u16 = 8;

/// A connection on which the relay has answered.
pub(super) struct Rope<'a> {
    route: &'a Route,
    stream: TcpStream,
    climb: Climb,
    dress: Dress,
    came: Vec<u8>,
    going: Vec<u8>,
    height: Height,
    bytes: usize,
    /// How many bytes the line has brought, with the answer and all noise.
    line_down: usize,
    /// How many it has been given, with the question, and had when each piece of load ended.
    written: usize,
    line_up: Vec<usize>,
    receipt: Option<Vec<u8>>,
}

impl<'a> Rope<'a> {
    pub(super) fn new(
        route: &'a Route,
        stream: TcpStream,
        came: Vec<u8>,
        question: &Question,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        let _ = socket.set_send_buffer_size(IN_FLIGHT);
        // From here on silence is for us to judge.
        socket.set_tcp_user_timeout(None)?;
        // The relay has answered, so that all of the question has been acknowledged.
        let asked = acknowledged(&stream)?;
        let climb = route.spot.asker().climb(question);
        let dress = route.spot.dress(route.shape);
        let going = dress.opening(Way::Up, unix());
        let height = Height::default();
        Ok(Self {
            route,
            stream,
            climb,
            dress,
            came,
            going,
            height,
            bytes: 0,
            line_down: 0,
            written: asked,
            line_up: Vec::new(),
            receipt: None,
        })
    }

    /// So many bytes of the line were read before.
    pub(super) fn has_come(&mut self, bytes: usize) {
        self.line_down = bytes;
    }

    pub(super) fn climb(&mut self) -> Climbed {
        let began = Instant::now();
        let verdict = self.all(began).unwrap_or_else(|error| broken(&error, kib(self.line_down)));
        let bytes = u32::try_from(self.bytes).unwrap_or(u32::MAX);
        Climbed { verdict, bytes, receipt: self.receipt.take(), lost: None }
    }

    fn all(&mut self, began: Instant) -> io::Result<Verdict> {
        let patience = patience(self.route.rtt, self.route.is_lossy);
        (0..FIRST).for_each(|number| self.say(Kind::Load, number, Vec::new()));
        let mut is_all_said = false;
        let mut moved = Instant::now();
        let mut is_asked = false;
        let mut took = None;
        let mut is_through = false;
        while !is_through {
            // What came before an end still counts.
            let read = self.read();
            while let Some(piece) = self.next()? {
                self.height.up = self.height.up.max(piece.received.min(PIECES));
                match piece.kind {
                    Kind::Load => self.height.down += 1,
                    Kind::Receipt => {
                        is_through = true;
                        self.receipt = Some(piece.body).filter(|body| !body.is_empty());
                    }
                    Kind::Alive => {}
                }
            }
            if self.height.down > 0 && !is_all_said {
                is_all_said = true;
                (FIRST..PIECES).for_each(|number| self.say(Kind::Load, number, Vec::new()));
            }
            // A receipt says how far this went as the relay knows it: that all of its pieces are here, we
            // say with the question.
            if self.height.down >= PIECES && !is_asked {
                is_asked = true;
                self.say(Kind::Receipt, 0, told(&self.route.network));
            }
            if self.height.down.min(self.height.up) >= PIECES {
                took.get_or_insert_with(|| began.elapsed());
            }
            let has_moved = read? | self.write()?;
            // The last piece is kept back for a second, if ours are missing: it says how many.
            let is_kept = self.height.down + 1 >= PIECES;
            let patience = patience + if is_kept { KEPT } else { Duration::ZERO };
            // All of theirs are here, and one of them said that ours are not all there.
            let is_short = self.height.down >= PIECES && self.height.up < PIECES;
            let patience = if is_short { patience / 2 } else { patience };
            if has_moved {
                moved = Instant::now();
            } else if moved.elapsed() > patience {
                if took.is_none() {
                    return self.stopped(is_all_said);
                }
                // All has passed; nothing is missing if the receipt does not come.
                break;
            } else if began.elapsed() > LONGEST || self.route.stop.is_set() {
                if took.is_none() {
                    return Ok(judge_slow(self.height, began.elapsed()));
                }
                break;
            } else {
                self.wait(Duration::from_millis(50))?;
            }
        }
        Ok(judge_speed(took.unwrap_or_else(|| began.elapsed()), self.route.rtt))
    }

    /// Whether it still lives, with a receipt for that if the relay gives one.
    pub(super) fn is_alive(&mut self, patience: Duration) -> Option<Option<Vec<u8>>> {
        let deadline = Instant::now() + patience;
        self.say(Kind::Alive, 0, Vec::new());
        self.say(Kind::Receipt, 1, told(&self.route.network));
        let mut is_alive = false;
        while Instant::now() < deadline {
            let has_moved = self.write().ok()? | self.read().ok()?;
            while let Some(piece) = self.next().ok()? {
                match piece.kind {
                    Kind::Alive => is_alive = true,
                    Kind::Receipt if is_alive => {
                        return Some(Some(piece.body).filter(|body| !body.is_empty()));
                    }
                    _ => {}
                }
            }
            if !has_moved {
                self.wait(Duration::from_millis(50)).ok()?;
            }
        }
        is_alive.then_some(None)
    }

    /// Nothing moves any more. Whoever lets only so much through counts what is on the line, and not
    /// what it is worth to us: that is what is told.
    ///
    /// How much went up, the relay says with each piece, and last with one that it may be unable to send
    /// where our acknowledgements do not arrive. The machine knows what was acknowledged.
    fn stopped(&self, is_all_said: bool) -> io::Result<Verdict> {
        let acknowledged = acknowledged(&self.stream)?;
        let is_all_taken = is_all_said && acknowledged >= self.written + self.going.len();
        let mut height = self.height;
        let has_all_up = is_all_taken && height.down < PIECES;
        let mut up = self.line_up.get(usize::from(height.up).wrapping_sub(1)).copied().unwrap_or(0);
        if height.down < PIECES {
            up = up.max(acknowledged);
        }
        if height.down + 1 == PIECES && !has_all_up {
            // It is ours that their last one waits for.
            height.down = PIECES;
        }
        Ok(match judge_stop(height, has_all_up) {
            Verdict::Frozen { up: stops_up, down } => Verdict::Frozen {
                up: stops_up.map(|_| kib(up)),
                down: down.map(|_| kib(self.line_down)),
            },
            other => other,
        })
    }

    fn say(&mut self, kind: Kind, number: u16, body: Vec<u8>) {
        let piece = self.climb.seal(&Piece { kind, number, received: self.height.down, body });
        self.going.extend(self.dress.piece(Way::Up, &piece, &[]));
        if kind == Kind::Load {
            self.line_up.push(self.written + self.going.len());
        }
    }

    /// The next piece of the relay's.
    fn next(&mut self) -> io::Result<Option<Piece>> {
        let read = self.dress.read_piece(Way::Down, &self.came);
        let Some((sealed, used)) = read.map_err(io::Error::other)? else { return Ok(None) };
        self.came.drain(..used);
        self.climb.open(&sealed).map(Some).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn write(&mut self) -> io::Result<bool> {
        let mut written = 0;
        while written < self.going.len() {
            match (&self.stream).write(&self.going[written..]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.going.drain(..written);
        self.bytes += written;
        self.written += written;
        Ok(written > 0)
    }

    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let mut has_read = false;
        loop {
            match (&self.stream).read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    has_read = true;
                    self.bytes += length;
                    self.line_down += length;
                    self.came.extend_from_slice(&buffer[..length]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(has_read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn wait(&self, most: Duration) -> io::Result<()> {
        let mut wish = PollFlags::POLLIN;
        wish.set(PollFlags::POLLOUT, !self.going.is_empty());
        let mut fds = [PollFd::new(self.stream.as_fd(), wish)];
        match poll(&mut fds, PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO)) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
