//! A piece that is at work only sometimes.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::censor::{Border, Packet, Piece, Verdict};
use crate::clock::Clock;

/// What decides whether a piece gets to see a packet: a function, or [`Hours`].
pub trait Condition: Send + 'static {
    /// Whether it does.
    fn holds(&self, packet: &Packet<'_>) -> bool;
}

impl<F: Fn(&Packet<'_>) -> bool + Send + 'static> Condition for F {
    fn holds(&self, packet: &Packet<'_>) -> bool {
        self(packet)
    }
}

/// Some hours of a clock, see [`Piece::during`].
#[derive(Clone, Debug)]
pub struct Hours {
    clock: Clock,
    spans: Vec<Range<Duration>>,
    is_within: bool,
}

impl Hours {
    pub(in crate::censor) fn within(
        clock: &Clock,
        spans: impl IntoIterator<Item = Range<Duration>>,
    ) -> Self {
        Self { clock: clock.clone(), spans: spans.into_iter().collect(), is_within: true }
    }

    pub(in crate::censor) fn without(
        clock: &Clock,
        spans: impl IntoIterator<Item = Range<Duration>>,
    ) -> Self {
        Self { is_within: false, ..Self::within(clock, spans) }
    }
}

impl Condition for Hours {
    fn holds(&self, _: &Packet<'_>) -> bool {
        let now = self.clock.now();
        self.spans.iter().any(|span| span.contains(&now)) == self.is_within
    }
}

/// A piece that only gets to see some packets, see [`Piece::when`].
pub struct When<P, C> {
    piece: P,
    condition: C,
}

impl<P, C> When<P, C> {
    pub(in crate::censor) fn new(piece: P, condition: C) -> Self {
        Self { piece, condition }
    }
}

impl<P: Piece, C: Condition> Piece for When<P, C> {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        if self.condition.holds(packet) { self.piece.judge(packet, border) } else { Verdict::Pass }
    }
}

impl<P: fmt::Debug, C> fmt::Debug for When<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When").field("piece", &self.piece).finish_non_exhaustive()
    }
}
