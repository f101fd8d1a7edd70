//! How seats changed lately, so that a relay need not be told all of them again.

use std::collections::VecDeque;

use wire::derive::Person;

/// How many changes are remembered, over all relays: 4 MiB.
const MOST: usize = 1 << 18;
/// No relay has this number.
const NO_RELAY: u16 = u16::MAX;

/// Somebody's seat on a relay changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Whose.
    pub person: Person,
    pub(super) relay: u16,
    /// The slot that they have there now; `None`: no seat any more.
    pub slot: Option<u16>,
}

/// The last changes, numbered from 2: 0 is for whoever knows none, 1 for whoever knows that there are
/// none.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    last: u64,
    kept: VecDeque<Change>,
}

impl Default for Changes {
    fn default() -> Self {
        Self::after(1)
    }
}

impl Changes {
    /// None are remembered of those up to this one.
    pub fn after(last: u64) -> Self {
        Self { last, kept: VecDeque::new() }
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn push(&mut self, change: Change) {
        if self.kept.len() == MOST {
            self.kept.pop_front();
        }
        self.kept.push_back(change);
        self.last += 1;
    }

    /// Counts something that no single seat says, and tells its number.
    pub fn step(&mut self) -> u64 {
        self.push(Change { person: Person(0), relay: NO_RELAY, slot: None });
        self.last
    }

    /// A relay's changes after this one; `None` where they are not all remembered.
    pub fn since(&self, relay: u16, known: u64) -> Option<Vec<Change>> {
        let missing = usize::try_from(self.last.checked_sub(known)?).ok()?;
        let from = self.kept.len().checked_sub(missing)?;
        Some(self.kept.range(from..).filter(|change| change.relay == relay).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(relay: u16, person: u64) -> Change {
        Change { person: Person(person), relay, slot: Some(0) }
    }

    #[test]
    fn a_relay_is_told_its_own_changes_since_those_it_knows() {
        let mut changes = Changes::default();
        (0..10).for_each(|at| changes.push(change(at % 2, at.into())));
        let told = changes.since(1, 7).expect("remembered");
        assert_eq!(told, [change(1, 7), change(1, 9)]);
        assert_eq!(changes.since(1, changes.last()), Some(Vec::new()));
    }

    #[test]
    fn what_is_not_remembered_any_more_is_not_told_in_part() {
        let mut changes = Changes::default();
        (0..MOST as u64 + 2).for_each(|at| changes.push(change(0, at)));
        assert!(changes.since(0, 3).is_some());
        assert_eq!(changes.since(0, 2), None);
        assert_eq!(changes.since(0, changes.last() + 1), None, "of another journal");
        assert_eq!(Changes::after(9).since(0, 8), None);
    }
}
