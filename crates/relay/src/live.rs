//! Who is connected now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use wire::derive::KeyId;

use crate::keyring::Keyring;

#[derive(Default)]
pub(crate) struct Live(Arc<Mutex<Connections>>);

#[derive(Default)]
struct Connections {
    last: u64,
    by_number: HashMap<u64, (KeyId, AbortHandle)>,
}

/// Takes a connection off the list when it is over, whichever way.
struct Entry {
    number: u64,
    live: Arc<Mutex<Connections>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.live).by_number.remove(&self.number);
    }
}

fn lock(live: &Mutex<Connections>) -> MutexGuard<'_, Connections> {
    live.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// Starts a key's connection as a task of its own.
    pub(crate) fn start(&self, key: KeyId, connection: impl Future<Output = ()> + Send + 'static) {
        let number = {
            let mut connections = lock(&self.0);
            connections.last += 1;
            connections.last
        };
        let entry = Entry { number, live: Arc::clone(&self.0) };
        // It starts when it is listed, and not before: so it cannot be over and listed after that.
        // The lock is not held meanwhile, since a runtime that ends drops the task on the spot.
        let (listed, start) = oneshot::channel();
        // In a box, or the task would keep it twice: as it came and as it runs.
        let connection = Box::pin(connection);
        let task = tokio::spawn(async move {
            let _entry = entry;
            if start.await.is_ok() {
                connection.await;
            }
        });
        lock(&self.0).by_number.insert(number, (key, task.abort_handle()));
        let _ = listed.send(());
    }

    /// Ends the connections of all keys that are not on the ring.
    pub(crate) fn end_all_but(&self, keyring: &Keyring) {
        for (key, task) in lock(&self.0).by_number.values() {
            if !keyring.has(*key) {
                task.abort();
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.0).by_number.len()
    }

    /// Waits until everyone has gone, but not longer than `patience`; then ends what is left and
    /// tells how many those were.
    pub(crate) async fn drain(&self, patience: Duration) -> usize {
        let end = Instant::now() + patience;
        while self.count() > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let cut = {
            let connections = lock(&self.0);
            connections.by_number.values().for_each(|(_, task)| task.abort());
            connections.by_number.len()
        };
        // Until they really are over, or they would move bytes that nobody counts.
        let end = Instant::now() + Duration::from_secs(1);
        while self.count() > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cut
    }
}
