//! By hand, as in January 2022: 2,000 requests a day were answered one by one for some 40 servers, and
//! 300,000 to 500,000 people were served, since each link was passed on to others.

use std::collections::VecDeque;

use hub::seats::{Chance, EndpointId, Hours, Move, PersonId, RelayId};

use super::supply::Supply;
use crate::share::office::{Office, Relay};
use crate::share::world::STEP;

/// How many requests are answered in a day.
const ANSWERS: f64 = 2_000.0;
/// Who gets one link: the one who asked, and those it is passed on to.
const SHARED: usize = 150;
/// How often somebody gives a relay a new address, in hours.
const READDRESSED: Hours = 24.0;

pub(in crate::share) struct ByHand {
    supply: Supply,
    waiting: VecDeque<PersonId>,
    people: PersonId,
    /// How many answers can be given, and parts of one.
    answers: f64,
    readdressed: Hours,
    chance: Chance,
}

impl ByHand {
    pub(in crate::share) fn new(seed: u64) -> Self {
        Self {
            supply: Supply::default(),
            waiting: VecDeque::new(),
            people: 0,
            answers: 0.0,
            readdressed: 0.0,
            chance: Chance::new(seed),
        }
    }
}

impl Office for ByHand {
    fn relay(&mut self, relay: Relay) {
        self.supply.relay(relay);
    }

    /// There might be more addresses than people have time for.
    fn fresh(&mut self, _: RelayId, _: u32) {}

    fn arrive(&mut self, _: Hours) {
        self.waiting.push_back(self.people);
        self.people += 1;
    }

    fn blocked(&mut self, endpoints: &[EndpointId], _: Hours) {
        self.waiting.extend(self.supply.close(endpoints));
    }

    fn settle(&mut self, now: Hours) -> Vec<Move> {
        if now - self.readdressed >= READDRESSED {
            self.readdressed = now;
            for relay in (0..).take(self.supply.relays()) {
                self.supply.fresh(relay, 1);
            }
        }
        self.supply.open_all();
        let mut open: Vec<EndpointId> = self.supply.live().collect();
        open.retain(|&endpoint| self.supply.has_room(endpoint));
        // What is not answered in one half hour is no gain to the next.
        self.answers = self.answers.fract() + ANSWERS * f64::from(STEP) / 24.0;
        let mut moves = Vec::new();
        while self.answers >= 1.0 && !open.is_empty() && !self.waiting.is_empty() {
            self.answers -= 1.0;
            let place = self.chance.below(open.len());
            let to = open[place];
            for _ in 0..SHARED {
                if !self.supply.has_room(to) {
                    break;
                }
                let Some(person) = self.waiting.pop_front() else { break };
                self.supply.sit(person, to);
                moves.push(Move { person, to });
            }
            if !self.supply.has_room(to) {
                open.swap_remove(place);
            }
        }
        moves
    }

    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        self.supply.relay_of(endpoint)
    }
}
