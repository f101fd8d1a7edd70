//! Addresses that may pass, and no others.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::censor::{Border, Packet, Piece, Verdict};

/// Drops whatever has not one of these addresses at one of its ends.
///
/// ```no_run
/// # use lab::censor::{Allow, Censor};
/// # fn example(inside: &lab::Network, bank: &lab::Host) -> lab::Result {
/// // Iran in 2026: some sources inside may speak with the world, nobody else.
/// let censor = Censor::on(inside).piece(Allow::inside(bank.addresses().iter().copied())).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Allow {
    addresses: HashSet<IpAddr>,
    are_inside: bool,
}

impl Allow {
    /// By the end inside, as the border sees it.
    #[must_use]
    pub fn inside(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { addresses: addresses.into_iter().collect(), are_inside: true }
    }

    /// By the end in the world.
    #[must_use]
    pub fn outside(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { addresses: addresses.into_iter().collect(), are_inside: false }
    }
}

impl Piece for Allow {
    fn judge(&mut self, packet: &mut Packet<'_>, _: &mut Border<'_>) -> Verdict {
        let end = if self.are_inside { packet.inside() } else { packet.outside() };
        if self.addresses.contains(&end) { Verdict::Pass } else { Verdict::Drop }
    }
}
