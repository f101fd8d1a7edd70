//! Answers of TLS that never come.

use crate::censor::{Border, Flows, Packet, Piece, Verdict, Way};

/// Drops the hello of every TLS server, and whatever else it says on that connection: what goes out
/// arrives, what comes in is dead. So did two providers in Iran in June 2025.
///
/// ```no_run
/// # use lab::censor::{Censor, NoServerHello};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// let censor = Censor::on(inside).piece(NoServerHello::new()).start()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct NoServerHello {
    /// Connections that are dead.
    dead: Flows<bool>,
}

impl NoServerHello {
    /// On any port.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Piece for NoServerHello {
    fn judge(&mut self, packet: &mut Packet<'_>, _: &mut Border<'_>) -> Verdict {
        let (Some(flow), Some(seen)) = (packet.flow(), packet.segment()) else {
            return Verdict::Pass;
        };
        if seen.opens() && self.dead.get(flow).is_some() {
            *self.dead.of(flow) = false;
        }
        if packet.way() == Way::Out || packet.payload().is_empty() {
            return Verdict::Pass;
        }
        // A record of a handshake, and in it what a server begins with.
        if let [0x16, 3, _, _, _, 2, ..] = packet.payload() {
            *self.dead.of(flow) = true;
        }
        if self.dead.get(flow) == Some(&true) { Verdict::Drop } else { Verdict::Pass }
    }
}
