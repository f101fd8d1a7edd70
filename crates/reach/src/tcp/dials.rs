//! The dials under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use socket2::Socket;
use wire::echo::Question;

use crate::probe::Ask;

/// One dial.
pub(super) struct Dial {
    pub(super) ask: Ask,
    pub(super) socket: Socket,
    pub(super) dialled: Instant,
    pub(super) asked: Option<Asked>,
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
#[derive(Default)]
pub(super) struct Dials {
    pub(super) places: Vec<Option<(Dial, u32)>>,
    pub(super) free: Vec<usize>,
    /// Tells a place's dials apart.
    pub(super) born: u32,
    pub(super) live: usize,
    pub(super) deadlines: BinaryHeap<Reverse<(Instant, usize, u32)>>,
}

impl Dials {
    pub(super) fn reserve(&mut self) -> (usize, u32) {
        self.born = self.born.wrapping_add(1);
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        (place, self.born)
    }

    pub(super) fn put(&mut self, place: usize, born: u32, dial: Dial, deadline: Instant) {
        self.places[place] = Some((dial, born));
        self.deadlines.push(Reverse((deadline, place, born)));
        self.live += 1;
    }

    pub(super) fn end(&mut self, place: usize) -> Option<Dial> {
        let (dial, _) = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        self.live -= 1;
        Some(dial)
    }

    pub(super) fn until_next(&self) -> Duration {
        let next = self.deadlines.peek().map(|Reverse((deadline, ..))| *deadline);
        next.map_or(Duration::from_secs(1), |at| at.saturating_duration_since(Instant::now()))
    }
}
