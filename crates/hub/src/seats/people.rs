//! People: they come, are heard of, are shown a second link, and leave.

use super::Hours;
use super::relays::Status;
use super::risk::cleared;
use super::state::{EndpointId, NOWHERE, Person, PersonId, RelayId, Seats, Use, number, single};

/// After how many hours without a word somebody is forgotten: a week.
const FORGOTTEN: Hours = 7.0 * 24.0;
/// How many times the odds that somebody informs are multiplied, once, if two owners of relays say
/// that they log in from abroad. Travellers, VPNs and relatives do so too.
const ABROAD: f64 = 2.0;
/// Of how many steps each 2.7-fold of the odds is made, in which people differ.
const ALIKE: f64 = 50.0;
/// How many endpoints are looked at for a second link.
const TRIES: usize = 8;
/// How long after its first person a group of newcomers takes others.
pub(super) const FILLS: Hours = 0.25;

/// From where somebody's secret was used, as a relay tells: one bit, and never a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the person's own country.
    Home,
    /// From elsewhere.
    Abroad,
    /// By a messenger's server that fetched a preview of the link: says nothing.
    Preview,
}

impl Seats {
    /// Somebody new, who waits for a seat.
    pub fn arrive(&mut self, now: Hours) -> PersonId {
        let person = Person {
            risk: single(self.learned.share),
            since: now,
            seen: now,
            at: NOWHERE,
            spare: NOWHERE,
            word: 0,
            is_abroad: false,
            is_known: false,
            is_here: true,
        };
        let id = if let Some(id) = self.vacant.pop() {
            self.people[id as usize] = person;
            id
        } else {
            self.people.push(person);
            number(self.people.len() - 1)
        };
        self.waiting.push(id);
        id
    }

    /// Somebody was heard of: they asked again, or a relay says that they used their seat. That two
    /// owners of relays say that it was from abroad doubles the odds against them, once; one owner's
    /// word does nothing.
    pub fn login(&mut self, person: PersonId, relay: RelayId, origin: Origin, now: Hours) {
        let is_foul = self.is_foul(relay);
        let Some(relay) = self.relays.get(relay as usize) else { return };
        let Some(person) = self.people.get_mut(person as usize).filter(|person| person.is_here)
        else {
            return;
        };
        if origin == Origin::Preview || person.seen == Hours::NEG_INFINITY {
            return;
        }
        person.seen = person.seen.max(now);
        if origin == Origin::Home || is_foul || person.is_abroad {
            return;
        }
        let owner = relay.terms.owner.saturating_add(1);
        if person.word == 0 {
            person.word = owner;
        } else if person.word != owner {
            person.is_abroad = true;
            person.risk = single(raised(person.risk.into(), ABROAD));
        }
    }

    /// Somebody asked for their seat at the hub.
    pub fn seen(&mut self, person: PersonId, now: Hours) {
        if let Some(person) = self.people.get_mut(person as usize).filter(|person| person.is_here) {
            person.seen = person.seen.max(now);
        }
    }

    /// Somebody leaves: the next [`Self::expire`] forgets them.
    pub fn leave(&mut self, person: PersonId) {
        if let Some(person) = self.people.get_mut(person as usize) {
            person.seen = Hours::NEG_INFINITY;
        }
    }

    /// Forgets those who have left, or were not heard of for a week, and gives their ids, which mean
    /// somebody else from now on. It looks at everybody: once an hour is often enough.
    pub fn expire(&mut self, now: Hours) -> Vec<PersonId> {
        let is_over = |person: &Person| person.is_here && now - person.seen > FORGOTTEN;
        let over: Vec<PersonId> = (0..)
            .zip(&self.people)
            .filter(|(_, person)| is_over(person))
            .map(|(id, _)| id)
            .collect();
        if over.is_empty() {
            return over;
        }
        for &id in &over {
            let person = &mut self.people[id as usize];
            (person.is_here, person.at, person.spare) = (false, NOWHERE, NOWHERE);
        }
        let people = &self.people;
        let is_here = |id: &PersonId| people[*id as usize].is_here;
        self.waiting.retain(is_here);
        for endpoint in self.endpoints.values_mut() {
            let (sat, knew) = (endpoint.members.len(), endpoint.exposed.len());
            endpoint.members.retain(is_here);
            endpoint.exposed.retain(is_here);
            self.exposures -= knew - endpoint.exposed.len();
            let load = &mut self.relays[endpoint.place.relay as usize].load;
            *load -= number(sat - endpoint.members.len());
        }
        let left = |id: &EndpointId| {
            let endpoint = &self.endpoints[id];
            endpoint.members.is_empty() && endpoint.is_for != Use::Idle
        };
        let empty: Vec<EndpointId> = self.endpoints.keys().copied().filter(left).collect();
        for id in empty {
            self.vacate(id, now);
        }
        self.vacant.extend(over.iter().rev());
        over
    }

    /// Shows somebody a second endpoint, on another relay and in another prefix than their seat, if
    /// there is one whose group has risk to spare. They count as knowing it from now on: if it is
    /// blocked, they are among the suspects. Who has been shown one is shown the same again.
    pub fn spare(&mut self, person: PersonId, now: Hours) -> Option<EndpointId> {
        let seat = self.seat(person)?;
        let asks = self.people[person as usize];
        if asks.spare != NOWHERE && asks.spare != seat {
            return Some(asks.spare);
        }
        let own = self.relay_at(seat).terms.prefix;
        let risk = cleared(asks.risk.into(), self.learned.quiet(now - asks.since));
        for _ in 0..TRIES {
            let from = number(self.chance.below(self.opened as usize));
            let Some((&id, endpoint)) = self.endpoints.range(from..).next() else { continue };
            let relay = self.relay_at(id);
            // Newcomers are never shown what survivors sit on, nor the other way round.
            let is_alike = endpoint.is_new != asks.is_known
                && (asks.is_known || now - endpoint.since <= FILLS);
            if endpoint.is_for == Use::Test
                && is_alike
                && relay.terms.prefix != own
                && relay.status == Status::Working
                && !self.is_foul(endpoint.place.relay)
                && self.dose(endpoint, now) + self.sum(&endpoint.exposed, now) + risk
                    <= self.rule.dose
            {
                let endpoint = self.endpoints.get_mut(&id)?;
                endpoint.exposed.push(person);
                endpoint.dose += risk;
                self.exposures += 1;
                self.people[person as usize].spare = id;
                return Some(id);
            }
        }
        None
    }
}

impl Seats {
    /// In what order people are tested: by risk, where that somebody logs in from abroad does not
    /// count, so that a traveller waits no longer than others. Who differs by little is alike.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn rank(&self, id: PersonId) -> i32 {
        let person = &self.people[id as usize];
        let risk: f64 = person.risk.into();
        let odds = risk / (1.0 - risk) / if person.is_abroad { ABROAD } else { 1.0 };
        (odds.max(1e-12).ln() * ALIKE).round() as i32
    }
}

/// A risk after its odds were multiplied.
pub(super) fn raised(risk: f64, times: f64) -> f64 {
    let odds = risk / (1.0 - risk).max(1e-9) * times;
    (odds / (1.0 + odds)).min(super::blame::CERTAIN)
}
