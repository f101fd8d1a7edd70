//! A rate above which packets wait.

use std::time::{Duration, Instant};

use super::lanes::Lanes;
use crate::censor::{Border, Packet, Piece, Verdict};

/// Lets packets wait that come faster than a rate, each way, and drops them when too many wait.
///
/// ```no_run
/// # use lab::censor::{Censor, Shaper};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // A whole network on 64 kbit/s.
/// let censor = Censor::on(inside).piece(Shaper::of(8_000).queue(32_000)).start()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Shaper {
    rate: f64,
    queue: f64,
    /// When all that came has gone.
    lanes: Lanes<Option<Instant>>,
}

impl Shaper {
    /// Lets so many bytes a second pass, counted with their IP headers; 64 KiB can wait.
    #[must_use]
    pub fn of(bytes_per_second: u32) -> Self {
        let rate = f64::from(bytes_per_second.max(1));
        Self { rate, queue: 65_536.0, lanes: Lanes::shared() }
    }

    /// So many bytes can wait.
    #[must_use]
    pub fn queue(mut self, bytes: u32) -> Self {
        self.queue = f64::from(bytes);
        self
    }

    /// For every connection, and every flow of datagrams, by itself; otherwise for all together.
    #[must_use]
    pub fn each(mut self) -> Self {
        self.lanes = Lanes::each();
        self
    }
}

impl Piece for Shaper {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let length = u32::try_from(packet.bytes().len()).expect("a packet is short");
        let now = border.now();
        let lane = self.lanes.of(packet);
        let begin = lane.map_or(now, |free| free.max(now));
        let waits = begin.saturating_duration_since(now).as_secs_f64() * self.rate;
        if waits + f64::from(length) > self.queue {
            return Verdict::Drop;
        }
        let end = begin + Duration::from_secs_f64(f64::from(length) / self.rate);
        *lane = Some(end);
        Verdict::Hold(end)
    }
}
