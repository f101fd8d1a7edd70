//! How much visitors may send up before somebody has read it.
//!
//! A stranger: 64 KiB. Whoever has shown a key: up to 4 MiB a stream, which fills 100 Mbit/s over
//! 200 ms (windows are opened again when a third is free), and four times that a connection, so that
//! a stream that nobody reads does not keep the others waiting. It is memory of ours, so there is a
//! bound on it for all connections together, of which each has an equal share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Before a key was shown: for a stream, and for all of a connection (RFC 9113, section 6.9.2).
pub(super) const FIRST: u32 = 65_535;
/// The most for a connection.
const MOST: usize = 16 << 20;
/// So many streams of a connection may be full before the others have to wait.
const FULL_STREAMS: u32 = 4;

/// The window of each stream of a connection that has this one.
pub(super) fn of_a_stream(connection: u32) -> u32 {
    (connection / FULL_STREAMS).max(FIRST)
}

/// What there is for all connections of key holders.
pub(crate) struct Windows {
    all: usize,
    sharers: AtomicUsize,
}

impl Windows {
    pub(crate) fn new(all: usize) -> Arc<Self> {
        Arc::new(Self { all, sharers: AtomicUsize::new(0) })
    }

    /// One connection more.
    pub(super) fn join(self: &Arc<Self>) -> Share {
        self.sharers.fetch_add(1, Ordering::Relaxed);
        Share(Arc::clone(self))
    }
}

/// A connection's share, until it is dropped.
pub(super) struct Share(Arc<Windows>);

impl Share {
    /// How much it is now: a power of two, so that it does not change with everybody who comes.
    pub(super) fn size(&self) -> u32 {
        let equal = self.0.all / self.0.sharers.load(Ordering::Relaxed).max(1);
        let size = 1_usize << equal.clamp(1, MOST).ilog2();
        u32::try_from(size).unwrap_or(FIRST).max(FIRST)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.sharers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_equal_and_no_less_than_a_stranger_has() {
        let windows = Windows::new(64 << 20);
        let mut shares = Vec::new();
        for (many, connection, stream) in [
            (1, 16 << 20, 4 << 20),
            (4, 16 << 20, 4 << 20),
            (5, 8 << 20, 2 << 20),
            (128, 512 << 10, 128 << 10),
            (10_000, FIRST, FIRST),
        ] {
            shares.resize_with(many, || windows.join());
            let size = shares[0].size();
            assert_eq!((size, of_a_stream(size)), (connection, stream), "{many}");
        }
        shares.truncate(1);
        assert_eq!(shares[0].size(), 16 << 20);
    }
}
