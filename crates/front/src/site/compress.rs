//! Small text, compressed while it is sent.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{Semaphore, SemaphorePermit};

/// What is smaller does not get smaller.
const LEAST: u64 = 256;
/// What is larger takes too long: put a `.gz` beside it.
const MOST: u64 = 256 << 10;

/// How many files are compressed at the same time: what is left of the processor is for key holders.
static TURNS: Semaphore = Semaphore::const_new(2);

/// A turn to compress, if there is one now.
pub(super) fn turn() -> Option<SemaphorePermit<'static>> {
    TURNS.try_acquire().ok()
}

/// Whether a file of this length is compressed.
pub(super) fn is_worth(length: u64) -> bool {
    (LEAST..=MOST).contains(&length)
}

/// The bytes in gzip (RFC 1952), without a time or a name.
pub(super) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(4));
    encoder.write_all(bytes)?;
    encoder.finish()
}
