//! Newcomers, between two settlements. [`Seats::settle`] looks at everything; while hundreds come in a
//! second, and there are endpoints for all of them, what it has found out is good for some seconds.

use super::Hours;
use super::people::FILLS;
use super::state::{EndpointId, Move, NOWHERE, RelayId, Seats, Use};

/// How many endpoints are set aside for newcomers, at most: 128 KiB.
const MOST: usize = 1 << 15;

/// What newcomers are seated by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Welcome {
    /// The risk that a group may be, at most.
    pub limit: f64,
    /// Relays that could open an endpoint, each as often as it could.
    pub relays: Vec<RelayId>,
    /// Where the next one sits down.
    pub at: EndpointId,
    /// The risk that sits there.
    pub dose: f64,
}

impl Default for Welcome {
    fn default() -> Self {
        Self::new(0.0, Vec::new())
    }
}

impl Welcome {
    pub fn new(limit: f64, mut relays: Vec<RelayId>) -> Self {
        relays.truncate(MOST);
        Self { limit, relays, at: NOWHERE, dose: 0.0 }
    }
}

impl Seats {
    /// Seats newcomers as the last [`Self::settle`] would have: with other newcomers, in groups as
    /// small as its were, on fresh endpoints. It looks at nobody else. Whoever still waits after it
    /// has lived through something, or there is no endpoint set aside any more: then settle.
    pub fn welcome(&mut self, now: Hours) -> Vec<Move> {
        let mut moves = Vec::new();
        let mut left = Vec::new();
        for id in std::mem::take(&mut self.waiting) {
            let person = &self.people[id as usize];
            let endpoint = if person.is_known { None } else { self.opens(person.risk.into(), now) };
            match endpoint {
                Some(endpoint) => moves.extend(self.sit(&[id], endpoint, now)),
                None => left.push(id),
            }
        }
        self.waiting = left;
        moves
    }

    /// Where somebody of such a risk sits down.
    fn opens(&mut self, risk: f64, now: Hours) -> Option<EndpointId> {
        let at = self.welcome.at;
        let takes = self.endpoints.get(&at).is_some_and(|endpoint| {
            endpoint.is_for == Use::Test && endpoint.is_new && now - endpoint.since <= FILLS
        });
        if takes && self.welcome.dose + risk <= self.welcome.limit && self.relay_at(at).space() > 0
        {
            self.welcome.dose += risk;
            return Some(at);
        }
        while let Some(relay) = self.welcome.relays.pop() {
            // It may have paused since, or have other people now.
            let is_usable = self.relays.get(relay as usize).is_some_and(|it| it.usable() > 0);
            if !is_usable || self.is_foul(relay) {
                continue;
            }
            let at = self.open(relay, now, Use::Test)?;
            self.endpoints.get_mut(&at)?.is_new = true;
            (self.welcome.at, self.welcome.dose) = (at, risk);
            return Some(at);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seats::Rule;

    fn open() -> Seats {
        let mut seats = Seats::new(Rule::default(), 1);
        for _ in 0..4 {
            seats.relay(64, 1_000);
        }
        seats.arrive(0.0);
        seats.settle(0.0);
        seats
    }

    #[test]
    fn newcomers_are_seated_with_newcomers_in_groups_of_bounded_risk() {
        let mut seats = open();
        let limit = seats.welcome.limit;
        let came: Vec<_> = (0..100).map(|_| seats.arrive(0.01)).collect();
        assert_eq!((seats.welcome(0.01).len(), seats.waiting()), (100, 0));
        for id in came {
            let at = seats.seat(id).expect("a seat");
            let risk: f64 = seats.members(at).iter().map(|&id| seats.risk(id)).sum();
            let is_alone = seats.members(at).len() == 1;
            assert!(is_alone || risk <= limit + 1e-6, "{risk} where {limit} is the most");
            assert!(seats.endpoints[&at].is_new);
        }
        assert!(seats.is_sound());
    }

    #[test]
    fn who_has_lived_through_a_block_waits_for_the_others_to_be_settled() {
        let mut seats = open();
        let first = seats.arrive(0.01);
        seats.welcome(0.01);
        seats.blocked(seats.seat(first).expect("a seat"), 0.5);
        let second = seats.arrive(0.5);
        seats.welcome(0.5);
        assert!(seats.seat(first).is_none() && seats.seat(second).is_some());
        seats.settle(0.5);
        assert!(seats.seat(first).is_some() && seats.seat(first) != seats.seat(second));
    }

    #[test]
    fn where_endpoints_are_few_nobody_is_seated_without_looking_at_all() {
        let mut seats = Seats::new(Rule::default(), 1);
        seats.relay(1, 1_000);
        for _ in 0..100 {
            seats.arrive(0.0);
        }
        seats.settle(0.0);
        seats.arrive(0.01);
        assert_eq!((seats.welcome(0.01), seats.waiting()), (Vec::new(), 1));
    }
}
