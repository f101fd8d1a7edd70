//! Packets that get lost.

use crate::censor::{Border, Packet, Piece, Verdict};

/// Loses a share of all packets, each by a throw of dice.
///
/// ```no_run
/// # use lab::censor::{Censor, Loss};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // A bad line: every tenth packet is lost, each way.
/// let censor = Censor::on(inside).piece(Loss::of(0.1)).seed(7).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    ways: [f64; 2],
}

impl Loss {
    /// Loses this share each way, from 0 to 1.
    #[must_use]
    pub fn of(share: f64) -> Self {
        Self::ways(share, share)
    }

    /// Loses these shares of what goes out and of what comes in.
    #[must_use]
    pub fn ways(out: f64, inward: f64) -> Self {
        Self { ways: [out, inward] }
    }
}

impl Piece for Loss {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let share = self.ways[packet.way() as usize];
        if border.share() < share { Verdict::Drop } else { Verdict::Pass }
    }
}
