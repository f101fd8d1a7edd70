//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds; 0 before 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The same as the echo has it, until 2106.
pub(crate) fn unix_seconds_32() -> u32 {
    u32::try_from(unix_seconds()).unwrap_or(u32::MAX)
}
