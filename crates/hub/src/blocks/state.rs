//! Relays, endpoints, and what is heard of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::cut::Field;
use super::measure::{Level, Pair, Seen, Swing, Trail};
use super::verdict::{Prefix, Verdict};
use super::{Cause, Seconds};
use crate::seats::{EndpointId, PersonId, RelayId};

/// Whoever runs a relay, or several.
pub type OwnerId = u32;

/// Into so many groups owners are divided; one liar can bend one.
pub(super) const GROUPS: usize = 5;
/// Connections, refreshes through the endpoint, people who come around.
pub(super) const STREAMS: usize = 3;
/// Whoever is counted here has no network that is known.
pub(super) const UNKNOWN: usize = 0;
const MOST_RELAYS: usize = 10_000;
const MOST_ENDPOINTS: usize = 65_536;
const MOST_NETWORKS: usize = 64;
/// Networks that only one owner has told of.
const MOST_TOLD: usize = 256;
/// Networks of one endpoint; what comes from others is counted as unknown.
const MOST_LANES: usize = 8;
/// People who came around are told apart up to so many, and counted again after so many seconds.
const MOST_PEOPLE: usize = 16;
const REMEMBERED: Seconds = 1_800;

/// What a relay tells every [`TICK`](super::TICK).
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat<'a> {
    /// Which.
    pub relay: RelayId,
    /// Over how long it has counted, in seconds.
    pub span: Seconds,
    /// What came. What is not in it is 0.
    pub counts: &'a [Count],
}

/// How many connections authenticated at an endpoint, from one network inside. Each access key should
/// be counted once a heartbeat: an app that opens six connections is one person who has come.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Where.
    pub endpoint: EndpointId,
    /// The number of the autonomous system they came from, where it is known.
    pub network: Option<u32>,
    /// How many.
    pub connected: u32,
}

/// How somebody who is seated at an endpoint came to the hub's own doors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// Through that endpoint, to refresh their links.
    Through,
    /// Another way: they asked again, said that it does not work, or their app came by its spare.
    Around,
}

/// There is no room for more.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("more relays or endpoints than are watched at a time")]
pub struct Full;

/// What is watched.
#[derive(Clone, Default, Debug)]
pub struct Blocks {
    pub(super) relays: BTreeMap<RelayId, Relay>,
    pub(super) endpoints: BTreeMap<EndpointId, Endpoint>,
    pub(super) units: BTreeMap<Unit, Span>,
    owners: Vec<OwnerId>,
    /// What the fields after the first stand for.
    pub(super) networks: Vec<u32>,
    pub(super) told: BTreeMap<u32, OwnerId>,
    /// One for each network, that of the unknown first.
    pub(super) fields: Vec<Field>,
    pub(super) is_cut_off: bool,
    /// When the hub was last cut off: its relays come back one by one.
    pub(super) back: Seconds,
}

#[derive(Clone, Debug)]
pub(super) struct Relay {
    pub owner: OwnerId,
    pub group: usize,
    /// When it was last heard.
    pub heard: Seconds,
    /// Over how many seconds it has counted since the last tick.
    pub counted: Seconds,
    pub is_dead: bool,
}

/// Addresses that are blocked together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Unit {
    Address(IpAddr),
    Prefix(Prefix),
}

impl Unit {
    pub fn cause(self) -> Cause {
        match self {
            Self::Address(address) => Cause::Address(address),
            Self::Prefix(prefix) => Cause::Prefix(prefix),
        }
    }
}

/// How something fares: a unit, or an endpoint.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Span {
    pub trail: Trail,
    pub swing: Swing,
    /// When it was clear that something is wrong; 0 if it is not.
    pub clear: Seconds,
}

impl Span {
    /// Nothing is wrong.
    pub fn reset(&mut self) {
        self.trail = Trail::default();
        self.clear = 0;
    }
}

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub relay: RelayId,
    pub address: IpAddr,
    pub seated: u32,
    pub lanes: Vec<Lane>,
    pub span: Span,
    /// Who has come around lately.
    pub people: Vec<Visitor>,
    /// When it was last dialled from outside, and whether it answered.
    pub dialled: Option<(Seconds, bool)>,
    /// There is a verdict already.
    pub over: Option<Over>,
}

/// What was said of an endpoint, and what was seen until then.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub verdict: Verdict,
    pub seen: Seen,
}

/// Somebody who has come around.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    pub person: PersonId,
    /// Which lane of the endpoint they are of.
    pub lane: usize,
    pub at: Seconds,
}

/// One network's people at an endpoint.
#[derive(Clone, Default, Debug)]
pub(super) struct Lane {
    /// Which field.
    pub field: usize,
    pub streams: [Stream; STREAMS],
    pub span: Span,
    pub is_over: bool,
}

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Stream {
    /// What came since the last tick.
    pub now: f64,
    pub level: Level,
    /// Its own part of what its group remembers.
    pub smooth: Pair,
}

impl Blocks {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { fields: vec![Field::default()], ..Self::default() }
    }

    /// A relay is there, and who runs it.
    ///
    /// # Errors
    /// When there are 10,000.
    pub fn relay(&mut self, id: RelayId, owner: OwnerId, now: Seconds) -> Result<(), Full> {
        if self.relays.len() >= MOST_RELAYS && !self.relays.contains_key(&id) {
            return Err(Full);
        }
        let place = self.owners.iter().position(|known| *known == owner).unwrap_or_else(|| {
            self.owners.push(owner);
            self.owners.len() - 1
        });
        let group = place % GROUPS;
        self.relays.insert(id, Relay { owner, group, heard: now, counted: 0, is_dead: false });
        Ok(())
    }

    /// A relay has left, and its endpoints with it.
    pub fn leave(&mut self, id: RelayId) {
        self.relays.remove(&id);
        let of: Vec<_> = self.endpoints.iter().filter(|(_, at)| at.relay == id).collect();
        let of: Vec<EndpointId> = of.into_iter().map(|(id, _)| *id).collect();
        of.into_iter().for_each(|id| self.gone(id));
        if !self.relays.values().any(|relay| self.owners.last() == Some(&relay.owner)) {
            self.owners.pop();
        }
    }

    /// An endpoint is handed out from now on. It is judged once eight have come.
    ///
    /// # Errors
    /// When there are 65,536.
    pub fn open(&mut self, id: EndpointId, relay: RelayId, address: IpAddr) -> Result<(), Full> {
        if self.endpoints.len() >= MOST_ENDPOINTS {
            return Err(Full);
        }
        let endpoint = Endpoint {
            relay,
            address,
            seated: 0,
            lanes: Vec::new(),
            span: Span::default(),
            people: Vec::new(),
            dialled: None,
            over: None,
        };
        self.endpoints.insert(id, endpoint);
        self.units.entry(Unit::Address(address)).or_default();
        self.units.entry(Unit::Prefix(Prefix::of(address))).or_default();
        Ok(())
    }

    /// An endpoint is handed out no more, for whatever reason.
    pub fn gone(&mut self, id: EndpointId) {
        let Some(Endpoint { address, .. }) = self.endpoints.remove(&id) else { return };
        let prefix = Prefix::of(address);
        if !self.endpoints.values().any(|other| other.address == address) {
            self.units.remove(&Unit::Address(address));
        }
        if !self.endpoints.values().any(|other| Prefix::of(other.address) == prefix) {
            self.units.remove(&Unit::Prefix(prefix));
        }
    }

    /// How many people sit there now. Fewer than before are expected to connect less at once; more come
    /// when they come.
    pub fn seated(&mut self, id: EndpointId, people: u32) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if people < endpoint.seated {
            let left = f64::from(people) / f64::from(endpoint.seated);
            let streams = endpoint.lanes.iter_mut().flat_map(|lane| &mut lane.streams);
            streams.for_each(|stream| stream.level.scale(left));
        }
        endpoint.seated = people;
    }

    /// What a relay tells. Of endpoints that are not its own, nothing is heard.
    pub fn heartbeat(&mut self, beat: &Heartbeat<'_>, now: Seconds) {
        let Some(relay) = self.relays.get_mut(&beat.relay) else { return };
        relay.heard = now;
        relay.is_dead = false;
        relay.counted = relay.counted.saturating_add(beat.span).min(60);
        let owner = relay.owner;
        for count in beat.counts {
            let field = self.field(count.network, owner);
            let Some(endpoint) = self.endpoints.get_mut(&count.endpoint) else { continue };
            if endpoint.relay == beat.relay {
                let lane = endpoint.lane(field);
                endpoint.lanes[lane].streams[0].now += f64::from(count.connected);
            }
        }
    }

    /// Somebody who is seated at an endpoint came to the hub's own doors, from this network.
    pub fn met(
        &mut self,
        id: EndpointId,
        person: PersonId,
        door: Door,
        network: Option<u32>,
        now: Seconds,
    ) {
        // The hub's own word for a network that no relay has told of is worth less than a place in
        // the list.
        let field = network.and_then(|network| self.known(network)).unwrap_or(UNKNOWN);
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        let lane = endpoint.lane(field);
        match door {
            Door::Through => endpoint.lanes[lane].streams[1].now += 1.0,
            Door::Around => {
                endpoint.people.retain(|known| known.at + REMEMBERED > now);
                let is_new = endpoint.people.iter().all(|known| known.person != person);
                if is_new {
                    if endpoint.people.len() >= MOST_PEOPLE {
                        endpoint.people.remove(0);
                    }
                    endpoint.people.push(Visitor { person, lane, at: now });
                    endpoint.lanes[lane].streams[2].now += 1.0;
                }
            }
        }
    }

    /// The hub has dialled an endpoint from outside, as people do.
    pub fn dialled(&mut self, id: EndpointId, answers: bool, now: Seconds) {
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            endpoint.dialled = Some((now, answers));
        }
    }

    fn known(&self, network: u32) -> Option<usize> {
        self.networks.iter().position(|known| *known == network).map(|place| place + 1)
    }

    /// A network counts by itself once relays of two owners have told of it.
    fn field(&mut self, network: Option<u32>, owner: OwnerId) -> usize {
        let Some(network) = network else { return UNKNOWN };
        if let Some(known) = self.known(network) {
            return known;
        }
        match self.told.get(&network) {
            Some(first) if *first != owner && self.networks.len() < MOST_NETWORKS => {
                self.told.remove(&network);
                self.networks.push(network);
                self.fields.push(Field::default());
                self.networks.len()
            }
            None if self.told.len() < MOST_TOLD => {
                self.told.insert(network, owner);
                UNKNOWN
            }
            _ => UNKNOWN,
        }
    }
}

impl Endpoint {
    fn lane(&mut self, field: usize) -> usize {
        let place = |lanes: &[Lane], field| lanes.iter().position(|lane| lane.field == field);
        if let Some(place) = place(&self.lanes, field) {
            return place;
        }
        // The last place is for the unknown, who always have one.
        let has_unknown = place(&self.lanes, UNKNOWN).is_some();
        let is_full = self.lanes.len() + usize::from(!has_unknown) >= MOST_LANES;
        if is_full && field != UNKNOWN {
            return self.lane(UNKNOWN);
        }
        self.lanes.push(Lane { field, ..Lane::default() });
        self.lanes.len() - 1
    }

    /// Whether there is a verdict already.
    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// How many people have come around since then, of one lane or of all.
    pub fn around(&self, since: Seconds, lane: Option<usize>) -> usize {
        let is_of = |who: &&Visitor| who.at > since && lane.is_none_or(|lane| lane == who.lane);
        self.people.iter().filter(is_of).count()
    }

    /// Whether it answered when it was dialled since then; `None` if it was not.
    pub fn answered(&self, since: Seconds) -> Option<bool> {
        self.dialled.filter(|(at, _)| *at >= since).map(|(_, answered)| answered)
    }
}
