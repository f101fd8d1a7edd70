//! How many dials may be under way that a relay's door could have to hold.
//!
//! A relay lets 1,024 connections of one source wait at its door, and gives up the one that has waited
//! longest for the next. Where all ports are shut nobody gets that far, and dials may be as many as
//! there are sockets. So it begins with few; each dial that the relay has not answered in good time is
//! a reason for more of them, and each that it has answered is one for much fewer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many may be under way wherever they lead: half a door.
const LEAST: usize = 512;
/// One answer weighs as much as so many dials without: a door's share of all that is dialled is small
/// then, as long as one way in sixteen is open at most.
const SILENT: usize = 16;
const ANSWERED: usize = 16 * SILENT;

/// How long a dial may be on its way to a door, and a question until its answer, as long as nobody
/// knows how far it is.
const UNKNOWN: Duration = Duration::from_millis(400);

/// The dials that may still come to a door, or stand at it.
pub(crate) struct Door<T> {
    room: usize,
    most: usize,
    here: usize,
    /// Since when each of them is on its way or there.
    since: VecDeque<(Instant, T)>,
    /// How long acceptances take of late.
    rtt: Option<Duration>,
}

impl<T> Door<T> {
    /// For one that may have so many dials at all.
    pub(crate) fn new(most: usize) -> Self {
        Self { room: LEAST.min(most), most, here: 0, since: VecDeque::new(), rtt: None }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// For how many more there is room.
    pub(crate) fn room(&self) -> usize {
        self.room.saturating_sub(self.here)
    }

    /// One more is on its way.
    pub(crate) fn approach(&mut self, since: Instant, who: T) {
        self.here += 1;
        self.since.push_back((since, who));
    }

    /// One of them was accepted, and waits for its answer; if that was late, it did not count any more,
    /// and does again.
    pub(crate) fn stand(&mut self, since: Instant, is_late: bool, who: T) {
        self.here += usize::from(is_late);
        self.since.push_back((since, who));
    }

    /// So long an acceptance took.
    pub(crate) fn took(&mut self, rtt: Duration) {
        self.rtt = Some(self.rtt.map_or(rtt, |known| (known * 3 + rtt) / 4));
    }

    /// One of them is not there any more.
    pub(crate) fn leave(&mut self) {
        self.here = self.here.saturating_sub(1);
    }

    /// The relay has answered one of them, or something else became of it.
    pub(crate) fn learn(&mut self, is_answered: bool) {
        self.room = if is_answered {
            self.room.saturating_sub(ANSWERED).max(LEAST).min(self.most)
        } else {
            self.room.saturating_add(SILENT).min(self.most)
        };
    }

    /// The next who should have left by now, and since when they were there; some have.
    pub(crate) fn next_late(&mut self, now: Instant) -> Option<(Instant, T)> {
        let late = self.late();
        self.since.pop_front_if(|(since, _)| *since + late <= now)
    }

    /// When there may be more room.
    pub(crate) fn until_next(&self) -> Duration {
        let next = self.since.front().map(|(since, _)| *since + self.late());
        next.map_or(Duration::from_secs(1), |at| at.saturating_duration_since(Instant::now()))
    }

    fn late(&self) -> Duration {
        self.rtt.map_or(UNKNOWN, |rtt| rtt * 2 + Duration::from_millis(50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many dials are under way in the end where one in so many is answered.
    fn room(one_in: usize) -> usize {
        let mut door = Door::new(20_000);
        let now = Instant::now();
        for dial in 0..100_000 {
            door.approach(now, dial);
            door.leave();
            door.learn(dial % one_in == 0);
        }
        door.room
    }

    #[test]
    fn few_dials_are_under_way_where_the_relay_answers_and_all_there_can_be_where_it_does_not() {
        assert!([1, 2, 10].iter().all(|one_in| room(*one_in) <= LEAST + one_in * SILENT));
        assert!(room(40) > 19_000 && room(100_000) > 19_000);
        assert_eq!(Door::<usize>::new(64).room, 64);
    }

    #[test]
    fn who_has_not_come_in_time_makes_room() {
        let mut door = Door::new(20_000);
        let begun = Instant::now();
        for place in 0..LEAST {
            assert!(door.has_room());
            door.approach(begun, place);
        }
        assert!(!door.has_room());
        assert_eq!(door.next_late(begun), None);
        while door.next_late(begun + UNKNOWN).is_some() {
            door.leave();
            door.learn(false);
        }
        assert!(door.has_room() && door.room == LEAST + LEAST * SILENT);
    }
}
