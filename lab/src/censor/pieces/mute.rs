//! Connections that are accepted by nobody.

use crate::censor::{Border, Packet, Piece, Verdict, Way, forge};

/// Accepts every TCP connection in the server's place, takes what is said, and never says anything. The
/// server hears nothing of it.
///
/// ```no_run
/// # use lab::censor::{Censor, MuteAccept, Piece};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // All ports but one look open.
/// let mute = MuteAccept.when(|packet| packet.port() != Some(179));
/// let censor = Censor::on(inside).piece(mute).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MuteAccept;

impl Piece for MuteAccept {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let (Way::Out, Some(flow), Some(seen)) = (packet.way(), packet.flow(), packet.segment())
        else {
            return Verdict::Pass;
        };
        if let Some(answer) = forge::accept(flow, seen, None) {
            border.send(Way::In, answer);
        }
        Verdict::Drop
    }
}
