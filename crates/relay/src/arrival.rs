//! A connection until it is known whose it is: its first bytes, bounded in size and time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use wire::classify::MAX_FIRST;

use crate::crowd::Place;
use crate::decoy::Shadow;
use crate::sources::Source;
use crate::tally::Counter;
use crate::{Shared, pump};

/// How long the mask host is not yet asked along. Most hellos come in two segments, the second one
/// just after the first, and some people send everything in small pieces to get past a censor.
const PAUSE: Duration = Duration::from_millis(100);

/// Somebody at the door, not yet known.
pub(crate) struct Arrival<'a> {
    pub shared: &'a Shared,
    pub source: Source,
    /// The port that was dialled.
    pub port: u16,
    pub accepted: Instant,
    pub stream: TcpStream,
    /// What has come so far. No memory is taken before the first byte is there.
    pub first: Vec<u8>,
    /// The mask host, asked along.
    pub shadow: Option<Shadow>,
    /// Whether that was done, with success or without.
    pub asked: bool,
    pub place: Place,
}

/// The next bytes did not come: the caller was too slow, has said too much, is done or had to make
/// room, or the mask host has answered what was said.
pub(crate) struct NoMore;

impl<'a> Arrival<'a> {
    /// Where too many are at the door already, whoever has been there longest makes room.
    pub(crate) fn new(shared: &'a Shared, stream: TcpStream, peer: SocketAddr, port: u16) -> Self {
        let source = Source::from(peer.ip());
        let place = shared.arrivals.press_in(source);
        pump::tune(&stream);
        Self {
            shared,
            source,
            port,
            accepted: Instant::now(),
            stream,
            first: Vec::new(),
            shadow: None,
            asked: false,
            place,
        }
    }

    /// Waits for more bytes.
    ///
    /// With a mask, the mask host hears what has come as soon as the caller pauses, and when it
    /// answers, that is final: a stranger who stops in the middle meets it as if we were not there.
    pub(crate) async fn more(&mut self) -> Result<(), NoMore> {
        if self.first.len() >= MAX_FIRST {
            return Err(NoMore);
        }
        let until = self.accepted + self.shared.limits.first_flight;
        let lost = self.place.lost();
        tokio::select! {
            biased;
            () = lost => {
                self.shared.counters.count(Counter::Crowded);
                Err(NoMore)
            }
            more = timeout_at(until, self.read_or_answer()) => more.map_err(|_| NoMore)?,
        }
    }

    async fn read_or_answer(&mut self) -> Result<(), NoMore> {
        let Self { shared, source, stream, first, shadow, asked, .. } = self;
        if shared.has_mask() && !*asked {
            if let Ok(read) = timeout(PAUSE, pump::read_some(stream, first)).await {
                return read.map_err(|_| NoMore);
            }
            tokio::select! {
                biased;
                read = pump::read_some(stream, first) => return read.map_err(|_| NoMore),
                met = Shadow::meet(shared, stream, *source) => *shadow = met,
            }
            *asked = true;
        }
        let Some(shadow) = shadow else {
            return pump::read_some(stream, first).await.map_err(|_| NoMore);
        };
        shadow.tell(first).await.map_err(|_| NoMore)?;
        tokio::select! {
            biased;
            read = pump::read_some(stream, first) => read.map_err(|_| NoMore),
            () = shadow.answers() => Err(NoMore),
        }
    }
}
