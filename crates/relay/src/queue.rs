//! A queue that is fair: of the networks from which somebody waits, each has its turn, and so has each
//! address in that. Else whoever has an IPv6 /48 would have 65,536 turns for anybody else's one.

use std::collections::{HashMap, VecDeque};

use crate::sources::{Network, Source};

/// How many wait at most, in all: not more than have their turn before they lose patience, and less than
/// half of those for whom there is room at the door.
const ROOM: usize = 512;
/// How many wait from one source at most, so that a flood from it leaves the rest of its places at the
/// door to people who need not wait.
const ROOM_PER_SOURCE: usize = 32;
/// How many wait from one network at most.
const ROOM_PER_NETWORK: usize = ROOM / 4;

/// What waits, by where it comes from.
pub(crate) struct Queue<T> {
    networks: HashMap<Network, Line<T>>,
    /// Whose turn it is next; all of `networks` are here once, unless they have their turn now.
    order: VecDeque<Network>,
    length: usize,
}

/// What waits from one network.
struct Line<T> {
    waiting: HashMap<Source, VecDeque<T>>,
    /// The same for the sources in it.
    order: VecDeque<Source>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { networks: HashMap::new(), order: VecDeque::new(), length: 0 }
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Line<T> {
    fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    fn next(&mut self) -> Option<(Source, T)> {
        while let Some(source) = self.order.pop_front() {
            if let Some(what) = self.waiting.get_mut(&source).and_then(VecDeque::pop_front) {
                return Some((source, what));
            }
            self.waiting.remove(&source);
        }
        None
    }
}

impl<T> Queue<T> {
    /// Lets something wait behind everything else from that source; whether there is room. What
    /// `is_over` makes some where there is none.
    pub(crate) fn push(&mut self, source: Source, what: T, is_over: impl Fn(&T) -> bool) -> bool {
        if !self.has_room(source) {
            let all = self.networks.values_mut().flat_map(|line| line.waiting.values_mut());
            all.for_each(|there| there.retain(|one| !is_over(one)));
            self.length = self.networks.values().map(Line::len).sum();
        }
        if !self.has_room(source) {
            return false;
        }
        let network = Network::from(source);
        let line = self.networks.entry(network).or_insert_with(|| {
            self.order.push_back(network);
            Line::default()
        });
        let there = line.waiting.entry(source).or_insert_with(|| {
            line.order.push_back(source);
            VecDeque::new()
        });
        there.push_back(what);
        self.length += 1;
        true
    }

    fn has_room(&self, source: Source) -> bool {
        let line = self.networks.get(&source.into());
        let there = line.and_then(|line| line.waiting.get(&source)).map_or(0, VecDeque::len);
        self.length < ROOM
            && there < ROOM_PER_SOURCE
            && line.is_none_or(|line| line.len() < ROOM_PER_NETWORK)
    }

    /// What has its turn now: the first one of the source whose turn it is in the network whose turn it
    /// is.
    pub(crate) fn next(&mut self) -> Option<(Source, T)> {
        while let Some(network) = self.order.pop_front() {
            if let Some(next) = self.networks.get_mut(&network).and_then(Line::next) {
                self.length -= 1;
                return Some(next);
            }
            self.networks.remove(&network);
        }
        None
    }

    /// Ends the turn of what [`Queue::next`] gave; what is not done comes first in its source's next.
    pub(crate) fn end_turn(&mut self, source: Source, undone: Option<T>) {
        let network = Network::from(source);
        let line = self.networks.entry(network).or_default();
        let there = line.waiting.entry(source).or_default();
        if let Some(undone) = undone {
            there.push_front(undone);
            self.length += 1;
        }
        line.order.push_back(source);
        self.order.push_back(network);
    }

    /// How many wait, and from how many sources.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        let all = self.networks.values().flat_map(|line| line.waiting.values());
        (self.length, all.filter(|there| !there.is_empty()).count())
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
        assert_eq!((queue.lengths(), queue.networks.len(), queue.order.len()), ((0, 0), 0, 0));
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

    /// One of the 65,536 /64s of a /48.
    fn of_one_network(number: u16) -> Source {
        IpAddr::from([0x2001, 0xdb8, 0, number, 0, 0, 0, 1]).into()
    }

    #[test]
    fn a_network_has_a_quarter_of_the_places_and_one_turn_however_many_addresses_it_has() {
        let mut queue = Queue::default();
        let there = (0..3000).filter(|n| queue.push(of_one_network(*n), 0, |_| false)).count();
        assert_eq!(there, ROOM / 4);
        assert!(push(&mut queue, 1, 1) && push(&mut queue, 2, 2));
        let turns = std::iter::from_fn(|| {
            let (source, who) = queue.next()?;
            queue.end_turn(source, Some(who));
            Some((source, who))
        });
        let turns: Vec<(Source, u16)> = turns.take(3 * there).collect();
        for (number, turn) in (0..).zip(turns.chunks(3)) {
            assert_eq!(turn, [(of_one_network(number), 0), (source(1), 1), (source(2), 2)]);
        }
        assert_eq!(queue.lengths(), (there + 2, there + 2));
    }
}
