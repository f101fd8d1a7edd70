//! How many there are at the same time, in all and from one source.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::sources::Source;

/// A room with a bounded number of places.
pub(crate) struct Crowd {
    most: usize,
    most_per_source: usize,
    now: Arc<Mutex<Now>>,
}

/// Everybody who has a place, by a number that grows with each who comes.
#[derive(Default)]
struct Now {
    next: u64,
    all: BTreeMap<u64, (Source, Arc<Notify>)>,
    by_source: HashMap<Source, BTreeSet<u64>>,
}

/// Somebody's place, free again when it is dropped.
pub(crate) struct Place {
    number: u64,
    out: Arc<Notify>,
    now: Arc<Mutex<Now>>,
}

impl Crowd {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Self {
        Self { most, most_per_source, now: Arc::default() }
    }

    /// A place, if there is one left.
    pub(crate) fn admit(&self, source: Source) -> Option<Place> {
        let mut now = lock(&self.now);
        let is_full = now.all.len() >= self.most || now.here(source) >= self.most_per_source;
        (!is_full).then(|| self.give(&mut now, source))
    }

    /// A place, from which whoever has had it longest is pushed out if there is none left: of the same
    /// source if that has its share, else of all. So those who only take up places have them as long
    /// as nobody else wants them, and who is quick gets through.
    pub(crate) fn press_in(&self, source: Source) -> Place {
        let mut now = lock(&self.now);
        let oldest = if now.here(source) >= self.most_per_source {
            now.by_source.get(&source).and_then(BTreeSet::first).copied()
        } else if now.all.len() >= self.most {
            now.all.first_key_value().map(|(number, _)| *number)
        } else {
            None
        };
        if let Some(out) = oldest.and_then(|number| now.remove(number)) {
            out.notify_one();
        }
        self.give(&mut now, source)
    }

    fn give(&self, now: &mut Now, source: Source) -> Place {
        let (number, out) = (now.next, Arc::<Notify>::default());
        now.next += 1;
        now.all.insert(number, (source, Arc::clone(&out)));
        now.by_source.entry(source).or_default().insert(number);
        Place { number, out, now: Arc::clone(&self.now) }
    }
}

impl Now {
    fn here(&self, source: Source) -> usize {
        self.by_source.get(&source).map_or(0, BTreeSet::len)
    }

    /// Takes somebody's place away, if they still have it.
    fn remove(&mut self, number: u64) -> Option<Arc<Notify>> {
        let (source, out) = self.all.remove(&number)?;
        if let Some(here) = self.by_source.get_mut(&source) {
            here.remove(&number);
            if here.is_empty() {
                self.by_source.remove(&source);
            }
        }
        Some(out)
    }
}

impl Place {
    /// Done once the place is somebody else's.
    pub(crate) fn lost(&self) -> impl Future<Output = ()> + use<> {
        let out = Arc::clone(&self.out);
        async move { out.notified().await }
    }
}

impl Crowd {
    /// How many there are now.
    pub(crate) fn count(&self) -> usize {
        lock(&self.now).all.len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = lock(&self.now).remove(self.number);
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use tokio::time::{Duration, timeout};

    fn source(last: u8) -> Source {
        IpAddr::from([192, 0, 2, last]).into()
    }

    async fn is_lost(place: &Place) -> bool {
        timeout(Duration::ZERO, place.lost()).await.is_ok()
    }

    #[test]
    fn places_are_bounded_in_all_and_per_source() {
        let crowd = Crowd::new(3, 2);
        let first = crowd.admit(source(1)).expect("room");
        let _second = crowd.admit(source(1)).expect("room");
        assert!(crowd.admit(source(1)).is_none(), "one source has two at most");
        let _third = crowd.admit(source(2)).expect("room");
        assert!(crowd.admit(source(3)).is_none(), "three in all");
        drop(first);
        assert!(crowd.admit(source(1)).is_some(), "a place is free again");
    }

    #[tokio::test]
    async fn who_has_been_there_longest_makes_room_first_at_home_and_then_in_all() {
        let crowd = Crowd::new(3, 2);
        let [other, first, second] = [2, 1, 1].map(|last| crowd.press_in(source(last)));
        let third = crowd.press_in(source(1));
        assert!(is_lost(&first).await && !is_lost(&other).await, "one source has two at most");
        drop(first);
        let _fourth = crowd.press_in(source(3));
        assert!(is_lost(&other).await && !is_lost(&second).await && !is_lost(&third).await);
        assert!(crowd.admit(source(4)).is_none(), "three in all");
        drop(second);
        assert!(crowd.admit(source(4)).is_some(), "a place is free again");
    }
}
