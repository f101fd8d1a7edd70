//! Connections that come about, and that is all.

use crate::censor::{Border, Packet, Piece, Verdict, Way};

/// Lets a server accept TCP connections, and nothing else of them return.
///
/// ```no_run
/// # use lab::censor::{Censor, HandshakeOnly};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // Iran in 2026, in front of some addresses. In Russia, before foreign servers, it is `both_ways()`.
/// let censor = Censor::on(inside).piece(HandshakeOnly::new()).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HandshakeOnly {
    both_ways: bool,
}

impl HandshakeOnly {
    /// What is said to a server still arrives there.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nor does anything arrive that is said to a server.
    #[must_use]
    pub fn both_ways(mut self) -> Self {
        self.both_ways = true;
        self
    }
}

impl Piece for HandshakeOnly {
    fn judge(&mut self, packet: &mut Packet<'_>, _: &mut Border<'_>) -> Verdict {
        let Some(seen) = packet.segment() else {
            return Verdict::Pass;
        };
        let is_harmed = match packet.way() {
            Way::In => !seen.accepts(),
            Way::Out => self.both_ways && !packet.payload().is_empty(),
        };
        if is_harmed { Verdict::Drop } else { Verdict::Pass }
    }
}
