//! Many dials at once, without privileges: sockets that do not block, and epoll, on a thread of its
//! own.
//!
//! Two rules keep it truthful when it is starved of the processor: never more than [`A_TURN`] dials
//! between two looks at what has come, and nothing expires by a clock that was read before all that
//! has come was looked at.

mod dials;
mod errors;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use wire::echo::{LENGTH, Shape, dress};

use crate::asking::Questions;
use crate::mail::Mail;
use crate::probe::{Answered, Ask, Met, Outcome, What};
use crate::verdict::{Verdict, kib};
use dials::{Asked, Dial, Dials};
pub(crate) use errors::{broken, refusal};
use errors::{is_full, open};

/// How many dials are made between two looks at what has come.
const A_TURN: usize = 200;
/// Of how many events one look is.
const EVENTS: usize = 1024;
/// What is read of an answer at most: a block page may be long.
const LONGEST_ANSWER: usize = 8 * 1024;

/// Dials what it is asked to until nobody asks any more.
pub(crate) struct Engine {
    pub(crate) mail: Mail<Ask>,
    pub(crate) questions: Arc<Questions>,
    /// How many sockets may be open at a time.
    pub(crate) window: usize,
}

const BELL: u64 = u64::MAX;

impl Engine {
    /// Until there is nobody left who could ask.
    ///
    /// # Errors
    /// When the machine has no epoll for us.
    pub(crate) fn run(self) -> nix::Result<()> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(self.mail.bell.fd(), EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        let mut dials = Dials::new(self.window);
        let mut waiting = VecDeque::new();
        let mut done = Vec::new();
        loop {
            if !self.mail.take(&mut waiting, dials.live == 0) {
                return Ok(());
            }
            for _ in 0..A_TURN.min(self.window.saturating_sub(dials.live)) {
                if !dials.door.has_room() {
                    break;
                }
                let Some(ask) = waiting.pop_front() else { break };
                if !self.dial(&epoll, &mut dials, ask, &mut waiting, &mut done) {
                    break;
                }
            }
            let has_room = dials.live < self.window && dials.door.has_room();
            let sleep = match (waiting.is_empty(), has_room) {
                (true, _) => dials.until_next(),
                (false, true) => Duration::ZERO,
                (false, false) => dials.until_next().min(dials.door.until_next()),
            };
            let drained = self.look(&epoll, sleep, &mut dials, &mut done)?;
            dials.make_room(drained);
            self.expire(&mut dials, drained, &mut done);
            if !self.mail.tell(&mut done) {
                return Ok(());
            }
        }
    }

    /// Dials. When the machine is out of sockets it is put back, and `false` comes.
    fn dial(
        &self,
        epoll: &Epoll,
        dials: &mut Dials,
        ask: Ask,
        waiting: &mut VecDeque<Ask>,
        done: &mut Vec<Outcome>,
    ) -> bool {
        let now = Instant::now();
        let socket = match open(ask.spot.address()) {
            Ok(socket) => socket,
            Err(error) if is_full(&error) && dials.live > 0 => {
                waiting.push_front(ask);
                return false;
            }
            Err(_) => {
                done.push(outcome(ask, now, None, 0, Met::Other(Verdict::Untried)));
                return true;
            }
        };
        match socket.connect(&ask.spot.address().into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) if is_full(&error) && dials.live > 0 => {
                waiting.push_front(ask);
                return false;
            }
            Err(error) => {
                let verdict = refusal(&error).unwrap_or(Verdict::Untried);
                done.push(outcome(ask, now, None, 0, Met::Other(verdict)));
                return true;
            }
        }
        let deadline = now + ask.hold;
        let (place, born) = dials.reserve();
        let token = u64::try_from(place).expect("a window of some thousands");
        let wish = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP;
        let event = EpollEvent::new(wish | EpollFlags::EPOLLET, token);
        if epoll.add(&socket, event).is_err() {
            dials.free.push(place);
            done.push(outcome(ask, now, None, 0, Met::Other(Verdict::Untried)));
            return true;
        }
        let dial = Dial { ask, socket, dialled: now, asked: None, at_door: Some(now) };
        dials.put(place, born, dial, deadline);
        true
    }

    /// Looks at all that has come; returns a time before which all that came was looked at.
    fn look(
        &self,
        epoll: &Epoll,
        sleep: Duration,
        dials: &mut Dials,
        done: &mut Vec<Outcome>,
    ) -> nix::Result<Instant> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let mut timeout = EpollTimeout::try_from(round_up(sleep)).unwrap_or(EpollTimeout::ZERO);
        loop {
            let before = Instant::now();
            let count = match epoll.wait(&mut events, timeout) {
                Err(nix::Error::EINTR) => 0,
                other => other?,
            };
            for event in &events[..count] {
                match usize::try_from(event.data()) {
                    Ok(place) if event.data() != BELL => self.happened(epoll, dials, place, done),
                    _ => self.mail.bell.hush(),
                }
            }
            // A wait that slept says nothing of what came after it began.
            if count < EVENTS && timeout == EpollTimeout::ZERO {
                return Ok(before);
            }
            timeout = EpollTimeout::ZERO;
        }
    }

    fn happened(&self, epoll: &Epoll, dials: &mut Dials, place: usize, done: &mut Vec<Outcome>) {
        let Some((dial, born)) = dials.places.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let born = *born;
        let was_asked = dial.asked.is_some();
        match self.go_on(dial) {
            None if !was_asked && dial.asked.is_some() => {
                let deadline = Instant::now() + dial.ask.patience;
                dials.deadlines.push(Reverse((deadline, place, born)));
                let rtt = dial.asked.as_ref().map(|asked| asked.rtt);
                dials.accepted(place, rtt.unwrap_or_default());
            }
            None => {}
            Some(met) => {
                if let Some(dial) = dials.end(place, matches!(met, Ended::Answered(..))) {
                    done.push(finish(epoll, dial, met));
                }
            }
        }
    }

    /// A dial's next step; what was met, if that is all.
    fn go_on(&self, dial: &mut Dial) -> Option<Ended> {
        if dial.asked.is_none() {
            match dial.socket.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => {
                    return Some(Ended::Other(refusal(&error).unwrap_or(Verdict::Dropped)));
                }
            }
            // Not an error, and not yet accepted either.
            dial.socket.peer_addr().ok()?;
            let rtt = dial.dialled.elapsed();
            if dial.ask.what != What::Echo {
                dial.asked = Some(Asked { question: [0; LENGTH], rtt, sent: 0, came: Vec::new() });
                return Some(Ended::Accepted);
            }
            // So that a missing acknowledgement is told from a missing answer.
            let unacknowledged = dial.ask.patience * 6 / 10;
            let _ = dial.socket.set_tcp_user_timeout(Some(unacknowledged));
            let Ask { spot, shape, .. } = &dial.ask;
            let question = self.questions.fresh(spot, *shape);
            let dressed = spot.dress(*shape).question(&question);
            dial.asked = Some(Asked { question, rtt, sent: dressed.len(), came: Vec::new() });
            if let Err(error) = (&dial.socket).write_all(&dressed) {
                return Some(Ended::Other(broken(&error, 0)));
            }
        }
        let asked = dial.asked.as_mut()?;
        let mut buffer = [0; 2048];
        let end = loop {
            match (&dial.socket).read(&mut buffer) {
                Ok(0) => break Some(Ended::Other(Verdict::Reset { after: 0 })),
                Ok(length) => asked.came.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(Ended::Other(broken(&error, 0))),
            }
            if asked.came.len() > LONGEST_ANSWER {
                break None;
            }
        };
        if asked.came.is_empty() {
            return end;
        }
        let Ask { spot, shape, .. } = &dial.ask;
        let dress = spot.dress(*shape);
        match dress.read_answer(&asked.came) {
            Ok(Some((sealed, used))) => {
                match dial.ask.spot.asker().read(&asked.question, &sealed) {
                    Some(answer) => Some(Ended::Answered(answer, used)),
                    None => Some(Ended::Other(Verdict::Liar)),
                }
            }
            Err(dress::Unlike) => Some(Ended::Other(Verdict::Liar)),
            // Too little, and then an end.
            Ok(None) if end.is_some() => {
                let after = kib(asked.came.len());
                Some(Ended::Other(cut_short(*shape, Verdict::Reset { after })))
            }
            Ok(None) => None,
        }
    }

    fn expire(&self, dials: &mut Dials, drained: Instant, done: &mut Vec<Outcome>) {
        while let Some(&Reverse((deadline, place, born))) = dials.deadlines.peek() {
            if deadline > drained {
                return;
            }
            dials.deadlines.pop();
            let Some((dial, alive)) = dials.places.get(place).and_then(Option::as_ref) else {
                continue;
            };
            // An answer has a deadline of its own.
            let is_due = if let Some(asked) = &dial.asked {
                dial.dialled + asked.rtt + dial.ask.patience <= drained
            } else {
                true
            };
            if *alive != born || !is_due {
                continue;
            }
            if let Some(dial) = dials.end(place, false) {
                let verdict = match &dial.asked {
                    None => Verdict::Dropped,
                    Some(asked) if asked.came.is_empty() => Verdict::Mute,
                    Some(asked) => {
                        let down = Some(kib(asked.came.len()));
                        cut_short(dial.ask.shape, Verdict::Frozen { up: None, down })
                    }
                };
                done.push(close(dial, Met::Other(verdict)));
            }
        }
    }
}

/// Too little of an answer came: as far as it goes it is one, and `verdict` says how it ended. What fits
/// into one packet comes whole or not at all: less of that is somebody else's word.
fn cut_short(shape: Shape, verdict: Verdict) -> Verdict {
    match shape {
        Shape::Printable | Shape::Tls => verdict,
        Shape::Random | Shape::Dns => Verdict::Liar,
    }
}

/// How a dial ended.
#[derive(Clone, Copy)]
enum Ended {
    Answered(wire::echo::Answer, usize),
    Accepted,
    Other(Verdict),
}

fn finish(epoll: &Epoll, mut dial: Dial, ended: Ended) -> Outcome {
    let (answer, used) = match ended {
        Ended::Accepted => return close(dial, Met::Accepted),
        Ended::Other(verdict) => return close(dial, Met::Other(verdict)),
        Ended::Answered(answer, used) => (answer, used),
    };
    let _ = epoll.delete(&dial.socket);
    let Some(mut asked) = dial.asked.take() else {
        return close(dial, Met::Other(Verdict::Untried));
    };
    let came = asked.came.len();
    let bytes = asked.sent + came;
    let rest = asked.came.split_off(used);
    let stream = Some((TcpStream::from(dial.socket), rest));
    let answered = Answered { question: asked.question, answer, stream, came };
    let met = Met::Answered(Box::new(answered));
    outcome(dial.ask, dial.dialled, Some(asked.rtt), bytes, met)
}

/// Ends a connection that was accepted at once, so that routers forget it soon.
fn close(dial: Dial, met: Met) -> Outcome {
    let (mut rtt, mut bytes) = (None, 0);
    if let Some(asked) = &dial.asked {
        let _ = dial.socket.set_linger(Some(Duration::ZERO));
        (rtt, bytes) = (Some(asked.rtt), asked.sent + asked.came.len());
    }
    outcome(dial.ask, dial.dialled, rtt, bytes, met)
}

fn outcome(ask: Ask, dialled: Instant, rtt: Option<Duration>, bytes: usize, met: Met) -> Outcome {
    Outcome { ask, dialled, rtt, bytes: u32::try_from(bytes).unwrap_or(u32::MAX), met }
}

/// To whole milliseconds, so that a short sleep is not none.
fn round_up(sleep: Duration) -> Duration {
    Duration::from_millis(u64::try_from(sleep.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}
