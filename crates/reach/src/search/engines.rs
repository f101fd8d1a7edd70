//! The engines, each on a thread of its own, and their letter boxes.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use wire::echo::{Answer, Transport};

use super::{Error, Mode, Options};
use crate::asking::Questions;
use crate::mail::Mail;
use crate::probe::{Ask, Bell, News, Teller, What};
use crate::udp::Datagram;
use crate::{Spot, Targets, raw, tcp, udp};

/// How many sockets are left to others, and how many are taken at most.
const SPARE_SOCKETS: u64 = 200;
const MOST_SOCKETS: u64 = 19_800;

/// All of them.
pub(super) struct Engines {
    tcp: Engine<Ask>,
    udp: Engine<Datagram>,
    /// Where there is a raw socket.
    raw: Option<Engine<Ask>>,
    questions: Arc<Questions>,
    /// How many sockets may be open at a time.
    window: usize,
}

/// An engine's letter box.
struct Engine<T> {
    asks: Sender<Vec<T>>,
    bell: Bell,
    batch: Vec<T>,
    /// How many of its asks are out.
    out: usize,
}

impl Engines {
    /// Starts them.
    pub(super) fn start(
        targets: &Targets,
        options: &Options,
        teller: &Teller,
    ) -> Result<Self, Error> {
        let window = sockets();
        let questions = Arc::new(Questions::new());
        let (tcp, mail) = Engine::new(teller)?;
        let work = tcp::Engine { mail, questions: Arc::clone(&questions), window };
        spawn("dials", tells_its_end(teller.clone(), move || work.run()))?;
        let (udp, mail) = Engine::new(teller)?;
        let (its_questions, its_targets) = (Arc::clone(&questions), targets.clone());
        let work = udp::Engine { mail, questions: its_questions, targets: its_targets };
        spawn("datagrams", tells_its_end(teller.clone(), move || work.run()))?;
        let mut raw = None;
        if options.mode == Mode::Loud
            && let Some(socket) = &options.raw
        {
            let (engine, mail) = Engine::new(teller)?;
            let work = raw::Engine { mail, socket: socket.socket(), targets: targets.clone() };
            spawn("syns", tells_its_end(teller.clone(), move || work.run()))?;
            raw = Some(engine);
        }
        Ok(Self { tcp, udp, raw, questions, window })
    }

    /// Whether packets of our own making can be sent.
    pub(super) fn has_raw(&self) -> bool {
        self.raw.is_some()
    }

    /// Whether there is room for a dial in a hurry.
    pub(super) fn has_room(&self) -> bool {
        self.tcp.out < self.window
    }

    /// How much is out.
    pub(super) fn out(&self) -> usize {
        self.tcp.out + self.udp.out + self.raw.as_ref().map_or(0, |raw| raw.out)
    }

    /// Asks, at the next [`Self::flush`].
    pub(super) fn ask(&mut self, ask: Ask) {
        match (ask.what, &mut self.raw, ask.spot.transport()) {
            (What::Syn, Some(raw), _) => raw.put(ask),
            (_, _, Transport::Tcp) => self.tcp.put(ask),
            (_, _, Transport::Udp) => {
                let moment = self.questions.moment(&ask.spot);
                let question = self.questions.question(&ask.spot, ask.shape, ask.attempt, moment);
                let bytes = ask.spot.dress(ask.shape).question(&question);
                self.udp.put(Datagram { ask, bytes });
            }
        }
    }

    /// The relay there has told its time, and where it sees us.
    pub(super) fn learn(&self, spot: &Spot, answer: &Answer) {
        self.questions.learn(spot, answer);
    }

    /// Hands over what is to be asked.
    pub(super) fn flush(&mut self) {
        self.tcp.send();
        self.udp.send();
        if let Some(raw) = &mut self.raw {
            raw.send();
        }
    }

    /// The outcome of this ask has come.
    pub(super) fn ended(&mut self, ask: &Ask) {
        match (ask.what, &mut self.raw, ask.spot.transport()) {
            (What::Syn, Some(raw), _) => raw.out -= 1,
            (_, _, Transport::Tcp) => self.tcp.out -= 1,
            (_, _, Transport::Udp) => self.udp.out -= 1,
        }
    }
}

impl<T> Engine<T> {
    /// The other end is the engine's.
    fn new(teller: &Teller) -> std::io::Result<(Self, Mail<T>)> {
        let (to, asks) = mpsc::channel();
        let bell = Bell::new()?;
        let mail = Mail { asks, bell: bell.clone(), teller: teller.clone() };
        Ok((Self { asks: to, bell, batch: Vec::new(), out: 0 }, mail))
    }

    fn put(&mut self, ask: T) {
        self.out += 1;
        self.batch.push(ask);
    }

    fn send(&mut self) {
        if !self.batch.is_empty() {
            let _ = self.asks.send(std::mem::take(&mut self.batch));
            self.bell.ring();
        }
    }
}

impl<T> Drop for Engine<T> {
    /// An engine that sleeps sees that nobody can ask any more.
    fn drop(&mut self) {
        let (nobody, _) = mpsc::channel();
        self.asks = nobody;
        self.bell.ring();
    }
}

/// An engine that the machine fails ends the search, which would wait for it otherwise.
fn tells_its_end(
    teller: Teller,
    engine: impl FnOnce() -> nix::Result<()> + Send + 'static,
) -> impl FnOnce() + Send + 'static {
    move || {
        if engine().is_err() {
            let _ = teller.send(News::Dead);
        }
    }
}

/// A thread.
pub(super) fn spawn(name: &str, code: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(code).map(drop)
}

/// How many sockets may be open at a time, when we have asked for as many as we may have.
fn sockets() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let wanted = hard.min(MOST_SOCKETS + SPARE_SOCKETS);
    let have = match setrlimit(Resource::RLIMIT_NOFILE, wanted.max(soft), hard) {
        Ok(()) => wanted.max(soft),
        Err(_) => soft,
    };
    let window = have.saturating_sub(SPARE_SOCKETS).clamp(64, MOST_SOCKETS);
    usize::try_from(window).expect("below 20,000")
}
