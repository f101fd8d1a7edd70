//! A rate above which packets are dropped.

use std::time::Instant;

use super::lanes::Lanes;
use crate::censor::{Border, Packet, Piece, Verdict};

/// Drops what comes faster than a rate, each way; nothing is queued. (A token bucket.)
///
/// ```no_run
/// # use lab::censor::{Censor, Policer};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // As Twitter was throttled in Russia in 2021: 130 kbit/s for every connection.
/// let censor = Censor::on(inside).piece(Policer::of(130_000 / 8).each()).start()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Policer {
    rate: f64,
    burst: f64,
    lanes: Lanes<Bucket>,
}

/// How much was sent beyond the rate.
#[derive(Debug, Default)]
struct Bucket {
    spent: f64,
    at: Option<Instant>,
}

impl Policer {
    /// Lets so many bytes a second pass, counted with their IP headers; after a pause, 16 KiB at once.
    #[must_use]
    pub fn of(bytes_per_second: u32) -> Self {
        let rate = f64::from(bytes_per_second);
        Self { rate, burst: 16_384.0, lanes: Lanes::shared() }
    }

    /// Lets so many bytes pass at once after a pause.
    #[must_use]
    pub fn burst(mut self, bytes: u32) -> Self {
        self.burst = f64::from(bytes);
        self
    }

    /// For every connection, and every flow of datagrams, by itself; otherwise for all together.
    #[must_use]
    pub fn each(mut self) -> Self {
        self.lanes = Lanes::each();
        self
    }
}

impl Piece for Policer {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let bucket = self.lanes.of(packet);
        let now = border.now();
        let pause = bucket.at.map(|at| now.saturating_duration_since(at)).unwrap_or_default();
        let length = u32::try_from(packet.bytes().len()).expect("a packet is short");
        let spent = (bucket.spent - pause.as_secs_f64() * self.rate).max(0.0);
        let after = spent + f64::from(length);
        let passes = after <= self.burst;
        *bucket = Bucket { spent: if passes { after } else { spent }, at: Some(now) };
        if passes { Verdict::Pass } else { Verdict::Drop }
    }
}
