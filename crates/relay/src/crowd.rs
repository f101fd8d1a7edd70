//! How many there are at the same time, in all, from one source, and from one network.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::sources::{Network, Source};

/// A room with a bounded number of places.
pub(crate) struct Crowd {
    most: usize,
    most_per_source: usize,
    /// For those who have very many sources: a quarter of all, if one source may not have more.
    most_per_network: usize,
    now: Arc<Mutex<Now>>,
}

/// Everybody who has a place, by a number that grows with each who comes.
#[derive(Default)]
struct Now {
    next: u64,
    all: BTreeMap<u64, (Source, Arc<Notify>)>,
    by_source: HashMap<Source, BTreeSet<u64>>,
    by_network: HashMap<Network, BTreeSet<u64>>,
}

/// Somebody's place, free again when it is dropped.
pub(crate) struct Place {
    number: u64,
    out: Arc<Notify>,
    now: Arc<Mutex<Now>>,
}

impl Crowd {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Self {
        let most_per_network = most_per_source.max(most / 4);
        Self { most, most_per_source, most_per_network, now: Arc::default() }
    }

    /// A place, if there is one left.
    pub(crate) fn admit(&self, source: Source) -> Option<Place> {
        let mut now = lock(&self.now);
        let is_full = now.all.len() >= self.most || self.has_its_share(&now, source).is_some();
        (!is_full).then(|| self.give(&mut now, source))
    }

    /// Those who are there already from a source, or from its network, if they are as many as may be.
    fn has_its_share<'a>(&self, now: &'a Now, source: Source) -> Option<&'a BTreeSet<u64>> {
        let source_full =
            now.by_source.get(&source).filter(|here| here.len() >= self.most_per_source);
        let network = now.by_network.get(&source.into());
        source_full.or_else(|| network.filter(|here| here.len() >= self.most_per_network))
    }

    /// A place, from which whoever has had it longest is pushed out if there is none left: of the same
    /// source or network if that has its share, else of all. So those who only take up places have them as long
    /// as nobody else wants them, and who is quick gets through.
    pub(crate) fn press_in(&self, source: Source) -> Place {
        let mut now = lock(&self.now);
        let oldest = if let Some(here) = self.has_its_share(&now, source) {
            here.first().copied()
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
        now.by_network.entry(source.into()).or_default().insert(number);
        Place { number, out, now: Arc::clone(&self.now) }
    }
}

impl Now {
    /// Takes somebody's place away, if they still have it.
    fn remove(&mut self, number: u64) -> Option<Arc<Notify>> {
        let (source, out) = self.all.remove(&number)?;
        leave(&mut self.by_source, &source, number);
        leave(&mut self.by_network, &source.into(), number);
        Some(out)
    }
}

fn leave<K: Eq + Hash>(all: &mut HashMap<K, BTreeSet<u64>>, from: &K, number: u64) {
    if let Some(here) = all.get_mut(from) {
        here.remove(&number);
        if here.is_empty() {
            all.remove(from);
        }
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

    #[test]
    fn who_has_very_many_addresses_has_a_quarter_of_the_places() {
        let crowd = Crowd::new(100, 2);
        let six = |net: u16, n: u16| IpAddr::from([0x2001, 0xdb8, net, n, 0, 0, 0, 1]).into();
        let mut places: Vec<Place> = (0..90).filter_map(|n| crowd.admit(six(1, n))).collect();
        assert_eq!(places.len(), 25);
        places.extend(crowd.admit(six(2, 0)));
        assert_eq!(places.len(), 26, "another network has its own");
        drop((0..200).map(|n| crowd.press_in(six(1, n))).collect::<Vec<_>>());
        assert_eq!(crowd.count(), 1, "and nobody was pushed out of those");
        drop(places);
        let now = lock(&crowd.now);
        assert_eq!((now.all.len(), now.by_source.len(), now.by_network.len()), (0, 0, 0));
    }
}
