//! What a connection holds of its cell, and the pump adds to.

use std::sync::atomic::{AtomicU64, Ordering};

use wire::tally::Amounts;

/// What has flowed through all connections of a cell. It only ever grows.
#[derive(Default)]
pub(crate) struct Meter {
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

impl Meter {
    pub(super) fn count(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Amounts {
        Amounts {
            connections: self.connections.load(Ordering::Relaxed),
            up: self.up.load(Ordering::Relaxed),
            down: self.down.load(Ordering::Relaxed),
        }
    }

    /// Where the bytes of a connection are added.
    pub(crate) fn flow(&self) -> Flow<'_> {
        Flow { up: &self.up, down: &self.down }
    }
}

/// Two numbers of bytes that grow while they are carried.
#[derive(Clone, Copy)]
pub(crate) struct Flow<'a> {
    /// From the side that has connected.
    pub up: &'a AtomicU64,
    /// To it.
    pub down: &'a AtomicU64,
}

impl Flow<'_> {
    pub(crate) fn add_up(self, bytes: usize) {
        self.up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_down(self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
