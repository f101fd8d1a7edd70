//! What happens on a connection, so that one on which nothing does can be ended.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use crate::body::Hears;

/// What happens on one connection.
pub(crate) struct Activity {
    moved: Mutex<Instant>,
    /// Answers and tunnels of key holders under way.
    guests: AtomicUsize,
    /// Whether a key was ever shown.
    known: AtomicBool,
    /// Requests of people without a key, so far.
    strangers: AtomicU64,
    /// Too many of those.
    pub crowded: Notify,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            moved: Mutex::new(Instant::now()),
            guests: AtomicUsize::default(),
            known: AtomicBool::default(),
            strangers: AtomicU64::default(),
            crowded: Notify::new(),
        })
    }

    pub(crate) fn moved(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When the connection has been idle for so long, if nothing moves until then.
    pub(crate) fn idle_at(&self, idle: Duration) -> Instant {
        let moved = if self.has_guests() {
            Instant::now()
        } else {
            *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
        };
        moved + idle
    }

    pub(crate) fn has_guests(&self) -> bool {
        self.guests.load(Ordering::Acquire) > 0
    }

    /// Somebody has shown a key.
    pub(crate) fn is_a_guests(&self) {
        self.known.store(true, Ordering::Release);
    }

    /// Whether somebody has.
    pub(crate) fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// One more request without a key; how many there were.
    pub(crate) fn stranger(&self) -> u64 {
        self.strangers.fetch_add(1, Ordering::AcqRel) + 1
    }
}

/// A key holder's request, answer or tunnel under way.
pub(crate) struct Guest(Arc<Activity>);

impl Guest {
    pub(crate) fn new(activity: &Arc<Activity>) -> Self {
        activity.guests.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Clone for Guest {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.moved();
        self.0.guests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Hears for Guest {
    fn moved(&self) {}
}

/// An answer of the site under way.
pub(crate) struct Visit {
    pub activity: Arc<Activity>,
    pub _place: Option<OwnedSemaphorePermit>,
}

impl Hears for Visit {
    fn moved(&self) {
        self.activity.moved();
    }
}
