//! The censor: what it is told, what it makes of it, and when it blocks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use hub::seats::{Chance, EndpointId, Hours};

use super::cell::{Habit, Reaction};
use super::world::{STEP, whole};

/// Until then sleepers say nothing.
const AWAKE: Hours = 60.0;
/// How probably a partial informer says what they know, in each half hour.
const PARTIAL: f64 = 0.1;
/// How probably a person is followed from one endpoint to the next.
const FOLLOWED: f64 = 0.002;

/// What the censor knows.
pub(super) struct Censor {
    habit: Habit,
    reaction: Reaction,
    /// By the number of the endpoint.
    known: Vec<bool>,
    /// By the half hour.
    due: BinaryHeap<Reverse<(u32, EndpointId)>>,
    chance: Chance,
}

impl Censor {
    pub(super) fn new(habit: Habit, reaction: Reaction, seed: u64) -> Self {
        let (known, due) = (Vec::new(), BinaryHeap::new());
        Self { habit, reaction, known, due, chance: Chance::new(seed) }
    }

    /// It hears of an endpoint.
    pub(super) fn learn(&mut self, endpoint: EndpointId, now: Hours) {
        let place = endpoint as usize;
        if self.known.len() <= place {
            self.known.resize(place + 1, false);
        }
        if !self.known[place] {
            self.known[place] = true;
            let after = match self.reaction {
                Reaction::After(hours) => f64::from(hours),
                Reaction::About(hours) => f64::from(-hours) * (1.0 - self.chance.unit()).ln(),
            };
            self.due.push(Reverse((step(now.into()) + step(after), endpoint)));
        }
    }

    pub(super) fn knows(&self, endpoint: EndpointId) -> bool {
        self.known.get(endpoint as usize).is_some_and(|known| *known)
    }

    /// What it blocks now.
    pub(super) fn blocks(&mut self, now: Hours) -> Vec<EndpointId> {
        let mut blocks = Vec::new();
        while let Some(due) = self.due.peek_mut()
            && due.0.0 <= step(now.into())
        {
            blocks.push(PeekMut::pop(due).0.1);
        }
        blocks
    }

    /// Whether an informer says now what they know.
    pub(super) fn is_told(&mut self, now: Hours) -> bool {
        match self.habit {
            Habit::Aggressive | Habit::ZigZag => true,
            Habit::Sleeper => now >= AWAKE,
            Habit::Partial => self.chance.unit() < PARTIAL,
            #[cfg(test)]
            Habit::Silent => false,
        }
    }

    /// Whether it follows somebody who moves, from an endpoint that it knows or not; or whose own
    /// address it may have learned.
    pub(super) fn follows(&mut self, is_from_known: bool, is_watched: bool) -> bool {
        let can = is_watched || is_from_known && self.habit == Habit::ZigZag;
        can && self.chance.unit() < FOLLOWED
    }
}

/// The half hour that begins nearest to it.
fn step(time: f64) -> u32 {
    whole((time / f64::from(STEP)).round())
}
