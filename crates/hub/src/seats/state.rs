//! The people, the endpoints, and what is done when something happens.

use super::Chance;
use super::risk::{Learned, cleared};

/// A person's place in the list of people.
pub type PersonId = u32;
/// An endpoint's place in the list of endpoints.
pub type EndpointId = u32;

pub(super) const NOWHERE: u32 = u32::MAX;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The risk that a group on a fresh endpoint takes together.
    pub dose: f64,
    /// The share of informers to begin with.
    pub share: f64,
    /// The share of informers who say nothing for days.
    pub sleepers: f64,
    /// The risk up to which groups are put together, in all.
    pub merged: f64,
    /// The risk above which somebody goes to the open pool.
    pub suspect: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Self { dose: 0.7, share: 0.003, sleepers: 0.03, merged: 0.5, suspect: 0.97 }
    }
}

/// Somebody's new endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// Who.
    pub person: PersonId,
    /// Where to.
    pub to: EndpointId,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    pub risk: f32,
    /// Since when they are where they are, in hours.
    pub since: f32,
    pub at: EndpointId,
    /// Whether anything was learned of them.
    pub is_assessed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub relay: u32,
    pub is_open: bool,
    pub is_live: bool,
    pub since: f32,
    pub members: Vec<PersonId>,
}

#[derive(Clone, Debug)]
pub(super) struct RelayState {
    pub slots: u32,
    pub live: u32,
    pub fresh: u32,
    pub room: u32,
    pub load: u32,
}

/// Who sits where.
#[derive(Clone, Debug)]
pub struct Seats {
    pub(super) rule: Rule,
    pub(super) people: Vec<Person>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) live: Vec<EndpointId>,
    pub(super) relays: Vec<RelayState>,
    pub(super) waiting: Vec<PersonId>,
    pub(super) learned: Learned,
    pub(super) chance: Chance,
}

impl Seats {
    /// Nobody yet.
    #[must_use]
    pub fn new(rule: Rule, seed: u64) -> Self {
        let learned = Learned::new(rule.share, rule.sleepers);
        Self {
            rule,
            people: Vec::new(),
            endpoints: Vec::new(),
            live: Vec::new(),
            relays: Vec::new(),
            waiting: Vec::new(),
            learned,
            chance: Chance::new(seed),
        }
    }

    /// A relay that can have so many endpoints at a time, and carry so many people.
    pub fn relay(&mut self, slots: u32, room: u32) -> u32 {
        self.relays.push(RelayState { slots, live: 0, fresh: slots, room, load: 0 });
        u32::try_from(self.relays.len() - 1).unwrap_or(NOWHERE)
    }

    /// A relay has got so many endpoints that nobody knows.
    pub fn fresh(&mut self, relay: u32, count: u32) {
        let relay = &mut self.relays[relay as usize];
        relay.fresh = (relay.fresh + count).min(relay.slots);
    }

    /// Somebody new, who waits.
    pub fn arrive(&mut self, now: f32) -> PersonId {
        let id = u32::try_from(self.people.len()).unwrap_or(NOWHERE);
        let risk = self.learned.share() as f32;
        self.people.push(Person { risk, since: now, at: NOWHERE, is_assessed: false });
        self.waiting.push(id);
        id
    }

    /// Where somebody sits.
    #[must_use]
    pub fn seat(&self, person: PersonId) -> Option<EndpointId> {
        let at = self.people.get(person as usize)?.at;
        (at != NOWHERE).then_some(at)
    }

    /// What is believed of somebody.
    #[must_use]
    pub fn risk(&self, person: PersonId) -> f64 {
        self.people[person as usize].risk.into()
    }

    /// Who sits there.
    #[must_use]
    pub fn members(&self, endpoint: EndpointId) -> &[PersonId] {
        &self.endpoints[endpoint as usize].members
    }

    /// For looking at.
    #[must_use]
    pub fn trace(&self) -> String {
        let open = self.live.iter().filter(|&&e| self.endpoints[e as usize].is_open).count();
        let pooled: usize = self.live.iter().filter(|&&e| self.endpoints[e as usize].is_open).map(|&e| self.members(e).len()).sum();
        let fresh: u32 = self.relays.iter().map(|r| r.fresh).sum();
        let usable: u32 = self.relays.iter().map(|r| r.fresh.min(r.slots - r.live)).sum();
        format!("waiting {} live {} open {open} pooled {pooled} fresh {fresh} usable {usable} share {:.5} quiet1.5 {:.3} quiet3 {:.3}", self.waiting.len(), self.live.len(), self.learned.share(), self.learned.quiet(1.5), self.learned.quiet(3.0))
    }

    /// An endpoint was blocked: somebody there informs.
    pub fn blocked(&mut self, endpoint: EndpointId, now: f32) {
        let members = self.close(endpoint);
        let place = &self.endpoints[endpoint as usize];
        if !place.is_open {
            self.learned.block(f64::from(now - place.since));
        }
        let quiet = |learned: &Learned, since: f32| learned.quiet(f64::from(now - since) - 0.5);
        let mut none = 1.0f64;
        for &id in &members {
            let person = &mut self.people[id as usize];
            let risk = cleared(person.risk.into(), quiet(&self.learned, person.since));
            person.risk = risk as f32;
            none *= 1.0 - risk;
        }
        let blame = 1.0 / (1.0 - none).max(1e-9);
        for &id in &members {
            let person = &mut self.people[id as usize];
            person.risk = (f64::from(person.risk) * blame).min(0.999) as f32;
            person.at = NOWHERE;
            person.is_assessed = true;
        }
        self.waiting.extend(members);
    }

    /// An endpoint is gone, and nobody is to blame.
    pub fn gone(&mut self, endpoint: EndpointId, now: f32) {
        let members = self.close(endpoint);
        for &id in &members {
            self.fold(id, now);
            self.people[id as usize].at = NOWHERE;
        }
        self.waiting.extend(members);
    }

    /// Takes what time has shown of somebody into what is believed.
    pub(super) fn fold(&mut self, id: PersonId, now: f32) {
        let person = &mut self.people[id as usize];
        let quiet = self.learned.quiet(f64::from(now - person.since));
        person.risk = cleared(person.risk.into(), quiet) as f32;
        person.since = now;
    }

    fn close(&mut self, endpoint: EndpointId) -> Vec<PersonId> {
        let place = &mut self.endpoints[endpoint as usize];
        place.is_live = false;
        let members = std::mem::take(&mut place.members);
        let relay = &mut self.relays[place.relay as usize];
        relay.live -= 1;
        relay.load -= members.len() as u32;
        self.live.retain(|&id| id != endpoint);
        members
    }

    pub(super) fn open(&mut self, relay: u32, now: f32, is_open: bool) -> EndpointId {
        let state = &mut self.relays[relay as usize];
        state.live += 1;
        state.fresh -= 1;
        let id = self.endpoints.len() as u32;
        self.endpoints.push(Endpoint { relay, is_open, is_live: true, since: now, members: Vec::new() });
        self.live.push(id);
        id
    }

    pub(super) fn sit(&mut self, id: PersonId, to: EndpointId, now: f32) {
        let place = &mut self.endpoints[to as usize];
        place.members.push(id);
        self.relays[place.relay as usize].load += 1;
        let person = &mut self.people[id as usize];
        (person.at, person.since) = (to, now);
    }
}
