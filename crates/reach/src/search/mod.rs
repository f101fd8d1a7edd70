//! A search, from its start to its end: candidates race, what answers climbs, what is found is told at
//! once. It ends by itself, and at any moment when it is asked to.

mod engines;
mod hearing;
mod heart;
mod lane;
mod map;

use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wire::crack::Network;
use wire::echo::Transport;
use wire::receipt::Receipt;
use wire::trusted::Trusted;

use crate::raw::RawSocket;
use crate::stop::Stop;
use crate::verdict::Finding;
use crate::{Report, Targets};
use heart::Heart;
pub use map::Map;

/// How often one candidate is asked at most, in one shape: once, and then in pairs where datagrams
/// carry it.
pub(crate) const ATTEMPTS: u8 = 2 * (lane::PASSES + crate::order::PROVEN_TRIES) - 3;

/// How much noise a search may make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As somebody would who is watched: see [`crate::pace`].
    Quiet,
    /// As fast as the machine can, towards relays that have answered before; the provider sees it,
    /// and a home router may forget everybody's connections.
    Loud,
}

/// How to search.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much noise it may make.
    pub mode: Mode,
    /// By what; both unless a test wants one.
    pub transports: Vec<Transport>,
    /// Where we are, if the person knows: goes into receipts, and chooses among others'.
    pub network: Network,
    /// Receipts of others, or of ours of earlier days. A relay whose receipt is here has answered an
    /// echo, so that it may be searched loudly at once.
    pub receipts: Vec<Trusted<Receipt>>,
    /// What others say without proof.
    pub reports: Vec<Report>,
    /// Ends when so many ports are found, and tried at a second relay; `None`: when all are tried.
    pub enough: Option<usize>,
    /// Ends then at the latest, but for what is being confirmed.
    pub at_most: Duration,
    /// Whether to look at what was found once more after a minute.
    pub stays: bool,
    /// Whether the pinned signer vouches that every relay of the bundle is one, so that all may be
    /// searched loudly at once.
    pub is_enrolled: bool,
    /// How many dials a second when it is loud.
    pub loud_tcp: u32,
    /// How many datagrams a second when it is loud.
    pub loud_udp: u32,
    /// With what to send SYNs of our own making to IPv4 addresses, when it is loud; what answers them is
    /// then dialled, as all is without it.
    pub raw: Option<RawSocket>,
    /// How many of those a second.
    pub loud_raw: u32,
    /// What makes this person's order another one than the next person's.
    pub key: [u8; 32],
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Quiet,
            transports: Transport::ALL.to_vec(),
            network: Network::Unknown,
            receipts: Vec::new(),
            reports: Vec::new(),
            enough: Some(3),
            at_most: Duration::from_secs(600),
            stays: true,
            is_enrolled: false,
            loud_tcp: 60_000,
            loud_udp: 250_000,
            raw: None,
            loud_raw: 250_000,
            key: wire::random(),
        }
    }
}

impl Options {
    /// Everything, as fast as can be.
    #[must_use]
    pub fn loud() -> Self {
        Self { mode: Mode::Loud, enough: None, ..Self::default() }
    }
}

/// What happens in a search.
#[derive(Clone, Debug)]
pub enum Event {
    /// It begins.
    Started {
        /// With so many relays that this machine has a route to.
        relays: usize,
    },
    /// A candidate's verdict: one for each spot and shape that was tried.
    Finding(Finding),
    /// A later word on a crack: it lived for a minute, or died.
    Confirmed(Finding),
    /// How it goes; a few times a second.
    Progress {
        /// So many spots were tried.
        tried: usize,
        /// So many are being tried, and so many climb.
        waiting: usize,
        /// Since when.
        at: Duration,
        /// When the next is tried, if that is a while.
        next: Option<Duration>,
    },
    /// All that was to be tried has its verdict; only minutes are waited for.
    Swept {
        /// When.
        at: Duration,
    },
}

/// Why there is no search.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No relay can be reached.
    #[error("this machine has no route to any relay of the bundle; is it connected to anything?")]
    NoRoute,
    /// The machine gives no threads or sockets.
    #[error("cannot search: {0}")]
    Machine(#[from] std::io::Error),
}

/// A search that goes on.
#[derive(Debug)]
pub struct Search {
    stop: Stop,
    heart: Option<JoinHandle<Map>>,
}

impl Search {
    /// Begins. The events end when the search does; who does not read them loses nothing but them.
    ///
    /// # Errors
    /// When this machine has no route to any of the relays, or no sockets.
    pub fn start(targets: Targets, options: Options) -> Result<(Self, Receiver<Event>), Error> {
        let targets = targets.routed();
        if targets.relays() == 0 {
            return Err(Error::NoRoute);
        }
        let (events, listener) = mpsc::channel();
        let stop = Stop::default();
        let heart = Heart::new(targets, options, stop.clone(), events)?;
        let heart = thread::Builder::new().name("search".to_owned()).spawn(move || heart.beat())?;
        Ok((Self { stop, heart: Some(heart) }, listener))
    }

    /// Ends it soon; [`Self::join`] gives what was found.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Something that can end it from another thread.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        let stop = self.stop.clone();
        move || stop.stop()
    }

    /// Waits for its end.
    #[must_use]
    pub fn join(mut self) -> Map {
        self.heart.take().and_then(|heart| heart.join().ok()).unwrap_or_default()
    }
}

/// A search that nobody waits for ends.
impl Drop for Search {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

#[cfg(test)]
mod tests;
