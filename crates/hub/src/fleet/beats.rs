//! What relays have said last of how they fare: in memory alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use wire::derive::RelayId;
use wire::fleet::{Health, Heartbeat};

/// A relay's last heartbeat.
#[derive(Clone, Debug)]
pub struct Beat {
    /// When it came.
    pub at: Instant,
    /// How the relay fared.
    pub health: Health,
    /// Its version of this program.
    pub version: String,
}

/// The last one of each relay. Clones share it.
#[derive(Clone, Default)]
pub struct Beats(Arc<Mutex<HashMap<RelayId, Beat>>>);

impl Beats {
    /// A relay's last one since the hub was started.
    #[must_use]
    pub fn of(&self, relay: RelayId) -> Option<Beat> {
        self.lock().get(&relay).cloned()
    }

    /// Keeps a heartbeat that was checked: so there are no more than relays.
    pub(crate) fn keep(&self, heartbeat: &Heartbeat) {
        let Heartbeat { relay, health, version, .. } = heartbeat;
        let beat = Beat { at: Instant::now(), health: *health, version: version.clone() };
        self.lock().insert(*relay, beat);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RelayId, Beat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
