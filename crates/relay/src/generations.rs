//! A map that forgets: what was not used for a while goes when room is needed.

use std::collections::HashMap;
use std::hash::Hash;

/// At most twice `half` entries, of which the `half` last used are certain to be there. Every
/// operation takes constant time; forgetting drops a whole generation at once.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    pub(crate) fn new(half: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half }
    }

    /// The value of `key`, which counts as used now.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    /// The value of `key`, which does not count as used by that.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Keeps what is to be kept.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.young.retain(|_, value| keep(value));
        self.old.retain(|_, value| keep(value));
    }

    /// Takes something out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Puts something in; what had to go for it comes out.
    pub(crate) fn insert(&mut self, key: K, value: V) -> HashMap<K, V> {
        let mut gone = HashMap::new();
        // Nothing is in both, or the old value would come back in place of the new one.
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            gone = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
        self.young.insert(key, value);
        gone
    }

    /// The value of `key`, which counts as used now; a new one where there is none. `forget` sees what
    /// had to go for it.
    pub(crate) fn get_or_insert(
        &mut self,
        key: K,
        new: impl FnOnce() -> V,
        forget: impl FnMut(V),
    ) -> &mut V
    where
        K: Copy,
    {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key).unwrap_or_else(new);
            self.insert(key, value).into_values().for_each(forget);
        }
        self.young.get_mut(&key).expect("it is young by now")
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Generations;

    #[test]
    fn what_was_put_in_last_is_what_comes_out() {
        let mut map = Generations::new(4);
        for key in 0..4 {
            map.insert(key, 0);
        }
        for value in 1..4 {
            for key in 0..8 {
                map.insert(key, value);
                assert_eq!(map.get(&key), Some(&mut value.clone()), "{key}");
            }
        }
        assert!(map.len() <= 8);
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut map = Generations::new(10);
        map.insert(0, "used");
        map.insert(1, "forgotten");
        for key in 2..60 {
            map.insert(key, "");
            assert!(map.get(&0).is_some(), "after {key}");
        }
        assert!(map.get(&1).is_none());
        assert!(map.len() <= 20);
    }
}
