//! How many there are at the same time, in all and from one source.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sources::Source;

/// A room with a bounded number of places.
pub(crate) struct Crowd {
    most: usize,
    most_per_source: usize,
    now: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// Somebody's place, free again when it is dropped.
pub(crate) struct Place {
    source: Source,
    now: Arc<Mutex<Counts>>,
}

impl Crowd {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Self {
        Self { most, most_per_source, now: Arc::default() }
    }

    /// A place, if there is one left.
    pub(crate) fn admit(&self, source: Source) -> Option<Place> {
        let mut now = lock(&self.now);
        let here = now.by_source.get(&source).copied().unwrap_or(0);
        if now.all >= self.most || here >= self.most_per_source {
            return None;
        }
        now.all += 1;
        now.by_source.insert(source, here + 1);
        Some(Place { source, now: Arc::clone(&self.now) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = lock(&self.now);
        now.all -= 1;
        if let Some(here) = now.by_source.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                now.by_source.remove(&self.source);
            }
        }
    }
}

fn lock(now: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn places_are_bounded_in_all_and_per_source() {
        let source = |last: u8| Source::from(IpAddr::from([192, 0, 2, last]));
        let crowd = Crowd::new(3, 2);
        let first = crowd.admit(source(1)).expect("room");
        let _second = crowd.admit(source(1)).expect("room");
        assert!(crowd.admit(source(1)).is_none(), "one source has two at most");
        let _third = crowd.admit(source(2)).expect("room");
        assert!(crowd.admit(source(3)).is_none(), "three in all");
        drop(first);
        assert!(crowd.admit(source(1)).is_some(), "a place is free again");
    }
}
