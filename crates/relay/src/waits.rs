//! How long callers wait for the trial of keys: counts and times, and nothing about anybody.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::tally::Gauge;

/// Who waits, and how long, where no hint leads to a key. The counts are those of the last whole
/// minute.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Waits {
    /// Callers who wait now.
    pub waiting: usize,
    /// From how many addresses (IPv4) or /64s (IPv6) these come.
    pub sources: usize,
    /// Callers whose key was found at once: by a hint, or because it was lately seen from their
    /// address.
    pub at_once: u64,
    /// Those who waited and whose key was found.
    pub found: Waited,
    /// Those who waited until all keys that may be tried for their address were tried.
    pub nobody: Waited,
    /// Those who waited in vain: their time was over, the mask host had answered, or they hung up.
    pub gave_up: Waited,
    /// Those who were taken for strangers at once, because too many waited already, or no more keys may
    /// be tried for their address in this minute.
    pub turned_away: u64,
    /// How many keys were tried for those who waited.
    pub keys_tried: u64,
}

impl Waits {
    /// What of it a chart can show.
    pub(crate) fn gauges(&self) -> [Gauge; 7] {
        let gauge = |name, help, value| Gauge { name, help, value };
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        [
            gauge("waiting_now", "Callers who wait for the trial of keys.", self.waiting as u64),
            gauge("waiting_from", "Addresses from which these come.", self.sources as u64),
            gauge("waited_found", "Found after a wait, in the last minute.", self.found.count),
            gauge(
                "waited_median_milliseconds",
                "Half of these waited no longer.",
                milliseconds(self.found.median),
            ),
            gauge(
                "waited_p99_milliseconds",
                "99 of 100 of these waited no longer.",
                milliseconds(self.found.p99),
            ),
            gauge(
                "waited_in_vain",
                "Not found after a wait, in the last minute.",
                self.nobody.count + self.gave_up.count,
            ),
            gauge(
                "turned_away",
                "Not let wait, in the last minute, because too many did.",
                self.turned_away,
            ),
        ]
    }
}

/// How long some callers waited.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Waited {
    /// How many they are.
    pub count: u64,
    /// Half of them waited no longer than this (a quarter too much at most).
    pub median: Duration,
    /// 99 of 100 waited no longer than this (a quarter too much at most).
    pub p99: Duration,
    /// The longest wait.
    pub longest: Duration,
}

/// How a caller's wait ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    AtOnce,
    Found(Duration),
    Nobody(Duration),
    GaveUp(Duration),
    TurnedAway,
}

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) struct Figures(Mutex<Minutes>);

struct Minutes {
    since: Instant,
    this: Minute,
    last: Minute,
}

#[derive(Clone, Default)]
struct Minute {
    at_once: u64,
    found: Times,
    nobody: Times,
    gave_up: Times,
    turned_away: u64,
    keys_tried: u64,
}

impl Minute {
    fn read(&self) -> Waits {
        let Self { at_once, found, nobody, gave_up, turned_away, keys_tried } = self;
        Waits {
            waiting: 0,
            sources: 0,
            at_once: *at_once,
            found: found.read(),
            nobody: nobody.read(),
            gave_up: gave_up.read(),
            turned_away: *turned_away,
            keys_tried: *keys_tried,
        }
    }
}

impl Default for Figures {
    fn default() -> Self {
        let (this, last) = (Minute::default(), Minute::default());
        Self(Mutex::new(Minutes { since: Instant::now(), this, last }))
    }
}

impl Figures {
    pub(crate) fn note(&self, end: End) {
        let this = &mut self.minutes().this;
        match end {
            End::AtOnce => this.at_once += 1,
            End::Found(after) => this.found.add(after),
            End::Nobody(after) => this.nobody.add(after),
            End::GaveUp(after) => this.gave_up.add(after),
            End::TurnedAway => this.turned_away += 1,
        }
    }

    pub(crate) fn note_tried(&self, keys: usize) {
        self.minutes().this.keys_tried += keys as u64;
    }

    /// What is known of the last whole minute.
    pub(crate) fn read(&self) -> Waits {
        self.minutes().last.read()
    }

    #[cfg(test)]
    pub(crate) fn this_minute(&self) -> Waits {
        self.minutes().this.read()
    }

    /// A new minute begins when the old one is over.
    fn minutes(&self) -> MutexGuard<'_, Minutes> {
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let past = minutes.since.elapsed();
        if past >= MINUTE {
            let this = std::mem::take(&mut minutes.this);
            minutes.last = if past < 2 * MINUTE { this } else { Minute::default() };
            minutes.since = Instant::now();
        }
        minutes
    }
}

/// Times, to a quarter of each: four steps for every doubling of microseconds.
#[derive(Clone)]
struct Times {
    steps: [u32; STEPS],
    longest: Duration,
}

/// Up to 2²⁵ microseconds, half a minute.
const STEPS: usize = 4 * 25;

impl Default for Times {
    fn default() -> Self {
        Self { steps: [0; STEPS], longest: Duration::ZERO }
    }
}

/// The shortest time that belongs into the next step, in microseconds.
fn end_of(step: usize) -> u64 {
    let (doublings, quarters) = (step / 4, step as u64 % 4);
    ((5 + quarters) << doublings).div_ceil(4)
}

impl Times {
    fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let step = (0..STEPS - 1).find(|step| micros < end_of(*step)).unwrap_or(STEPS - 1);
        self.steps[step] = self.steps[step].saturating_add(1);
        self.longest = self.longest.max(time);
    }

    fn read(&self) -> Waited {
        let count = self.steps.iter().map(|step| u64::from(*step)).sum();
        let (median, p99) = (self.within(count, 50), self.within(count, 99));
        Waited { count, median, p99, longest: self.longest }
    }

    /// A time that so many of a hundred did not exceed.
    fn within(&self, count: u64, percent: u64) -> Duration {
        let wanted = (count * percent).div_ceil(100);
        let mut so_far = 0;
        let step = self.steps.iter().position(|step| {
            so_far += u64::from(*step);
            so_far >= wanted
        });
        Duration::from_micros(end_of(step.unwrap_or(STEPS - 1))).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_quarter() {
        let mut times = Times::default();
        assert_eq!(times.read(), Waited::default());
        for micros in 1..=100_000 {
            times.add(Duration::from_micros(micros));
        }
        let Waited { count, median, p99, longest } = times.read();
        assert_eq!((count, longest), (100_000, Duration::from_millis(100)));
        for (read, exact) in [(median, 50_000), (p99, 99_000)] {
            let exact = Duration::from_micros(exact);
            assert!(read >= exact && read <= exact * 5 / 4, "{read:?} for {exact:?}");
        }
        times.add(Duration::from_secs(3600));
        assert_eq!(times.read().longest, Duration::from_secs(3600));
    }

    #[test]
    fn a_minute_is_told_when_it_is_over_and_until_the_next_one_is() {
        let figures = Figures::default();
        let later = |figures: &Figures, by: Duration| {
            let mut minutes = figures.0.lock().expect("free");
            minutes.since = minutes.since.checked_sub(by).expect("a past");
        };
        figures.note(End::AtOnce);
        figures.note(End::Found(Duration::from_millis(8)));
        assert_eq!(figures.read(), Waits::default(), "it is not over");
        later(&figures, MINUTE);
        let read = figures.read();
        assert_eq!((read.at_once, read.found.count), (1, 1));
        assert_eq!(read.found.median, Duration::from_millis(8));
        later(&figures, 2 * MINUTE);
        assert_eq!(figures.read(), Waits::default(), "nobody came in the minute before this one");
    }
}
