//! Who sits where.

use std::collections::BTreeMap;

use super::people::FILLS;
use super::relays::Relay;
use super::risk::{Learned, cleared};
use super::{Chance, Hours};

/// Somebody's place in the list of people. It is used again after they have left.
pub type PersonId = u32;
/// An endpoint's number among all that ever were. Never used again.
pub type EndpointId = u32;
/// A relay's place in the list of relays. Never used again.
pub type RelayId = u32;

pub(super) const NOWHERE: EndpointId = EndpointId::MAX;

/// What can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The risk that a group on a fresh endpoint takes together, at most: with 0.8, 45 % of them live
    /// on. Where endpoints are scarce it is less.
    pub dose: f64,
    /// The share of people who inform, as believed before anything has happened.
    pub share: f64,
    /// The share of informers who say nothing for days.
    pub sleepers: f64,
    /// The risk up to which groups are put together.
    pub merged: f64,
    /// The same where people would have no seat otherwise.
    pub crowded: f64,
    /// For how many hours ahead it is worth knowing who does not inform.
    pub ahead: f64,
    /// The share of all endpoints that is not handed out within the first hour.
    pub reserve: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            dose: 0.8,
            share: 0.003,
            sleepers: 0.03,
            merged: 0.5,
            crowded: 1.5,
            ahead: 24.0,
            reserve: 0.1,
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

/// Where an endpoint is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// On which relay.
    pub relay: RelayId,
    /// The how manieth endpoint it is that this relay ever opened, from 0: the hub makes an address
    /// and a port of it.
    pub slot: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Person {
    pub risk: f32,
    /// When they sat down, or began to wait.
    pub since: Hours,
    /// When they were last heard of.
    pub seen: Hours,
    pub at: EndpointId,
    /// Another endpoint that they were shown.
    pub spare: EndpointId,
    /// Who said first that they log in from abroad: an owner of relays, counted from 1.
    pub word: u16,
    /// Whether two owners said so.
    pub is_abroad: bool,
    /// Whether they have lived through anything: a block, or some hours without one.
    pub is_known: bool,
    /// Whether there is such a person: `false` for a place that is free.
    pub is_here: bool,
}

/// What an endpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A group whose risk is small enough to learn from what happens.
    Test,
    /// Everybody for whom there is no test.
    Pool,
    /// Those who nearly certainly inform.
    Last,
    /// Nobody: those who sat there have moved, and it is not blocked.
    Idle,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    pub place: Place,
    pub is_for: Use,
    /// When its first person sat down.
    pub since: Hours,
    /// When others last joined them.
    pub joined: Hours,
    pub members: Vec<PersonId>,
    /// Who knows of it and sits elsewhere.
    pub exposed: Vec<PersonId>,
    /// The risk that sat there when others last joined.
    pub dose: f64,
    /// Until when that no block happened was taken into account.
    pub told: Hours,
    /// What it has said of its relay so far.
    pub word: f64,
    /// Whether only newcomers sat down there.
    pub is_new: bool,
}

/// Who sits where, and what is believed of them. [`super`] tells how it works.
#[derive(Clone, Debug, PartialEq)]
pub struct Seats {
    pub(super) rule: Rule,
    pub(super) people: Vec<Person>,
    /// Places in the list of people that are free.
    pub(super) vacant: Vec<PersonId>,
    /// Those that are open.
    pub(super) endpoints: BTreeMap<EndpointId, Endpoint>,
    /// The number of the next.
    pub(super) opened: EndpointId,
    pub(super) relays: Vec<Relay>,
    pub(super) waiting: Vec<PersonId>,
    pub(super) learned: Learned,
    pub(super) chance: Chance,
    pub(super) supply: super::relays::Supply,
    pub(super) counted: Option<Hours>,
    pub(super) settled: Option<Hours>,
    /// What newcomers are seated by until others are settled again.
    pub(super) welcome: super::welcome::Welcome,
    /// How many times somebody knows an endpoint where they do not sit.
    pub(super) exposures: usize,
}

impl Seats {
    /// Nobody yet.
    #[must_use]
    pub fn new(rule: Rule, seed: u64) -> Self {
        Self {
            learned: Learned::new(rule.share, rule.sleepers),
            rule,
            people: Vec::new(),
            vacant: Vec::new(),
            endpoints: BTreeMap::new(),
            opened: 0,
            relays: Vec::new(),
            waiting: Vec::new(),
            chance: Chance::new(seed),
            supply: super::relays::Supply::default(),
            counted: None,
            settled: None,
            welcome: super::welcome::Welcome::default(),
            exposures: 0,
        }
    }

    /// Where somebody sits.
    #[must_use]
    pub fn seat(&self, person: PersonId) -> Option<EndpointId> {
        self.people.get(person as usize).map(|person| person.at).filter(|&at| at != NOWHERE)
    }

    /// Who sits there: nobody, once it is blocked or gone.
    #[must_use]
    pub fn members(&self, endpoint: EndpointId) -> &[PersonId] {
        self.endpoints.get(&endpoint).map_or(&[], |endpoint| &endpoint.members)
    }

    /// Where an endpoint is: `None` once it is blocked or gone.
    #[must_use]
    pub fn place(&self, endpoint: EndpointId) -> Option<Place> {
        self.endpoints.get(&endpoint).map(|endpoint| endpoint.place)
    }

    /// The endpoints that are open, with people or without.
    pub fn open_endpoints(&self) -> impl Iterator<Item = (EndpointId, Place)> {
        self.endpoints.iter().map(|(&id, endpoint)| (id, endpoint.place))
    }

    /// How many people wait for a seat.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How probable it is believed that somebody informs: 0 for nobody.
    #[must_use]
    pub fn risk(&self, person: PersonId) -> f64 {
        self.people.get(person as usize).map_or(0.0, |person| person.risk.into())
    }

    pub(super) fn held(&self, id: PersonId) -> f64 {
        self.people[id as usize].risk.into()
    }

    pub(super) fn relay_at(&self, endpoint: EndpointId) -> &Relay {
        &self.relays[self.endpoints[&endpoint].place.relay as usize]
    }

    /// The risk of those who sit there, by now.
    pub(super) fn dose(&self, endpoint: &Endpoint, now: Hours) -> f64 {
        self.sum(&endpoint.members, now)
    }

    /// The risk of these, by now.
    pub(super) fn sum(&self, people: &[PersonId], now: Hours) -> f64 {
        let risk = |&id: &PersonId| {
            let person = &self.people[id as usize];
            cleared(person.risk.into(), self.learned.quiet(now - person.since))
        };
        people.iter().map(risk).sum()
    }

    /// Takes what the time at their seat has shown of somebody into what is believed of them.
    pub(super) fn stand_up(&mut self, id: PersonId, now: Hours) {
        let person = &mut self.people[id as usize];
        let quiet = self.learned.quiet(now - person.since);
        // However long ago they sat down first, they may be one who sleeps.
        let least = self.learned.share * self.learned.sleepers;
        let risk = cleared(person.risk.into(), quiet).max(least.min(person.risk.into()));
        person.risk = single(risk);
        (person.at, person.since, person.is_known) = (NOWHERE, now, true);
    }

    pub(super) fn sit(&mut self, these: &[PersonId], to: EndpointId, now: Hours) -> Vec<Move> {
        let Some(endpoint) = self.endpoints.get_mut(&to) else { return Vec::new() };
        endpoint.members.extend_from_slice(these);
        (endpoint.joined, endpoint.told, endpoint.word) = (now, now, 0.0);
        self.relays[endpoint.place.relay as usize].load += number(these.len());
        for &id in these {
            let person = &mut self.people[id as usize];
            (person.at, person.since) = (to, now);
        }
        let dose = self.dose(&self.endpoints[&to], now);
        if let Some(endpoint) = self.endpoints.get_mut(&to) {
            endpoint.dose = dose;
        }
        these.iter().map(|&person| Move { person, to }).collect()
    }

    /// Opens an endpoint of a relay: one that nobody uses any more, or else a fresh one.
    pub(super) fn open(&mut self, relay: RelayId, now: Hours, is_for: Use) -> Option<EndpointId> {
        let state = &mut self.relays[relay as usize];
        let id = if let Some(id) = state.idle.pop() {
            id
        } else {
            state.fresh = state.fresh.checked_sub(1)?;
            let place = Place { relay, slot: state.opened };
            state.live += 1;
            state.opened += 1;
            let id = self.opened;
            self.opened += 1;
            self.endpoints.insert(id, Endpoint::at(place));
            id
        };
        let endpoint = self.endpoints.get_mut(&id)?;
        (endpoint.is_for, endpoint.since, endpoint.joined) = (is_for, now, now);
        (endpoint.is_new, endpoint.dose, endpoint.word) = (false, 0.0, 0.0);
        Some(id)
    }

    /// Closes an endpoint for good: whoever sat there, and what is known of it.
    pub(super) fn close(&mut self, id: EndpointId) -> Option<Endpoint> {
        let closed = self.endpoints.remove(&id)?;
        let relay = &mut self.relays[closed.place.relay as usize];
        relay.live -= 1;
        relay.load -= number(closed.members.len());
        relay.idle.retain(|&other| other != id);
        self.exposures -= closed.exposed.len();
        for &person in &closed.exposed {
            let spare = &mut self.people[person as usize].spare;
            if *spare == id {
                *spare = NOWHERE;
            }
        }
        Some(closed)
    }

    /// Everybody leaves an endpoint that others may use after them.
    pub(super) fn vacate(&mut self, id: EndpointId, now: Hours) -> Vec<PersonId> {
        let all = self.people.len();
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return Vec::new() };
        let members = std::mem::take(&mut endpoint.members);
        let relay = &mut self.relays[endpoint.place.relay as usize];
        relay.load -= number(members.len());
        endpoint.is_for = Use::Idle;
        endpoint.exposed.extend_from_slice(&members);
        self.exposures += members.len();
        relay.idle.push(id);
        // What is known of old is bounded.
        if self.exposures > 3 * all || relay.live > relay.slots {
            self.close(id);
        }
        for &person in &members {
            self.stand_up(person, now);
        }
        members
    }
}

impl Endpoint {
    /// Whether newcomers sit there whom others may still join.
    pub(super) fn is_young(&self, now: Hours) -> bool {
        self.is_for == Use::Test && self.is_new && now - self.since <= FILLS
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            is_for: Use::Idle,
            since: 0.0,
            joined: 0.0,
            members: Vec::new(),
            exposed: Vec::new(),
            dose: 0.0,
            told: 0.0,
            word: 0.0,
            is_new: false,
        }
    }
}

/// People and endpoints are fewer than 2^32: what is beyond counts as that many.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[allow(clippy::cast_possible_truncation)]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}
impl Seats {
    /// The share of newcomers who inform, as believed by now.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.learned.share
    }
}
