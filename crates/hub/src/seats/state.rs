//! People, endpoints, relays, and what happens to them.

use super::risk::{Learned, blame, cleared};
use super::{Chance, Hours};

/// Somebody's place in the list of people.
pub type PersonId = u32;
/// An endpoint's place in the list of all that ever were.
pub type EndpointId = u32;
/// A relay's place in the list of relays.
pub type RelayId = u32;

pub(super) const NOWHERE: EndpointId = EndpointId::MAX;
/// More is never believed of anybody, so that time can clear them.
const CERTAIN: f64 = 0.999;
/// How often a test fails on a relay of the censor's.
const FOUL: f64 = 0.95;
/// How many times likelier it must be than chance.
const SURE: f64 = 1000.0;
/// How much one piece of other evidence can raise the odds of somebody, at most.
const MOST_EVIDENCE: f64 = 8.0;

/// What can be chosen.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The risk that a group on a fresh endpoint takes together: with 0.7, half of them live on.
    pub dose: f64,
    /// The share of people who inform, as believed before anything has happened.
    pub share: f64,
    /// The share of informers who say nothing for days.
    pub sleepers: f64,
    /// The risk up to which groups are put together.
    pub merged: f64,
    /// The same where people would have no seat otherwise.
    pub crowded: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            dose: 0.8,
            share: 0.003,
            sleepers: 0.03,
            merged: 0.5,
            crowded: 1.5,
        }
    }
}

/// Somebody's new seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// Who.
    pub person: PersonId,
    /// Where they sit now.
    pub to: EndpointId,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    pub risk: f32,
    /// When they sat down.
    pub since: Hours,
    pub at: EndpointId,
    /// Whether they have lived through anything: a block, or some hours without one.
    pub is_known: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub relay: RelayId,
    /// Part of the open pool.
    pub is_open: bool,
    pub since: Hours,
    pub members: Vec<PersonId>,
    /// Where it stands in the list of those that live.
    pub place: usize,
    /// How probably its test was to fail.
    pub odds: f64,
    /// Whether only newcomers sat down there.
    pub is_new: bool,
    /// Whether it has lived long enough to speak for its relay.
    pub has_spoken: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Relay {
    /// How many endpoints it can have at a time.
    pub slots: u32,
    pub live: u32,
    /// How many more it could open that nobody knows.
    pub fresh: u32,
    /// How many people it can carry, and carries.
    pub room: u32,
    pub load: u32,
    /// How much likelier, as a logarithm, it has become that it is the censor's.
    pub foul: f64,
}

impl Relay {
    /// How many endpoints it can open for somebody.
    pub fn usable(&self) -> u32 {
        if self.space() == 0 {
            return 0;
        }
        self.fresh.min(self.slots.saturating_sub(self.live))
    }

    pub fn space(&self) -> usize {
        self.room.saturating_sub(self.load) as usize
    }
}

/// Who sits where, and what is believed of them: 16 bytes a person, and four where they sit.
#[derive(Clone, Debug)]
pub struct Seats {
    pub(super) rule: Rule,
    pub(super) people: Vec<Person>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) live: Vec<EndpointId>,
    pub(super) relays: Vec<Relay>,
    pub(super) waiting: Vec<PersonId>,
    pub(super) learned: Learned,
    pub(super) chance: Chance,
    pub(super) counted: Option<Hours>,
    /// How many tests were to fail, and did.
    pub(super) expected: f64,
    pub(super) failed: f64,
}

impl Seats {
    /// Nobody yet.
    #[must_use]
    pub fn new(rule: Rule, seed: u64) -> Self {
        Self {
            learned: Learned::new(rule.share, rule.sleepers),
            rule,
            people: Vec::new(),
            endpoints: Vec::new(),
            live: Vec::new(),
            relays: Vec::new(),
            waiting: Vec::new(),
            chance: Chance::new(seed),
            counted: None,
            expected: 5.0,
            failed: 5.0,
        }
    }

    /// A relay that can have so many endpoints at a time, which nobody knows yet, and carry so many
    /// people. What counts as an endpoint is what the censor can block: an address, or an address and
    /// a port.
    pub fn relay(&mut self, slots: u32, room: u32) -> RelayId {
        self.relays.push(Relay { slots, live: 0, fresh: slots, room, load: 0, foul: 0.0 });
        number(self.relays.len() - 1)
    }

    /// A relay has so many more endpoints that nobody knows. It keeps as many as it has slots.
    pub fn fresh(&mut self, relay: RelayId, count: u32) {
        let relay = &mut self.relays[relay as usize];
        relay.fresh = relay.fresh.saturating_add(count).min(relay.slots);
    }

    /// Somebody new, who waits for a seat.
    pub fn arrive(&mut self, now: Hours) -> PersonId {
        let risk = single(self.learned.share());
        self.people.push(Person { risk, since: now, at: NOWHERE, is_known: false });
        let id = number(self.people.len() - 1);
        self.waiting.push(id);
        id
    }

    /// Where somebody sits.
    #[must_use]
    pub fn seat(&self, person: PersonId) -> Option<EndpointId> {
        self.people.get(person as usize).map(|person| person.at).filter(|at| *at != NOWHERE)
    }

    /// Who sits there: nobody, once it is blocked or gone.
    #[must_use]
    pub fn members(&self, endpoint: EndpointId) -> &[PersonId] {
        &self.endpoints[endpoint as usize].members
    }

    /// Whose endpoint it is.
    #[must_use]
    pub fn relay_of(&self, endpoint: EndpointId) -> RelayId {
        self.endpoints[endpoint as usize].relay
    }

    /// How many endpoints there ever were.
    #[must_use]
    pub fn endpoints(&self) -> usize {
        self.endpoints.len()
    }

    /// How probable it is believed that somebody informs.
    #[must_use]
    pub fn risk(&self, person: PersonId) -> f64 {
        self.people[person as usize].risk.into()
    }

    /// An endpoint was blocked: somebody who sat there informs, or its relay is the censor's. They
    /// wait for another seat.
    pub fn blocked(&mut self, endpoint: EndpointId, now: Hours) {
        let members = self.close(endpoint);
        let place = &self.endpoints[endpoint as usize];
        if !place.is_open && !members.is_empty() {
            self.learned.block(now - place.since);
            if !place.has_spoken {
                let (relay, odds) = (place.relay, place.odds);
                self.speak(relay, odds, true);
            }
        }
        let place = &self.endpoints[endpoint as usize];
        let is_foul = self.is_foul(place.relay);
        let mut nobody = 1.0;
        for &id in &members {
            let person = &mut self.people[id as usize];
            // Up to a moment ago.
            let quiet = self.learned.quiet(now - person.since - 0.5);
            let risk = cleared(person.risk.into(), quiet);
            person.risk = single(risk);
            nobody *= 1.0 - risk;
        }
        let blame = if is_foul { 1.0 } else { blame(nobody) };
        for &id in &members {
            let person = &mut self.people[id as usize];
            person.risk = single((f64::from(person.risk) * blame).min(CERTAIN));
            (person.at, person.since, person.is_known) = (NOWHERE, now, true);
        }
        self.waiting.extend(members);
    }

    /// An endpoint is gone, and nobody is to blame: its relay died, say. Those who sat there wait for
    /// another seat.
    pub fn gone(&mut self, endpoint: EndpointId, now: Hours) {
        for id in self.close(endpoint) {
            self.stand_up(id, now);
            self.waiting.push(id);
        }
    }

    #[doc(hidden)]
    #[must_use]
    pub fn trace(&self) -> String {
        let open = self.live.iter().filter(|&&e| self.endpoints[e as usize].is_open).count();
        let pooled: usize = self.live.iter().filter(|&&e| self.endpoints[e as usize].is_open).map(|&e| self.members(e).len()).sum();
        let fresh: u32 = self.relays.iter().map(|r| r.fresh).sum();
        let usable: u32 = self.relays.iter().map(Relay::usable).sum();
        let foul = (0..self.relays.len()).filter(|&r| self.is_foul(r as u32)).count();
        let space: usize = self.relays.iter().map(Relay::space).sum();
        format!("waiting {} live {} open {open} pooled {pooled} fresh {fresh} usable {usable} foul {foul} space {space} share {:.5} quiet1.5 {:.3} quiet3 {:.3}", self.waiting.len(), self.live.len(), self.learned.share(), self.learned.quiet(1.5), self.learned.quiet(3.0))
    }

    /// Whether a relay is most probably the censor's: nearly all its tests fail, where those of others
    /// do not. People who sat there are not to blame for it.
    #[must_use]
    pub fn is_foul(&self, relay: RelayId) -> bool {
        self.relays[relay as usize].foul > SURE.ln()
    }

    /// A test on a relay is over, which was to fail with this probability.
    pub(super) fn speak(&mut self, relay: RelayId, odds: f64, has_failed: bool) {
        // If tests fail more often than was thought everywhere, that is no relay's fault.
        self.expected += odds;
        self.failed += f64::from(u8::from(has_failed));
        let usual = (self.failed / self.expected).clamp(0.2, 5.0);
        let odds = (1.0 - (1.0 - odds).powf(usual)).clamp(0.02, 0.98);
        let foul = &mut self.relays[relay as usize].foul;
        let step = if has_failed { (FOUL / odds).ln() } else { ((1.0 - FOUL) / (1.0 - odds)).ln() };
        // So that one that has been sold or seized is found out too.
        *foul = (*foul + step).max(-3.0);
    }

    /// Something else speaks against somebody, so many times as strongly as for them; eight times at
    /// most.
    pub fn suspect(&mut self, person: PersonId, times: f64) {
        let person = &mut self.people[person as usize];
        let risk = f64::from(person.risk);
        let odds = risk / (1.0 - risk) * times.clamp(1.0, MOST_EVIDENCE);
        person.risk = single((odds / (1.0 + odds)).min(CERTAIN));
    }

    /// Takes what the time at their seat has shown of somebody into what is believed of them.
    pub(super) fn stand_up(&mut self, id: PersonId, now: Hours) {
        let person = &mut self.people[id as usize];
        let quiet = self.learned.quiet(now - person.since);
        person.risk = single(cleared(person.risk.into(), quiet));
        (person.at, person.since, person.is_known) = (NOWHERE, now, true);
    }

    pub(super) fn sit(&mut self, id: PersonId, to: EndpointId, now: Hours) {
        let endpoint = &mut self.endpoints[to as usize];
        endpoint.members.push(id);
        self.relays[endpoint.relay as usize].load += 1;
        let person = &mut self.people[id as usize];
        (person.at, person.since) = (to, now);
    }

    pub(super) fn open(&mut self, relay: RelayId, now: Hours, is_open: bool) -> EndpointId {
        let state = &mut self.relays[relay as usize];
        state.live += 1;
        state.fresh -= 1;
        let id = number(self.endpoints.len());
        let (members, place) = (Vec::new(), self.live.len());
        let is_fresh = Endpoint { relay, is_open, since: now, members, place, has_spoken: false, is_new: false, odds: 0.0 };
        self.endpoints.push(is_fresh);
        self.live.push(id);
        id
    }

    /// Takes an endpoint off the list of those that live, and gives who sat there.
    pub(super) fn close(&mut self, endpoint: EndpointId) -> Vec<PersonId> {
        let closed = &mut self.endpoints[endpoint as usize];
        let (members, place) = (std::mem::take(&mut closed.members), closed.place);
        let relay = &mut self.relays[closed.relay as usize];
        if self.live.get(place) == Some(&endpoint) {
            relay.live -= 1;
            self.live.swap_remove(place);
            if let Some(&moved) = self.live.get(place) {
                self.endpoints[moved as usize].place = place;
            }
        }
        relay.load -= number(members.len());
        members
    }
}

/// People and endpoints are far fewer than 2^32.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32")
}

#[allow(clippy::cast_possible_truncation)]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}
