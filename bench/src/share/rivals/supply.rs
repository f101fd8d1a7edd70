//! Relays and their endpoints, as every rival needs them: the same supply as ours.

use hub::seats::{EndpointId, PersonId, RelayId};

use crate::share::office::Relay;

struct State {
    relay: Relay,
    live: u32,
    fresh: u32,
    load: u32,
}

struct Endpoint {
    relay: RelayId,
    members: Vec<PersonId>,
    is_live: bool,
}

/// What there is to hand out, and who has it.
#[derive(Default)]
pub(super) struct Supply {
    relays: Vec<State>,
    endpoints: Vec<Endpoint>,
}

impl Supply {
    pub(super) fn relay(&mut self, relay: Relay) {
        self.relays.push(State { relay, live: 0, fresh: relay.slots, load: 0 });
    }

    pub(super) fn relays(&self) -> usize {
        self.relays.len()
    }

    pub(super) fn fresh(&mut self, relay: RelayId, count: u32) {
        let State { relay, fresh, .. } = &mut self.relays[relay as usize];
        *fresh = (*fresh + count).min(relay.slots);
    }

    /// Opens an endpoint of a relay that can.
    pub(super) fn open_at(&mut self, relay: RelayId) -> Option<EndpointId> {
        let state = &mut self.relays[relay as usize];
        if state.fresh == 0 || state.live == state.relay.slots {
            return None;
        }
        (state.fresh, state.live) = (state.fresh - 1, state.live + 1);
        self.endpoints.push(Endpoint { relay, members: Vec::new(), is_live: true });
        u32::try_from(self.endpoints.len() - 1).ok()
    }

    /// Opens one of the relay with the fewest.
    pub(super) fn open(&mut self) -> Option<EndpointId> {
        let can = |state: &&State| state.fresh > 0 && state.live < state.relay.slots;
        let (relay, _) = (0..)
            .zip(&self.relays)
            .filter(|(_, state)| can(state))
            .min_by_key(|(_, state)| state.live)?;
        self.open_at(relay)
    }

    /// Opens all that relays can: whoever is blocked has another address by itself.
    pub(super) fn open_all(&mut self) {
        for relay in (0..).take(self.relays.len()) {
            while self.open_at(relay).is_some() {}
        }
    }

    /// Endpoints are blocked; those who sat there.
    pub(super) fn close(&mut self, endpoints: &[EndpointId]) -> Vec<PersonId> {
        let mut all = Vec::new();
        for &id in endpoints {
            let closed = &mut self.endpoints[id as usize];
            let members = std::mem::take(&mut closed.members);
            let state = &mut self.relays[closed.relay as usize];
            if std::mem::take(&mut closed.is_live) {
                state.live -= 1;
            }
            state.load -= u32::try_from(members.len()).unwrap_or(state.load);
            all.extend(members);
        }
        all
    }

    pub(super) fn sit(&mut self, person: PersonId, endpoint: EndpointId) {
        let endpoint = &mut self.endpoints[endpoint as usize];
        endpoint.members.push(person);
        self.relays[endpoint.relay as usize].load += 1;
    }

    pub(super) fn members(&self, endpoint: EndpointId) -> &[PersonId] {
        &self.endpoints[endpoint as usize].members
    }

    /// `None` once it is blocked.
    pub(super) fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        let endpoint = self.endpoints.get(endpoint as usize)?;
        endpoint.is_live.then_some(endpoint.relay)
    }

    fn state_of(&self, endpoint: EndpointId) -> &State {
        &self.relays[self.endpoints[endpoint as usize].relay as usize]
    }

    /// How many people an endpoint's relay can carry for each of its endpoints.
    pub(super) fn share_of_room(&self, endpoint: EndpointId) -> usize {
        let Relay { slots, room, .. } = self.state_of(endpoint).relay;
        room.div_ceil(slots) as usize
    }

    /// Whether an endpoint's relay can carry one more.
    pub(super) fn has_room(&self, endpoint: EndpointId) -> bool {
        let state = self.state_of(endpoint);
        state.load < state.relay.room
    }

    /// Those that live, the oldest first.
    pub(super) fn live(&self) -> impl Iterator<Item = EndpointId> + '_ {
        (0..).zip(&self.endpoints).filter(|(_, endpoint)| endpoint.is_live).map(|(id, _)| id)
    }
}
