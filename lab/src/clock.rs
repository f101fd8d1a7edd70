//! The time of day in a lab, which can run faster than ours.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A clock that everybody in a lab can look at: it counts from the midnight with which a test begins.
/// Its copies are the same clock.
///
/// What passes over a wire takes the time that it takes: delays, rates and timeouts are not of this
/// clock, only what happens at an hour is.
#[derive(Clone, Debug)]
pub struct Clock {
    speed: u32,
    /// When it was set, and to what.
    set: Arc<Mutex<(Instant, Duration)>>,
}

impl Clock {
    /// A clock as fast as ours.
    #[must_use]
    pub fn new() -> Self {
        Self::faster(1)
    }

    /// A clock that runs so many times as fast as ours: with 60, an hour takes a minute. With 0 it
    /// stands still until it is set.
    #[must_use]
    pub fn faster(times: u32) -> Self {
        Self { speed: times, set: Arc::new(Mutex::new((Instant::now(), Duration::ZERO))) }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Duration {
        let (at, time) = *self.set.lock().unwrap_or_else(PoisonError::into_inner);
        time + at.elapsed() * self.speed
    }

    /// Sets it to a time, from which it runs on.
    pub fn set(&self, time: Duration) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), time);
    }

    /// How long it is until then by our clocks; none when it is past, or never comes.
    #[must_use]
    pub fn until(&self, time: Duration) -> Duration {
        time.saturating_sub(self.now()).checked_div(self.speed).unwrap_or_default()
    }

    /// Sleeps until then.
    pub fn wait(&self, time: Duration) {
        thread::sleep(self.until(time));
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn all_copies_are_set_together_and_run_on() {
        let clock = Clock::faster(3600);
        let copy = clock.clone();
        clock.set(HOUR * 17);
        let time = copy.now() + HOUR / 36;
        assert!(time >= HOUR * 17 + HOUR / 36);
        assert!(copy.until(time) <= Duration::from_millis(100));
        copy.wait(time);
        // To a nanosecond of ours, which is 3.6 microseconds of its.
        assert!(clock.now() + Duration::from_micros(4) >= time);
    }

    #[test]
    fn a_clock_that_stands_still_shows_what_it_was_set_to() {
        let clock = Clock::faster(0);
        clock.set(HOUR);
        assert_eq!((clock.now(), clock.until(HOUR * 2)), (HOUR, Duration::ZERO));
    }
}
