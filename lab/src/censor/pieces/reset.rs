//! Connections that are broken off.

use std::fmt;

use crate::censor::{Border, Packet, Piece, Verdict, Way, forge};

/// Breaks TCP connections off, as if the other end did.
///
/// ```no_run
/// # use lab::censor::{Censor, Piece, Reset};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // Port 443 looks closed; and whoever says a certain word is cut off.
/// let censor = Censor::on(inside)
///     .piece(Reset::on_syn().when(|packet| packet.port() == Some(443)))
///     .piece(Reset::on_payload(|said| said.starts_with(b"GET /falun")))
///     .start()?;
/// # Ok(()) }
/// ```
pub struct Reset(Option<Matches>);

/// Whether what is said in one packet is meant.
type Matches = Box<dyn Fn(&[u8]) -> bool + Send>;

impl Reset {
    /// Refuses every connection. The server hears nothing of it.
    #[must_use]
    pub fn on_syn() -> Self {
        Self(None)
    }

    /// Breaks a connection off, for both ends, when somebody inside says in one packet what `matches`;
    /// that packet goes no further.
    #[must_use]
    pub fn on_payload(matches: impl Fn(&[u8]) -> bool + Send + 'static) -> Self {
        Self(Some(Box::new(matches)))
    }
}

impl Piece for Reset {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let (Way::Out, Some(flow), Some(seen)) = (packet.way(), packet.flow(), packet.segment())
        else {
            return Verdict::Pass;
        };
        let is_meant = match &self.0 {
            None => seen.opens(),
            Some(matches) => !packet.payload().is_empty() && matches(packet.payload()),
        };
        if !is_meant {
            return Verdict::Pass;
        }
        let [back, on] = forge::resets(flow, seen);
        border.send(Way::In, back);
        if self.0.is_some() {
            border.send(Way::Out, on);
        }
        Verdict::Drop
    }
}

impl fmt::Debug for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Reset(on payload)" } else { "Reset(on SYN)" })
    }
}
