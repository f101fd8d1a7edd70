//! Newcomers, between two settlements. [`Seats::settle`] looks at everything; while hundreds come in a
//! second, and there are endpoints for all of them, what it has found out is good for some seconds.

use super::Hours;
use super::state::{Endpoint, EndpointId, Move, NOWHERE, RelayId, Seats, Use};

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
    /// Endpoints where newcomers have sat down lately: each in turn takes one more, where no fresh one
    /// is left.
    pub young: Vec<EndpointId>,
    /// Whose turn it is.
    pub next: usize,
    /// The risk that these may come to.
    pub most: f64,
    /// Endpoints of the pool, which takes everybody else.
    pub pools: Vec<EndpointId>,
}

impl Default for Welcome {
    fn default() -> Self {
        Self {
            limit: 0.0,
            relays: Vec::new(),
            at: NOWHERE,
            dose: 0.0,
            young: Vec::new(),
            next: 0,
            most: 0.0,
            pools: Vec::new(),
        }
    }
}

impl Seats {
    /// Sets aside for newcomers what a settlement has left over. Where it was not enough for a test of
    /// everybody, newcomers go where the rest went.
    pub(super) fn prepare(
        &mut self,
        limit: f64,
        mut free: Vec<RelayId>,
        is_ample: bool,
        now: Hours,
    ) {
        let (mut pools, mut young) = (Vec::new(), Vec::new());
        if is_ample {
            young = self.young(now);
        } else {
            free.clear();
            let is_pool = |(_, at): &(_, &Endpoint)| at.is_for == Use::Pool;
            pools.extend(self.endpoints.iter().filter(is_pool).map(|(&id, _)| id));
        }
        free.truncate(MOST);
        let (at, most) = (NOWHERE, self.most(now));
        self.welcome = Welcome { limit, relays: free, at, dose: 0.0, young, next: 0, most, pools };
    }

    /// Seats newcomers as the last [`Self::settle`] would have: with other newcomers, in groups as
    /// small as its were, on fresh endpoints, or in the pool if there were none. It looks at nobody
    /// else. Whoever still waits after it has lived through something, or there is no endpoint set
    /// aside any more: then settle.
    pub fn welcome(&mut self, now: Hours) -> Vec<Move> {
        let mut moves = Vec::new();
        let waiting = std::mem::take(&mut self.waiting);
        let (known, new): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|&id| self.people[id as usize].is_known);
        let mut left = &new[..];
        while let Some((&first, others)) = left.split_first() {
            let Some(at) = self.opens(self.held(first), now) else { break };
            moves.extend(self.sit(&[first], at, now));
            left = others;
        }
        while !left.is_empty()
            && let Some(&at) = self.welcome.pools.last()
        {
            let is_open = self.endpoints.get(&at).is_some_and(|at| at.is_for == Use::Pool);
            let space = if is_open { self.relay_at(at).space() } else { 0 };
            let (these, others) = left.split_at(space.min(left.len()));
            if these.is_empty() {
                self.welcome.pools.pop();
            } else {
                moves.extend(self.sit(these, at, now));
            }
            left = others;
        }
        self.waiting = known;
        self.waiting.extend(left);
        moves
    }

    /// Where somebody of such a risk sits down.
    fn opens(&mut self, risk: f64, now: Hours) -> Option<EndpointId> {
        let at = self.welcome.at;
        let takes = self.endpoints.get(&at).is_some_and(|endpoint| endpoint.is_young(now));
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
            self.welcome.young.push(at);
            return Some(at);
        }
        self.turn(risk, now)
    }

    /// The next of those where newcomers sit, as long as it may take one more.
    fn turn(&mut self, risk: f64, now: Hours) -> Option<EndpointId> {
        loop {
            let Welcome { young, next, most, .. } = &self.welcome;
            let next = if *next < young.len() { *next } else { 0 };
            let at = *young.get(next)?;
            let takes = self
                .endpoints
                .get(&at)
                .is_some_and(|endpoint| endpoint.is_young(now) && endpoint.dose + risk <= *most);
            if takes && self.relay_at(at).space() > 0 {
                self.welcome.next = next + 1;
                return Some(at);
            }
            self.welcome.young.swap_remove(next);
            self.welcome.next = next;
        }
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
            let is_small = risk <= limit + 1e-6 || seats.members(at).len() == 1;
            assert!(is_small, "{risk} where {limit} is the most");
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
    fn where_endpoints_are_few_newcomers_go_to_the_pool_as_long_as_there_is_room() {
        let mut seats = Seats::new(Rule::default(), 1);
        seats.relay(1, 650);
        for _ in 0..600 {
            seats.arrive(0.0);
        }
        seats.settle(0.0);
        assert_eq!(seats.waiting(), 0);
        for _ in 0..100 {
            seats.arrive(0.01);
        }
        assert_eq!((seats.welcome(0.01).len(), seats.waiting()), (50, 50));
        assert!(seats.is_sound());
    }
}
