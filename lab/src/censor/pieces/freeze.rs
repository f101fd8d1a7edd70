//! Flows that stop after some kilobytes.

use crate::censor::{Border, Flows, Packet, Piece, Verdict, Way};

/// Lets so many bytes of every connection, and of every flow of datagrams, pass, and nothing after
/// that. Nobody is told.
///
/// ```no_run
/// # use lab::censor::{Censor, Freeze, Piece, Way};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // The "16 KB curtain" before foreign hosts, in Russia since June 2025.
/// let censor = Censor::on(inside).piece(Freeze::after(16 << 10).of(Way::In)).start()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Freeze {
    limit: u64,
    way: Option<Way>,
    /// What was said so far on each flow; of a frozen one, more than any limit.
    said: Flows<u64>,
}

impl Freeze {
    /// Counts what is said over TCP or UDP, both ways together and what is sent again too, and then stops
    /// both ways.
    #[must_use]
    pub fn after(bytes: u64) -> Self {
        Self { limit: bytes, way: None, said: Flows::default() }
    }

    /// Counts, and stops, only one way.
    #[must_use]
    pub fn of(mut self, way: Way) -> Self {
        self.way = Some(way);
        self
    }
}

impl Piece for Freeze {
    fn judge(&mut self, packet: &mut Packet<'_>, _: &mut Border<'_>) -> Verdict {
        let Some(flow) = packet.flow() else {
            return Verdict::Pass;
        };
        if packet.segment().is_some_and(|seen| seen.opens()) {
            *self.said.of(flow) = 0;
        }
        if self.way.is_some_and(|way| way != packet.way()) {
            return Verdict::Pass;
        }
        let said = self.said.of(flow);
        *said = said.saturating_add(packet.payload().len() as u64);
        if *said <= self.limit {
            return Verdict::Pass;
        }
        *said = u64::MAX;
        Verdict::Drop
    }
}
