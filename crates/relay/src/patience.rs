//! How long the rest of a first flight is waited for that came in part, with the mask host's answer
//! to that part in hand.
//!
//! To answer later than the mask host gives us away; to answer at once shuts out people who send
//! everything in small pieces to get past a censor. So everyone is waited for a little after each
//! piece, which is less than a mask host takes that is not next door, and not much in all; from where
//! such parts have come and no key was behind them, nobody; and where people are known to send pieces,
//! anybody, for long. All of it is in memory alone, and forgotten after a day.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::generations::Generations;
use crate::sources::Source;

/// How many addresses are remembered at least.
const SOURCES: usize = 8_192;
const DAY: Duration = Duration::from_secs(86_400);
/// A piece that is shorter than this was made so by somebody: no network carries less at a time.
const SHORT: usize = 64;
/// How often somebody's rest may fail to come.
const TRIES: u32 = 4;

/// How long is waited from the last piece on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    None,
    Little,
    /// So long that the mask host need not hear half of what people say.
    Much,
}

impl Patience {
    pub(crate) fn time(self) -> Duration {
        Duration::from_millis(match self {
            Self::None => 0,
            Self::Little => 30,
            Self::Much => 500,
        })
    }

    /// How long in all, however the rest comes: whoever goes on byte by byte does not put the answer
    /// off for longer, and an app's flight that was cut into pieces is whole by then.
    pub(crate) fn in_all(self) -> Duration {
        self.time() * 6
    }
}

#[derive(Clone, Copy)]
struct Record {
    since: Instant,
    has_pieces: bool,
    failed: u32,
}

/// What is remembered of addresses.
pub(crate) struct Patiences(Mutex<Generations<Source, Record>>);

impl Default for Patiences {
    fn default() -> Self {
        Self(Mutex::new(Generations::new(SOURCES)))
    }
}

impl Patiences {
    pub(crate) fn with(&self, source: Source) -> Patience {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&source).filter(|record| record.since.elapsed() < DAY) {
            Some(Record { has_pieces: true, .. }) => Patience::Much,
            Some(record) if record.failed >= TRIES => Patience::None,
            _ => Patience::Little,
        }
    }

    /// A key's first flight came from there, `first` bytes of it first and `all` in the end.
    pub(crate) fn learn(&self, source: Source, first: usize, all: usize) {
        if first < all.min(SHORT) {
            self.note(source, |record| record.has_pieces = true);
        }
    }

    /// A short piece came from there, and no rest.
    pub(crate) fn lose(&self, source: Source) {
        self.note(source, |record| record.failed = record.failed.saturating_add(1));
    }

    fn note(&self, source: Source, note: impl FnOnce(&mut Record)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = known.get(&source).filter(|record| record.since.elapsed() < DAY);
        let new = Record { since: Instant::now(), has_pieces: false, failed: 0 };
        let mut record = old.copied().unwrap_or(new);
        note(&mut record);
        known.insert(source, record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn who_never_sends_the_rest_is_not_waited_for_and_who_does_is() {
        let patiences = Patiences::default();
        let source = |last: u8| Source::from(IpAddr::from([192, 0, 2, last]));
        for _ in 0..TRIES {
            assert_eq!(patiences.with(source(1)), Patience::Little);
            patiences.lose(source(1));
        }
        assert_eq!(patiences.with(source(1)), Patience::None);
        // Whole, or cut by a network.
        patiences.learn(source(1), 105, 105);
        patiences.learn(source(1), 1460, 1791);
        assert_eq!(patiences.with(source(1)), Patience::None);
        patiences.learn(source(1), 1, 105);
        assert_eq!(patiences.with(source(1)), Patience::Much);
        patiences.lose(source(1));
        assert_eq!(patiences.with(source(1)), Patience::Much);
        assert_eq!(patiences.with(source(2)), Patience::Little);
    }
}
