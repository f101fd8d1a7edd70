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

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::Generations;

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
        assert!(map.young.len() + map.old.len() <= 20);
    }
}
