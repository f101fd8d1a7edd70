//! Packets that come twice.

use crate::censor::{Border, Packet, Piece, Verdict};

/// Sends a share of all packets twice, each by a throw of dice.
///
/// ```no_run
/// # use lab::censor::{Censor, Twice};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// let censor = Censor::on(inside).piece(Twice::of(0.05)).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Twice(f64);

impl Twice {
    /// This share each way, from 0 to 1.
    #[must_use]
    pub fn of(share: f64) -> Self {
        Self(share)
    }
}

impl Piece for Twice {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        if border.share() < self.0 {
            border.send(packet.way(), packet.bytes().to_vec());
        }
        Verdict::Pass
    }
}
