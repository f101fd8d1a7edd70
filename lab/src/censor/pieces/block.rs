//! Nothing passes.

use crate::censor::{Border, Packet, Piece, Verdict};

/// Drops whatever it sees. With [`Piece::when`] it blocks an address, a port, one of the two families;
/// with [`Piece::during`] it is a shutdown.
///
/// ```no_run
/// # use lab::censor::{Block, Censor, Piece};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // As in Iran in 2025: no IPv6 at all.
/// let censor = Censor::on(inside).piece(Block.when(|packet| packet.outside().is_ipv6())).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Block;

impl Piece for Block {
    fn judge(&mut self, _: &mut Packet<'_>, _: &mut Border<'_>) -> Verdict {
        Verdict::Drop
    }
}
