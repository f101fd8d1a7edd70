//! Which relay and endpoint is which, for [`Blocks`], which knows them by small numbers.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use wire::derive::RelayId;
use wire::fleet::{Heartbeat, Standing};

use crate::blocks::Heartbeat as Beat;
use crate::blocks::{Blocks, Count, Door, OwnerId, Seconds};
use crate::clerk::{EndpointView, RelayReport, Visit};
use crate::seats::{EndpointId, RelayId as Number};

/// What is known of relays and endpoints since the hub started.
pub(super) struct Book {
    pub blocks: Blocks,
    numbers: HashMap<RelayId, Number>,
    ids: HashMap<Number, RelayId>,
    owners: HashMap<String, OwnerId>,
    endpoints: HashMap<EndpointId, EndpointView>,
    /// Where what comes to a port of a relay is counted; the relay's only endpoint has port 0 too.
    ports: HashMap<(RelayId, u16), EndpointId>,
}

impl Default for Book {
    fn default() -> Self {
        let (numbers, ids, owners, endpoints, ports) = Default::default();
        Self { blocks: Blocks::new(), numbers, ids, owners, endpoints, ports }
    }
}

impl Book {
    /// As the office has it now.
    pub fn follow(&mut self, relays: &[RelayReport], live: &[EndpointView], now: Seconds) {
        for (place, report) in (0..).zip(relays) {
            self.relay(place, report, now);
        }
        let before = std::mem::take(&mut self.endpoints);
        self.endpoints = live.iter().map(|endpoint| (endpoint.id, *endpoint)).collect();
        for gone in before.keys().filter(|id| !self.endpoints.contains_key(id)) {
            self.blocks.gone(*gone);
        }
        self.ports.clear();
        let mut count = HashMap::<RelayId, (usize, EndpointId)>::new();
        for EndpointView { id, relay, address, people } in live {
            let Some(&number) = self.numbers.get(relay) else { continue };
            if !before.contains_key(id) {
                // Beyond what is watched, people themselves say what is blocked.
                let _ = self.blocks.open(*id, number, address.ip());
            }
            self.blocks.seated(*id, u32::try_from(*people).unwrap_or(u32::MAX));
            self.ports.insert((*relay, address.port()), *id);
            let of = count.entry(*relay).or_insert((0, *id));
            of.0 += 1;
        }
        let alone = count.into_iter().filter(|(_, (count, _))| *count == 1);
        self.ports.extend(alone.map(|(relay, (_, id))| ((relay, 0), id)));
    }

    fn relay(&mut self, number: Number, report: &RelayReport, now: Seconds) {
        let (id, owner) = (report.view.relay.id, &report.view.owner);
        // One that is gone comes back once it has been reached.
        let relay = &report.view.relay;
        let is_here = relay.standing != Standing::Leaving && !relay.is_gone;
        match (self.numbers.contains_key(&id), is_here) {
            (true, false) => {
                self.blocks.leave(number);
                self.numbers.remove(&id);
                self.ids.remove(&number);
            }
            (false, true) => {
                let next = OwnerId::try_from(self.owners.len()).unwrap_or(OwnerId::MAX);
                // Whoever is not named is nobody else.
                let name = if owner.is_empty() { format!("\0{number}") } else { owner.clone() };
                let owner = *self.owners.entry(name).or_insert(next);
                if self.blocks.relay(number, owner, now).is_ok() {
                    self.numbers.insert(id, number);
                    self.ids.insert(number, id);
                }
            }
            _ => {}
        }
    }

    /// What a relay has counted.
    pub fn heard(&mut self, beat: &Heartbeat, now: Seconds) {
        let Some(&relay) = self.numbers.get(&beat.relay) else { return };
        let place = |port| {
            let own = self.ports.get(&(beat.relay, port));
            own.or_else(|| self.ports.get(&(beat.relay, 0))).copied()
        };
        let count = |counted: &wire::fleet::Counted| {
            let network = Some(counted.network).filter(|network| *network != 0);
            let endpoint = place(counted.port)?;
            Some(Count { endpoint, network, connected: counted.connections })
        };
        let counts: Vec<Count> = beat.counted.iter().filter_map(count).collect();
        let span = u64::from(beat.over) / 1000;
        self.blocks.heartbeat(&Beat { relay, span, counts: &counts }, now);
    }

    /// Somebody was at the hub's own doors.
    pub fn met(&mut self, visit: &Visit, now: Seconds) {
        let Visit { endpoint, person, network, .. } = *visit;
        let network = Some(network).filter(|network| *network != 0);
        self.blocks.met(endpoint, person, Door::Around, network, now);
    }

    /// The relay that has this number.
    pub fn id(&self, number: Number) -> Option<RelayId> {
        self.ids.get(&number).copied()
    }

    /// Whose these endpoints are.
    pub fn relays(&self, endpoints: &[EndpointId]) -> HashSet<RelayId> {
        endpoints.iter().filter_map(|id| Some(self.endpoints.get(id)?.relay)).collect()
    }

    /// How many people sit there.
    pub fn people(&self, endpoints: &[EndpointId]) -> usize {
        endpoints.iter().filter_map(|id| self.endpoints.get(id)).map(|view| view.people).sum()
    }

    /// Where an endpoint is.
    pub fn address(&self, endpoint: EndpointId) -> Option<SocketAddr> {
        self.endpoints.get(&endpoint).map(|view| view.address)
    }
}
