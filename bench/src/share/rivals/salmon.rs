//! Salmon (Douglas, Rorabaugh, Jenkins, Kuhn and Bailey, PETS 2016): ten people share a server; a block makes
//! each of them more suspect, and whoever is too suspect is banned.
//!
//! From the paper and rdsys's `MaxSuspicion`: a block with `n` people on the server leaves 1 − 1/n of
//! what spoke for each of them; suspicion is the rest, and above 1/3 one is banned. Level `n` is left
//! for the next after 2^(n+1) days. Those of one level share servers, and the higher levels are served
//! first. Here, everybody is let in, at level 0: what an account of years costs the censor is in the
//! share of informers. Each has one server at a time.

use std::collections::VecDeque;

use hub::seats::{EndpointId, Hours, Move, PersonId, RelayId};

use super::supply::Supply;
use crate::share::office::{Office, Relay};

/// Group size (M).
const GROUP: usize = 10;
/// Above it, one is banned (T).
const SUSPICION: f32 = 1.0 / 3.0;
/// Levels that can be reached within five days: 0, and 1 after two days.
const LEVELS: usize = 2;
const PROMOTED: Hours = 48.0;

struct Person {
    since: Hours,
    /// What is left that speaks for them.
    clean: f32,
}

impl Person {
    fn is_banned(&self) -> bool {
        1.0 - self.clean > SUSPICION
    }

    fn level(&self, now: Hours) -> usize {
        usize::from(now - self.since >= PROMOTED)
    }
}

#[derive(Default)]
pub(in crate::share) struct Salmon {
    supply: Supply,
    people: Vec<Person>,
    waiting: [VecDeque<PersonId>; LEVELS],
}

impl Salmon {
    /// Servers of a level with fewer people than may share one.
    fn with_room(&self, level: usize, now: Hours) -> Vec<EndpointId> {
        let is_open = |&server: &EndpointId| {
            let members = self.supply.members(server);
            let levels = members.iter().map(|&id| self.people[id as usize].level(now));
            members.len() < GROUP && levels.min() == Some(level)
        };
        self.supply.live().filter(is_open).collect()
    }
}

impl Office for Salmon {
    fn relay(&mut self, relay: Relay) {
        self.supply.relay(relay);
    }

    fn fresh(&mut self, relay: RelayId, count: u32) {
        self.supply.fresh(relay, count);
    }

    fn arrive(&mut self, now: Hours) {
        self.waiting[0].extend(u32::try_from(self.people.len()));
        self.people.push(Person { since: now, clean: 1.0 });
    }

    fn blocked(&mut self, endpoints: &[EndpointId], now: Hours) {
        for &server in endpoints {
            let clean = 1.0 - 1.0 / self.supply.members(server).len() as f32;
            for id in self.supply.close(&[server]) {
                let person = &mut self.people[id as usize];
                person.clean *= clean;
                if !person.is_banned() {
                    self.waiting[person.level(now)].push_back(id);
                }
            }
        }
    }

    fn settle(&mut self, now: Hours) -> Vec<Move> {
        let mut moves = Vec::new();
        for level in (0..LEVELS).rev() {
            let mut open = self.with_room(level, now);
            while let Some(&person) = self.waiting[level].front() {
                let Some(to) = open.pop().or_else(|| self.supply.open()) else { break };
                self.waiting[level].pop_front();
                self.supply.sit(person, to);
                moves.push(Move { person, to });
                if self.supply.members(to).len() < GROUP {
                    open.push(to);
                }
            }
        }
        moves
    }

    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        self.supply.relay_of(endpoint)
    }

    fn has_refused(&self, person: PersonId) -> bool {
        self.people[person as usize].is_banned()
    }
}
