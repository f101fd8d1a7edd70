//! What may be probed: ports that relays of a trusted bundle serve, and nothing else.
//!
//! A [`Spot`] is the only thing that any engine of this crate sends a packet to, and only
//! [`Targets`] makes one.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use wire::bundle::{Bundle, Datagrams, Endpoint, Ports};
use wire::crack::Crack;
use wire::echo::{Asker, Transport};
use wire::receipt::RelayTag;
use wire::trusted::Trusted;

use crate::order::infrastructure;

/// Ports that are never dialled, whatever a bundle says: mail servers are not ours to knock at.
pub const NEVER: [u16; 2] = [0, 25];

/// Where the ports begin that a relay's machine asks from: see [`Datagrams::Low`].
const FIRST_OF_THE_MACHINE: u16 = 32_768;

/// The relays of a bundle, as far as they may be probed.
#[derive(Clone, Debug)]
pub struct Targets {
    roads: Vec<Arc<Road>>,
    cracks: Vec<Crack>,
}

/// One address of one relay.
pub(crate) struct Road {
    /// Its place among the roads.
    pub(crate) place: u16,
    /// Which relay of the bundle it leads to, from 1 on.
    pub(crate) relay: u16,
    pub(crate) ip: IpAddr,
    pub(crate) asker: Asker,
    /// What its receipts bear.
    pub(crate) tag: RelayTag,
    serves: Ports,
    datagrams: Datagrams,
    /// Where it answered when its bundle was made, if that is not everywhere, the most promising first.
    pub(crate) first: Vec<(Transport, u16)>,
}

/// A port of a relay, over one transport.
#[derive(Clone)]
pub struct Spot {
    pub(crate) road: Arc<Road>,
    transport: Transport,
    port: u16,
}

impl Targets {
    /// Those of a bundle whose signer is trusted and whose time has not passed: there is no other
    /// way to have any.
    #[must_use]
    pub fn new(bundle: &Trusted<Bundle>) -> Self {
        Self { cracks: bundle.cracks.clone(), ..Self::of(&bundle.endpoints) }
    }

    fn of(endpoints: &[Endpoint]) -> Self {
        let mut roads = Vec::new();
        for (relay, endpoint) in (1..).zip(endpoints) {
            for ip in endpoint.addresses() {
                let place = u16::try_from(roads.len()).expect("a bundle has some hundred relays");
                let asker = Asker::new(&endpoint.echo_key, &endpoint.mask_key);
                let tag = RelayTag::of(&endpoint.mask_key);
                let serves = endpoint.ports.clone();
                let first = first(&serves);
                let datagrams = endpoint.datagrams;
                roads.push(Arc::new(Road {
                    place,
                    relay,
                    ip,
                    asker,
                    tag,
                    serves,
                    datagrams,
                    first,
                }));
            }
        }
        Self { roads, cracks: Vec::new() }
    }

    /// Wherever these lead: for tests on this machine's own addresses, which no bundle may have.
    #[cfg(test)]
    pub(crate) fn untrusted(endpoints: &[Endpoint]) -> Self {
        Self::of(endpoints)
    }

    /// How many relays there are.
    #[must_use]
    pub fn relays(&self) -> usize {
        self.roads.iter().map(|road| road.relay).collect::<BTreeSet<_>>().len()
    }

    /// This port of the relay at this address; `None` when the bundle names no such relay, or names the
    /// ports that it serves and not this one.
    #[must_use]
    pub fn spot(&self, address: SocketAddr, transport: Transport) -> Option<Spot> {
        let road = self.roads.iter().find(|road| road.ip == address.ip())?;
        road.spot(transport, address.port())
    }

    /// What the bundle's signer knows to pass.
    pub(crate) fn cracks(&self) -> &[Crack] {
        &self.cracks
    }

    pub(crate) fn roads(&self) -> &[Arc<Road>] {
        &self.roads
    }

    /// Those whose addresses the machine has a route to. Nothing is sent to find out.
    #[must_use]
    pub(crate) fn routed(self) -> Self {
        let is_routed = |road: &Arc<Road>| {
            let any: IpAddr = match road.ip {
                IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = std::net::UdpSocket::bind((any, 0));
            socket.is_ok_and(|socket| socket.connect((road.ip, 9)).is_ok())
        };
        Self { roads: self.roads.into_iter().filter(is_routed).collect(), cracks: self.cracks }
    }
}

/// Where it answered when its bundle was made, by either transport: in the order of evidence, and then
/// of the bundle. A list has its place among all others.
fn first(serves: &Ports) -> Vec<(Transport, u16)> {
    if matches!(serves, Ports::List(_)) {
        return Vec::new();
    }
    let by = |transport| move |port: &NonZeroU16| (transport, port.get());
    let ports = serves.first();
    let mut first: Vec<_> =
        Transport::ALL.into_iter().flat_map(|transport| ports.iter().map(by(transport))).collect();
    first.sort_by_key(|(transport, port)| {
        infrastructure::place(*transport, *port).unwrap_or(usize::MAX)
    });
    first
}

impl Road {
    pub(crate) fn spot(self: &Arc<Self>, transport: Transport, port: u16) -> Option<Spot> {
        // Of all but a list, the operator may have opened more since the bundle was made.
        let is_served = NonZeroU16::new(port).is_some_and(|port| self.serves.may_have(port));
        let may = is_served && !NEVER.contains(&port);
        may.then(|| Spot { road: Arc::clone(self), transport, port })
    }
}

impl Spot {
    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.road.ip, self.port)
    }

    /// The relay's number in the bundle, from 1 on.
    #[must_use]
    pub fn relay(&self) -> u16 {
        self.road.relay
    }

    /// What carries it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the relay answered there when its bundle was made.
    pub(crate) fn was_served(&self) -> bool {
        let is_first = match self.road.serves {
            Ports::All | Ports::List(_) => true,
            Ports::Quiet | Ports::First(_) => {
                self.road.first.contains(&(self.transport, self.port))
            }
        };
        is_first && self.is_likely()
    }

    /// Whether what it is carried by was answered when the bundle was made, where the port was.
    pub(crate) fn is_likely(&self) -> bool {
        self.transport == Transport::Tcp
            || match self.road.datagrams {
                Datagrams::Everywhere => true,
                Datagrams::Low => self.port < FIRST_OF_THE_MACHINE,
                Datagrams::Nowhere => false,
            }
    }

    pub(crate) fn asker(&self) -> &Asker {
        &self.road.asker
    }

    /// A number of its own among all spots of these targets.
    pub(crate) fn key(&self) -> u64 {
        u64::from(self.road.place) << 17
            | u64::from(self.transport.number()) << 16
            | u64::from(self.port)
    }
}

impl PartialEq for Spot {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address() && self.transport == other.transport
    }
}

impl Eq for Spot {}

/// Without the address: it may be shown to whoever looks on.
impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relay {} {}/{}", self.road.relay, self.transport, self.port)
    }
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relay {}", self.relay)
    }
}
