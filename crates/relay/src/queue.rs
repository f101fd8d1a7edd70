//! A queue that is fair to addresses: of those from which somebody waits, each has its turn.

use std::collections::{HashMap, VecDeque};

use crate::sources::Source;

/// How many wait at most, in all: not more than have their turn before they lose patience, and less than
/// half of those for whom there is room at the door.
const ROOM: usize = 512;
/// How many wait from one source at most, so that a flood from it leaves the rest of its places at the
/// door to people who need not wait.
const ROOM_PER_SOURCE: usize = 32;

/// What waits, by where it comes from.
pub(crate) struct Queue<T> {
    waiting: HashMap<Source, VecDeque<T>>,
    /// Whose turn it is next; everybody in `waiting` is here once, unless they have their turn now.
    order: VecDeque<Source>,
    length: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), order: VecDeque::new(), length: 0 }
    }
}

impl<T> Queue<T> {
    /// Lets something wait behind everything else from that source; whether there is room. What
    /// `is_over` makes some where there is none.
    pub(crate) fn push(&mut self, source: Source, what: T, is_over: impl Fn(&T) -> bool) -> bool {
        if self.length >= ROOM || self.from(source) >= ROOM_PER_SOURCE {
            self.waiting.values_mut().for_each(|there| there.retain(|one| !is_over(one)));
            self.length = self.waiting.values().map(VecDeque::len).sum();
        }
        if self.length >= ROOM || self.from(source) >= ROOM_PER_SOURCE {
            return false;
        }
        let there = self.waiting.entry(source).or_insert_with(|| {
            self.order.push_back(source);
            VecDeque::new()
        });
        there.push_back(what);
        self.length += 1;
        true
    }

    fn from(&self, source: Source) -> usize {
        self.waiting.get(&source).map_or(0, VecDeque::len)
    }

    /// What has its turn now: the first one of the source whose turn it is.
    pub(crate) fn next(&mut self) -> Option<(Source, T)> {
        while let Some(source) = self.order.pop_front() {
            if let Some(what) = self.waiting.get_mut(&source).and_then(VecDeque::pop_front) {
                self.length -= 1;
                return Some((source, what));
            }
            self.waiting.remove(&source);
        }
        None
    }

    /// Ends the turn of what [`Queue::next`] gave; what is not done comes first in its source's next.
    pub(crate) fn end_turn(&mut self, source: Source, undone: Option<T>) {
        let there = self.waiting.entry(source).or_default();
        if let Some(undone) = undone {
            there.push_front(undone);
            self.length += 1;
        }
        self.order.push_back(source);
    }

    /// How many wait, and from how many sources.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.length, self.waiting.values().filter(|there| !there.is_empty()).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn source(number: u32) -> Source {
        IpAddr::from(number.to_be_bytes()).into()
    }

    fn push<T>(queue: &mut Queue<T>, from: u32, what: T) -> bool {
        queue.push(source(from), what, |_| false)
    }

    #[test]
    fn sources_take_turns_and_each_one_serves_its_first_first() {
        let mut queue = Queue::default();
        // Each needs two turns; half of them come later.
        for name in ["a1", "a2", "b1"] {
            assert!(push(&mut queue, name.as_bytes()[0].into(), (name, 2)));
        }
        let mut served = String::new();
        while let Some((source, (name, turns))) = queue.next() {
            served = format!("{served} {name}");
            if served.len() == 9 {
                assert!(
                    push(&mut queue, b'a'.into(), ("a3", 1))
                        && push(&mut queue, b'c'.into(), ("c1", 1))
                );
            }
            queue.end_turn(source, (turns > 1).then_some((name, turns - 1)));
        }
        assert_eq!(served, " a1 b1 a1 b1 c1 a2 a2 a3");
        assert_eq!((queue.lengths(), queue.waiting.len(), queue.order.len()), ((0, 0), 0, 0));
    }

    #[test]
    fn places_are_bounded_in_all_and_per_source_and_are_free_again() {
        let mut queue = Queue::default();
        let here = (0..100).filter(|number| push(&mut queue, 1, *number)).count();
        assert_eq!(here, ROOM_PER_SOURCE);
        let others = (2..3000).filter(|other| push(&mut queue, *other, 0)).count();
        assert_eq!((here + others, queue.order.len()), (ROOM, others + 1));
        assert_eq!(queue.lengths(), (ROOM, others + 1));
        assert!(!push(&mut queue, 5000, 0));
        assert!(queue.push(source(1), 0, |number| *number > 0), "those who hung up make room");
        let (source, _) = queue.next().expect("many");
        queue.end_turn(source, None);
        assert!(push(&mut queue, 5000, 0));
    }
}
