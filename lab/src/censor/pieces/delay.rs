//! A long way.

use std::time::{Duration, Instant};

use crate::censor::{Border, Packet, Piece, Verdict};

/// Holds every packet for a while, and keeps their order.
///
/// ```no_run
/// # use std::time::Duration;
/// # use lab::censor::{Censor, Delay};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // From Almaty to Frankfurt and back in 190 to 210 ms.
/// let way = Delay::of(Duration::from_millis(95)).jitter(Duration::from_millis(10));
/// let censor = Censor::on(inside).piece(way).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    ways: [Duration; 2],
    jitter: Duration,
    /// When the last packet of each way goes on.
    last: [Option<Instant>; 2],
}

impl Delay {
    /// Holds packets for so long, each way; it is exact to a millisecond.
    #[must_use]
    pub fn of(each: Duration) -> Self {
        Self::ways(each, each)
    }

    /// Holds what goes out, and what comes in, for so long.
    #[must_use]
    pub fn ways(out: Duration, inward: Duration) -> Self {
        Self { ways: [out, inward], jitter: Duration::ZERO, last: [None; 2] }
    }

    /// And by up to so much longer, each packet by a throw of dice; none overtakes another.
    #[must_use]
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }
}

impl Piece for Delay {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let way = packet.way() as usize;
        let jitter = match self.jitter.is_zero() {
            true => Duration::ZERO,
            false => self.jitter.mul_f64(border.share()),
        };
        let due = border.now() + self.ways[way] + jitter;
        let due = self.last[way].map_or(due, |last| due.max(last));
        self.last[way] = Some(due);
        Verdict::Hold(due)
    }
}
