//! Uniform: a relay whose endpoint is blocked opens another by itself, and each who waits, in random
//! order, is given the endpoint with the fewest people.
//!
//! The yardstick of Fares and Hopper (FOCI 2026), who find that churn with random assignment beats
//! cleverer ways where addresses are many. Its best reading: to draw among all that live leads people
//! to endpoints that are known and not yet blocked, and informers to people whom nobody had betrayed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hub::seats::{Chance, EndpointId, Hours, Move, PersonId, RelayId};

use super::supply::Supply;
use crate::share::office::{Office, Relay};

pub(in crate::share) struct Uniform {
    supply: Supply,
    waiting: Vec<PersonId>,
    people: PersonId,
    chance: Chance,
}

impl Uniform {
    pub(in crate::share) fn new(seed: u64) -> Self {
        let (supply, waiting) = (Supply::default(), Vec::new());
        Self { supply, waiting, people: 0, chance: Chance::new(seed) }
    }
}

impl Office for Uniform {
    fn relay(&mut self, relay: Relay) {
        self.supply.relay(relay);
    }

    fn fresh(&mut self, relay: RelayId, count: u32) {
        self.supply.fresh(relay, count);
    }

    fn arrive(&mut self, _: Hours) {
        self.waiting.push(self.people);
        self.people += 1;
    }

    fn blocked(&mut self, endpoints: &[EndpointId], _: Hours) {
        self.waiting.extend(self.supply.close(endpoints));
    }

    fn settle(&mut self, _: Hours) -> Vec<Move> {
        self.supply.open_all();
        self.chance.shuffle(&mut self.waiting);
        let with_load = |id| Reverse((self.supply.members(id).len(), id));
        let mut open: BinaryHeap<_> = self.supply.live().map(with_load).collect();
        let mut moves = Vec::with_capacity(self.waiting.len());
        while let Some(&person) = self.waiting.last()
            && let Some(Reverse((load, to))) = open.pop()
        {
            if self.supply.has_room(to) {
                self.waiting.pop();
                self.supply.sit(person, to);
                moves.push(Move { person, to });
                open.push(Reverse((load + 1, to)));
            }
        }
        moves
    }

    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        self.supply.relay_of(endpoint)
    }
}
