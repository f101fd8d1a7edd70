//! How many questions are open, and where they are counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::derive::KeyId;
use wire::tally::{Cell, Protocol};

use crate::house::Visitor;
use crate::tally::Meter;

/// The most questions of one key that wait for an answer at the same time.
const MOST: usize = 64;

/// The same of all keys: each may hold sockets towards name servers.
const MOST_IN_ALL: usize = 1_024;

/// The keys that wait for answers, and for how many.
#[derive(Default)]
pub(crate) struct Askers(Arc<Mutex<HashMap<KeyId, usize>>>);

/// A question that is open until this is dropped.
pub(crate) struct Place {
    key: KeyId,
    askers: Arc<Mutex<HashMap<KeyId, usize>>>,
}

impl Askers {
    /// Room for one more question; `None` when the key, or all, have as many open as they may.
    pub(crate) fn enter(&self, key: KeyId) -> Option<Place> {
        let mut open = lock(&self.0);
        if open.values().sum::<usize>() >= MOST_IN_ALL {
            return None;
        }
        let count = open.entry(key).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        Some(Place { key, askers: Arc::clone(&self.0) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.askers);
        let Some(count) = open.get_mut(&self.key) else { return };
        *count -= 1;
        if *count == 0 {
            open.remove(&self.key);
        }
    }
}

/// Where the questions of one connection are counted, from the first one on.
#[derive(Default)]
pub(crate) struct Questions(Mutex<Option<(KeyId, Arc<Meter>)>>);

impl Questions {
    /// The meter for a key; a connection on which another key is shown is one of that key too.
    pub(super) fn meter(&self, visitor: &Visitor, key: KeyId) -> Arc<Meter> {
        let mut counted = lock(&self.0);
        if let Some((_, meter)) = counted.as_ref().filter(|(counted, _)| *counted == key) {
            return Arc::clone(meter);
        }
        let port = visitor.dialled.port();
        let cell = Cell { key: Some(key), port, protocol: Protocol::Doh, datacentre: None };
        let meter = visitor.shared.meter(cell, visitor.source);
        *counted = Some((key, Arc::clone(&meter)));
        meter
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_so_many_questions_open_and_others_have_theirs() {
        let askers = Askers::default();
        let mut places: Vec<_> = (0..MOST).map(|_| askers.enter(KeyId([1; 8]))).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(askers.enter(KeyId([1; 8])).is_none());
        assert!(askers.enter(KeyId([2; 8])).is_some());
        places.pop();
        assert!(askers.enter(KeyId([1; 8])).is_some());
        places.clear();
        assert!(lock(&askers.0).is_empty(), "nobody is remembered who waits for nothing");
    }
}
