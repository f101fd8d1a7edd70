//! A connection until it is known whose it is: its first bytes, bounded in size and time.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use wire::classify::MAX_FIRST;
use wire::tls::hello::{Prefix, prefix};

use crate::crowd::Place;
use crate::decoy::{Caller, Shadow, Timing};
use crate::patience::Patience;
use crate::search::Found;
use crate::sources::Source;
use crate::tally::Counter;
use crate::{Shared, pump};

/// How long after its start a connection is left alone that has said nothing, or the beginning of a
/// hello. Hellos of today come in two segments, the second one just after the first; and a website
/// says nothing to half a hello, so that nobody can tell.
const SETTLE: Duration = Duration::from_millis(50);

/// Somebody at the door, not yet known.
pub(crate) struct Arrival<'a> {
    pub shared: &'a Arc<Shared>,
    pub source: Source,
    /// The port there.
    pub source_port: u16,
    /// The address and the port that were dialled.
    pub dialled: SocketAddr,
    pub port: u16,
    pub accepted: Instant,
    pub stream: TcpStream,
    /// What has come so far. No memory is taken before the first byte is there.
    pub first: Vec<u8>,
    /// When the last of it came.
    pub heard: Instant,
    /// When the first of it came, and how much that was.
    began: Instant,
    pub first_piece: usize,
    /// The mask host, asked along.
    pub shadow: Shadow<'a>,
    pub place: Place,
}

/// The next bytes did not come.
pub(crate) enum NoMore {
    /// The caller was too slow, has said too much, is done or had to make room, or the mask host has
    /// answered what was said.
    Enough,
    /// The caller went away.
    Gone,
}

impl<'a> Arrival<'a> {
    /// Where too many are at the door already, whoever has been there longest makes room.
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        stream: TcpStream,
        peer: SocketAddr,
        dialled: SocketAddr,
    ) -> Self {
        let source = Source::from(peer.ip());
        let place = shared.arrivals.press_in(source);
        let accepted = Instant::now();
        Self {
            shared,
            source,
            source_port: peer.port(),
            dialled,
            port: dialled.port(),
            accepted,
            stream,
            first: Vec::new(),
            heard: accepted,
            began: accepted,
            first_piece: 0,
            shadow: Shadow::NotYet,
            place,
        }
    }

    /// Waits for more bytes.
    ///
    /// With a mask, the mask host hears what has come while more is waited for, and when it answers,
    /// that is final: a stranger who stops in the middle meets it as if we were not there.
    pub(crate) async fn more(&mut self) -> Result<(), NoMore> {
        if self.first.len() >= MAX_FIRST {
            return Err(NoMore::Enough);
        }
        let until = self.accepted + self.shared.limits.first_flight;
        let lost = self.place.lost();
        tokio::select! {
            biased;
            () = lost => {
                self.shared.counters.count(Counter::Crowded);
                return Err(NoMore::Enough);
            }
            read = timeout_at(until, self.read_or_answer()) => read.unwrap_or(Err(NoMore::Enough))?,
        }
        self.heard = Instant::now();
        if self.first_piece == 0 {
            (self.first_piece, self.began) = (self.first.len(), self.heard);
        }
        Ok(())
    }

    async fn read_or_answer(&mut self) -> Result<(), NoMore> {
        // Without a mask host there is nobody to wait for, and nothing is to be looked up.
        let timing = self.shared.asks_the_mask_along().then(|| self.timing());
        let has_its_say = self.house_has_its_say();
        let Self { shared, source, dialled, stream, first, shadow, .. } = self;
        let (shared, source, dialled) = (*shared, *source, *dialled);
        let caller = Caller { shared, source, dialled };
        loop {
            let answered = async {
                match (timing, has_its_say) {
                    (Some(timing), _) => shadow.listen(caller, first, timing).await,
                    (None, Some(at)) => sleep_until(at).await,
                    (None, None) => pending().await,
                }
            };
            tokio::select! {
                biased;
                ready = stream.readable() => ready.map_err(|_| NoMore::Gone)?,
                () = answered => return Err(NoMore::Enough),
            }
            match pump::try_read(stream, first) {
                Ok(0) => return Err(NoMore::Enough),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(NoMore::Gone),
            }
        }
    }

    /// When what has come so far is the website's, if that is in this process: it says nothing to half
    /// a hello, and at once to other bytes that it is no such thing.
    pub(crate) fn house_has_its_say(&self) -> Option<Instant> {
        let is_hello = self.first.is_empty() || prefix(&self.first) != Prefix::Impossible;
        let is_due = self.shared.house.is_some() && !is_hello;
        is_due.then(|| {
            let patience = self.shared.patiences.with(self.source);
            (self.heard + patience.time()).min(self.began + patience.in_all())
        })
    }

    /// From when on the mask host is asked along, and from when on its answer counts.
    ///
    /// What is neither a hello nor long enough for a first flight is shown to it at once, because it
    /// may answer that at once. It may be the first part of a person's plain or padded flight: the
    /// mask host sees less than 64 random bytes then, which say nothing, and never those of somebody
    /// who is known to send pieces.
    fn timing(&self) -> Timing {
        let is_hello = self.first.is_empty() || prefix(&self.first) == Prefix::Partial;
        let patience = self.shared.patiences.with(self.source);
        let counts = self.heard + patience.time();
        let from = match patience {
            Patience::Much if !self.first.is_empty() => counts,
            _ if is_hello => self.accepted + SETTLE,
            _ => self.heard,
        };
        Timing { from, counts, held: patience.in_all() }
    }

    /// A key opened what came, and it is new.
    pub(crate) fn was_let_in(&mut self, found: Found) {
        self.shared.finder.welcome(self.source, self.source_port, found);
        self.shared.patiences.learn(self.source, self.first_piece, self.first.len());
        self.shadow = Shadow::Nobody;
    }
}
