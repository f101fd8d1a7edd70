//! Ports that lead elsewhere.

use std::net::SocketAddr;

use crate::censor::{Border, Flow, Flows, Packet, Piece, Verdict, Way};

/// Leads a port quietly to another one, or to another server, over TCP and UDP. What comes back looks as
/// if it came from where it was sent.
///
/// ```no_run
/// # use lab::censor::{Censor, Redirect};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // Whoever dials 179 gets 443 of the same server; whoever asks port 53, the state's own name server.
/// let own = "5.76.0.53:53".parse().expect("an address");
/// let censor =
///     Censor::on(inside).piece(Redirect::port(179, 443)).piece(Redirect::server(53, own)).start()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Redirect {
    from: u16,
    to: To,
    /// Where those wanted to go whose packets were changed, by the changed flow.
    wanted: Flows<Option<SocketAddr>>,
}

#[derive(Debug)]
enum To {
    Port(u16),
    Server(SocketAddr),
}

impl Redirect {
    /// Leads whatever goes to this port of any server to that port of the same one.
    #[must_use]
    pub fn port(from: u16, to: u16) -> Self {
        Self { from, to: To::Port(to), wanted: Flows::default() }
    }

    /// Leads whatever goes to this port of any server to that server in the world, if it is of the same
    /// family.
    #[must_use]
    pub fn server(from: u16, to: SocketAddr) -> Self {
        Self { from, to: To::Server(to), wanted: Flows::default() }
    }
}

impl Piece for Redirect {
    fn judge(&mut self, packet: &mut Packet<'_>, _: &mut Border<'_>) -> Verdict {
        let Some(flow) = packet.flow() else {
            return Verdict::Pass;
        };
        if packet.way() == Way::In {
            if let Some(wanted) = self.wanted.get(flow).copied().flatten() {
                packet.set_source(wanted);
            }
            return Verdict::Pass;
        }
        let outside = match self.to {
            To::Port(port) => SocketAddr::new(flow.outside.ip(), port),
            To::Server(server) => server,
        };
        if flow.outside.port() == self.from && outside.is_ipv6() == packet.is_v6() {
            *self.wanted.of(Flow { outside, ..flow }) = Some(flow.outside);
            packet.set_destination(outside);
        }
        Verdict::Pass
    }
}
