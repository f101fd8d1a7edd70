//! What the datacentres saw.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use wire::mtproto::obfuscated::Tag;

/// Somebody who connected and said what he wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visit {
    /// Where he came from.
    pub from: SocketAddr,
    /// What he dialled.
    pub at: SocketAddr,
    /// The datacentre that he asked for, as it stood in his first flight.
    pub dc: i16,
    /// The framing that he chose.
    pub tag: Tag,
    /// Whether the connection is still open.
    pub open: bool,
}

#[derive(Debug, Default)]
pub(super) struct Witness {
    visits: Mutex<Vec<Visit>>,
    changed: Condvar,
    /// How many seconds Telegram's clock is ahead of this machine's.
    ahead: AtomicI64,
}

impl Witness {
    fn lock(&self) -> MutexGuard<'_, Vec<Visit>> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What Telegram's clock shows, in Unix seconds.
    pub(super) fn clock(&self) -> u64 {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_secs());
        now.saturating_add_signed(self.ahead.load(Ordering::Relaxed))
    }

    pub(super) fn set_clock_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::Relaxed);
    }

    /// Notes a visit; the number under which its end is to be noted.
    pub(super) fn came(&self, visit: Visit) -> usize {
        let mut visits = self.lock();
        visits.push(visit);
        self.changed.notify_all();
        visits.len() - 1
    }

    pub(super) fn left(&self, number: usize) {
        self.lock()[number].open = false;
        self.changed.notify_all();
    }

    pub(super) fn visits(&self) -> Vec<Visit> {
        self.lock().clone()
    }

    /// Waits until the visits are as they should be, or the time is over; whether they are.
    pub(super) fn wait(&self, limit: Duration, good: impl Fn(&[Visit]) -> bool) -> bool {
        let (visits, _) = self
            .changed
            .wait_timeout_while(self.lock(), limit, |visits| !good(visits))
            .unwrap_or_else(PoisonError::into_inner);
        good(&visits)
    }
}
