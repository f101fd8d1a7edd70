//! The dials under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use socket2::Socket;
use wire::echo::Question;

use crate::door::Door;
use crate::probe::Ask;

/// One dial.
pub(super) struct Dial {
    pub(super) ask: Ask,
    pub(super) socket: Socket,
    pub(super) dialled: Instant,
    pub(super) asked: Option<Asked>,
    /// Since when it is on its way to a relay's door, or stands at it; `None` when it does not count as
    /// such any more.
    pub(super) at_door: Option<Instant>,
}

/// What was said where it was accepted.
pub(super) struct Asked {
    pub(super) question: Question,
    /// How long the relay, or whoever it was, took to accept.
    pub(super) rtt: Duration,
    pub(super) sent: usize,
    pub(super) came: Vec<u8>,
}

/// The dials under way; a place is used again when its dial is over.
pub(super) struct Dials {
    pub(super) places: Vec<Option<(Dial, u32)>>,
    pub(super) free: Vec<usize>,
    /// Tells a place's dials apart.
    pub(super) born: u32,
    pub(super) live: usize,
    pub(super) deadlines: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    pub(super) door: Door<(usize, u32)>,
}

impl Dials {
    /// Of so many at a time.
    pub(super) fn new(window: usize) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            born: 0,
            live: 0,
            deadlines: BinaryHeap::new(),
            door: Door::new(window),
        }
    }

    pub(super) fn reserve(&mut self) -> (usize, u32) {
        self.born = self.born.wrapping_add(1);
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        (place, self.born)
    }

    pub(super) fn put(&mut self, place: usize, born: u32, dial: Dial, deadline: Instant) {
        if let Some(since) = dial.at_door {
            self.door.approach(since, (place, born));
        }
        self.places[place] = Some((dial, born));
        self.deadlines.push(Reverse((deadline, place, born)));
        self.live += 1;
    }

    pub(super) fn end(&mut self, place: usize, is_answered: bool) -> Option<Dial> {
        let (dial, _) = self.places.get_mut(place)?.take()?;
        if dial.at_door.is_some() {
            self.door.leave();
        }
        if dial.at_door.is_some() || is_answered {
            self.door.learn(is_answered);
        }
        self.free.push(place);
        self.live -= 1;
        Some(dial)
    }

    /// This one was accepted, after so long, and stands at a door.
    pub(super) fn accepted(&mut self, place: usize, rtt: Duration) {
        let Some((dial, born)) = self.places.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let is_late = dial.at_door.is_none();
        let now = Instant::now();
        dial.at_door = Some(now);
        self.door.took(rtt);
        self.door.stand(now, is_late, (place, *born));
    }

    /// Whoever should stand at no door any more makes room.
    pub(super) fn make_room(&mut self, now: Instant) {
        while let Some((since, (place, born))) = self.door.next_late(now) {
            let Some((dial, alive)) = self.places.get_mut(place).and_then(Option::as_mut) else {
                continue;
            };
            // Whoever was accepted stands there for a second time.
            if *alive == born && dial.at_door == Some(since) {
                dial.at_door = None;
                self.door.leave();
                self.door.learn(false);
            }
        }
    }

    pub(super) fn until_next(&self) -> Duration {
        let next = self.deadlines.peek().map(|Reverse((deadline, ..))| *deadline);
        next.map_or(Duration::from_secs(1), |at| at.saturating_duration_since(Instant::now()))
    }
}
