//! rBridge (Wang, Lin, Borisov and Hopper, NDSS 2013): people earn credit while their bridges live, and
//! pay with it for another bridge, or to invite somebody.
//!
//! Its numbers as in ProxySimulator: three bridges each, 42 for another, 200 for an invitation, 1,000
//! people to begin with. There credit comes from the 70th day on, so that in five days nobody could
//! invite anybody: here a day of three living bridges pays for one invitation. The first to come are
//! those to begin with; the one who is invited is whoever has waited longest.

use std::collections::VecDeque;

use hub::seats::{Chance, EndpointId, Hours, Move, PersonId, RelayId};

use super::supply::Supply;
use crate::share::office::{MOST_SEATS, Office, Relay};
use crate::share::world::STEP;

const FIRST: usize = 1_000;
const BRIDGE: f32 = 42.0;
const INVITATION: f32 = 200.0;
/// What a living bridge earns in a step.
const EARNED: f32 = INVITATION / (24.0 * MOST_SEATS as f32) * STEP;

#[derive(Clone, Copy)]
struct Person {
    is_in: bool,
    credit: f32,
    bridges: u8,
}

pub(in crate::share) struct RBridge {
    supply: Supply,
    people: Vec<Person>,
    members: Vec<PersonId>,
    outside: VecDeque<PersonId>,
    chance: Chance,
}

impl RBridge {
    pub(in crate::share) fn new(seed: u64) -> Self {
        Self {
            supply: Supply::default(),
            people: Vec::new(),
            members: Vec::new(),
            outside: VecDeque::new(),
            chance: Chance::new(seed),
        }
    }

    fn give(&mut self, person: PersonId, live: &[EndpointId], moves: &mut Vec<Move>) {
        if live.is_empty() {
            return;
        }
        let to = live[self.chance.below(live.len())];
        if self.supply.members(to).contains(&person) {
            // Another of theirs already. They try again in half an hour.
            return;
        }
        self.supply.sit(person, to);
        self.people[person as usize].bridges += 1;
        moves.push(Move { person, to });
    }

    /// Lets the next one in, with three bridges.
    fn invite(&mut self, live: &[EndpointId], moves: &mut Vec<Move>) -> bool {
        let Some(person) = self.outside.pop_front() else { return false };
        self.people[person as usize].is_in = true;
        self.members.push(person);
        for _ in 0..MOST_SEATS {
            self.give(person, live, moves);
        }
        true
    }
}

impl Office for RBridge {
    fn relay(&mut self, relay: Relay) {
        self.supply.relay(relay);
    }

    fn fresh(&mut self, relay: RelayId, count: u32) {
        self.supply.fresh(relay, count);
    }

    fn arrive(&mut self, _: Hours) {
        self.outside.extend(u32::try_from(self.people.len()));
        self.people.push(Person { is_in: false, credit: 0.0, bridges: 0 });
    }

    fn blocked(&mut self, endpoints: &[EndpointId], _: Hours) {
        for id in self.supply.close(endpoints) {
            self.people[id as usize].bridges -= 1;
        }
    }

    fn settle(&mut self, _: Hours) -> Vec<Move> {
        self.supply.open_all();
        let live: Vec<EndpointId> = self.supply.live().collect();
        let mut moves = Vec::new();
        while self.members.len() < FIRST && self.invite(&live, &mut moves) {}
        for place in 0..self.members.len() {
            let id = self.members[place];
            let person = &mut self.people[id as usize];
            person.credit += EARNED * f32::from(person.bridges);
            if usize::from(person.bridges) < MOST_SEATS && person.credit >= BRIDGE {
                let had = person.bridges;
                self.give(id, &live, &mut moves);
                let person = &mut self.people[id as usize];
                person.credit -= BRIDGE * f32::from(person.bridges - had);
            } else if person.credit >= INVITATION && self.invite(&live, &mut moves) {
                self.people[id as usize].credit -= INVITATION;
            }
        }
        moves
    }

    fn seats_each(&self) -> usize {
        MOST_SEATS
    }

    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        self.supply.relay_of(endpoint)
    }

    /// Without a bridge nobody earns what another would cost.
    fn has_refused(&self, person: PersonId) -> bool {
        let Person { is_in, credit, bridges } = self.people[person as usize];
        is_in && bridges == 0 && credit < BRIDGE
    }
}
