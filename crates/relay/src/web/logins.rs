//! Failed log-ins, counted per source and in memory alone.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::generations::Generations;
use crate::sources::Source;

/// How many failures a source is told of at once, each minute. Who fails more often waits until the
/// time for a log-in is over; who knows the password never waits, whoever shares their address.
const AT_ONCE: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// How many sources are remembered at least.
const SOURCES: usize = 8192;

pub(crate) struct Logins(Mutex<Generations<Source, (u32, Instant)>>);

impl Default for Logins {
    fn default() -> Self {
        Self(Mutex::new(Generations::new(SOURCES)))
    }
}

impl Logins {
    /// Counts a failure; whether that was one too many.
    pub(crate) fn failed(&self, source: Source) -> bool {
        let now = Instant::now();
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get(&source) {
            Some((count, since)) if now.duration_since(*since) < MINUTE => {
                *count = count.saturating_add(1);
                *count > AT_ONCE
            }
            _ => {
                map.insert(source, (1, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn failures_are_counted_for_each_source_apart() {
        let source = |last: u8| Source::from(IpAddr::from([192, 0, 2, last]));
        let logins = Logins::default();
        let outcomes: Vec<bool> = (0..=AT_ONCE).map(|_| logins.failed(source(1))).collect();
        assert!(outcomes[..20].iter().all(|too_many| !too_many) && outcomes[20]);
        assert!(!logins.failed(source(2)));
    }
}
