//! First flights that were seen before: whoever sends one again has not made it, but recorded it.

use std::sync::{Mutex, PoisonError};

use crate::generations::Generations;

/// How many flights are remembered at least.
const FLIGHTS: usize = 262_144;

/// 16 of a flight's random bytes.
pub(crate) type Mark = [u8; 16];

pub(crate) struct Replays(Mutex<Generations<Mark, ()>>);

impl Default for Replays {
    fn default() -> Self {
        Self(Mutex::new(Generations::new(FLIGHTS)))
    }
}

impl Replays {
    /// Whether this flight is new. Ask only for flights that a key opens, or strangers could make
    /// the relay forget.
    pub(crate) fn is_new(&self, mark: Mark) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(&mark).is_some() {
            return false;
        }
        seen.insert(mark, ());
        true
    }
}
