//! Nasr, Farhang, Houmansadr and Grossklags ("Enemy At the Gateways", NDSS 2019): people and proxies are matched by
//! deferred acceptance, each side by how useful the other has been; people who are of little use are
//! refused from then on.
//!
//! A person's utility is α1 × hours online − α2 × requests − α3 × hours on endpoints until they were
//! blocked − α4 × blocked endpoints known, with 5, 1, 1, 1 and refusal below −500 as in ProxySimulator's
//! "kind" profile; the "strict" one, with 1, 3, 5, 5, refuses up to all honest people here, and does
//! worse in every cell that we tried. Distance (α5) is the same for all. A proxy's is how many people know it, and
//! three times how many are connected. All people rank proxies alike, and all proxies people: so
//! deferred acceptance gives the best person the best proxy that has a place, and so on. A proxy's
//! capacity is its part of the relay's room, and not 40, with which most people would never be let in.

use hub::seats::{Chance, EndpointId, Hours, Move, PersonId, RelayId};

use super::supply::Supply;
use crate::share::office::{Office, Relay};

const ONLINE: f32 = 5.0;
const REQUEST: f32 = 1.0;
const BLOCKED_USE: f32 = 1.0;
const BLOCKED: f32 = 1.0;
const REFUSED: f32 = -500.0;

struct Person {
    since: Hours,
    /// Without the hours since they sat down.
    utility: f32,
    is_refused: bool,
}

pub(in crate::share) struct Nasr {
    supply: Supply,
    people: Vec<Person>,
    waiting: Vec<PersonId>,
    chance: Chance,
}

impl Nasr {
    pub(in crate::share) fn new(seed: u64) -> Self {
        let (supply, people, waiting) = (Supply::default(), Vec::new(), Vec::new());
        Self { supply, people, waiting, chance: Chance::new(seed) }
    }

    fn utility(&self, person: PersonId) -> f32 {
        self.people[person as usize].utility
    }
}

impl Office for Nasr {
    fn relay(&mut self, relay: Relay) {
        self.supply.relay(relay);
    }

    fn fresh(&mut self, relay: RelayId, count: u32) {
        self.supply.fresh(relay, count);
    }

    fn arrive(&mut self, now: Hours) {
        self.waiting.extend(u32::try_from(self.people.len()));
        self.people.push(Person { since: now, utility: 0.0, is_refused: false });
    }

    fn blocked(&mut self, endpoints: &[EndpointId], now: Hours) {
        for id in self.supply.close(endpoints) {
            let person = &mut self.people[id as usize];
            person.utility += (now - person.since) * (ONLINE - BLOCKED_USE) - BLOCKED;
            person.is_refused = person.utility < REFUSED;
            if !person.is_refused {
                self.waiting.push(id);
            }
        }
    }

    fn settle(&mut self, now: Hours) -> Vec<Move> {
        self.supply.open_all();
        let mut open: Vec<EndpointId> = self.supply.live().collect();
        // Who knows an endpoint that lives is connected to it: one order is the other's.
        open.sort_by_key(|&endpoint| self.supply.members(endpoint).len());
        let mut waiting = std::mem::take(&mut self.waiting);
        self.chance.shuffle(&mut waiting);
        waiting.sort_by(|&one, &two| self.utility(one).total_cmp(&self.utility(two)));
        let mut moves = Vec::with_capacity(waiting.len());
        while let Some(&to) = open.last()
            && !waiting.is_empty()
        {
            if self.supply.members(to).len() >= self.supply.share_of_room(to) {
                open.pop();
                continue;
            }
            let Some(person) = waiting.pop() else { break };
            let state = &mut self.people[person as usize];
            state.since = now;
            state.utility -= REQUEST;
            self.supply.sit(person, to);
            moves.push(Move { person, to });
        }
        self.waiting = waiting;
        moves
    }

    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        self.supply.relay_of(endpoint)
    }

    fn has_refused(&self, person: PersonId) -> bool {
        self.people[person as usize].is_refused
    }
}
