//! Small text, compressed while it is sent.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What is smaller does not get smaller.
const LEAST: u64 = 256;
/// What is larger takes too long: put a `.gz` beside it.
const MOST: u64 = 256 << 10;

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
