//! When an authority may be asked again, over restarts: whoever restarts a relay in a loop must not
//! use up what the authority grants.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Acme, slug};
use crate::kept::Kept;

/// The longest wait that we choose.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The longest wait that an authority's word, or a clock that was wrong, can make us keep.
const LONGEST_TOLD: Duration = Duration::from_secs(8 * 86_400);

/// Failures in a row, and when it is tried again.
#[derive(Default, Serialize, Deserialize, Debug)]
pub(super) struct Attempts {
    failures: u32,
    /// In seconds since 1970.
    next: u64,
    #[serde(skip)]
    file: String,
}

impl Attempts {
    pub(super) fn read(kept: &Kept, acme: &Acme) -> Self {
        let file = format!("attempts-{}.json", slug(&acme.names, &acme.directory));
        let written = kept.read(&file).ok().flatten();
        let read = written.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Self { file, ..read.unwrap_or_default() }
    }

    pub(super) fn write(&self, kept: &Kept) -> io::Result<()> {
        kept.write(&self.file, &serde_json::to_vec(self)?)
    }

    /// Not before then.
    pub(super) fn next(&self, now: SystemTime) -> SystemTime {
        let next = UNIX_EPOCH.checked_add(Duration::from_secs(self.next)).unwrap_or(now);
        next.min(now + LONGEST * 31)
    }

    /// An attempt begins. Should it end with this process, the next one waits, too.
    pub(super) fn begun(&mut self, patience: Duration) {
        self.pause(patience);
    }

    pub(super) fn succeeded(&mut self, pause: Duration) {
        self.failures = 0;
        self.pause(pause);
    }

    /// How long to wait after one more failure.
    pub(super) fn failed(&mut self, patience: Duration, told: Option<Duration>) -> Duration {
        let wait = patience.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        let wait = wait.mul_f64(1.0 + random() / 4.0);
        let wait = wait.max(told.unwrap_or_default().min(LONGEST_TOLD));
        self.failures = self.failures.saturating_add(1);
        self.pause(wait);
        wait
    }

    fn pause(&mut self, pause: Duration) {
        let next = SystemTime::now() + pause;
        self.next = next.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    }
}

/// From 0 to 1.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 2];
    // Without randomness, everybody comes at the same time.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u16::from_be_bytes(bytes)) / 65_536.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_day_and_an_authority_s_word_counts() {
        let patience = Duration::from_secs(600);
        let mut attempts = Attempts::default();
        let waits: Vec<_> = (0..12).map(|_| attempts.failed(patience, None)).collect();
        assert!(waits[0] >= patience && waits[0] <= patience * 5 / 4, "{waits:?}");
        assert!(waits[3] >= patience * 8, "{waits:?}");
        assert!(waits[11] >= LONGEST && waits[11] <= LONGEST * 5 / 4, "{waits:?}");
        let told = Duration::from_secs(3 * 86_400);
        assert_eq!(attempts.failed(patience, Some(told)), told);
        let now = SystemTime::now();
        assert!(attempts.next(now) > now + told - Duration::from_secs(5));
    }
}
