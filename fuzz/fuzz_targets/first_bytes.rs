//! The verdict over a stranger's first bytes does not depend on the pieces in which they come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::classify::{Shape, classify};

fuzz_target!(|stream: &[u8]| {
    let whole = classify(stream);
    if let Shape::Hello(record) = whole {
        assert!(record.len() <= wire::classify::MAX_FIRST);
    }
    for cut in 0..stream.len().min(128) {
        let part = classify(&stream[..cut]);
        assert!(part == Shape::NeedMore || part == whole, "{cut}: {part:?}, then {whole:?}");
    }
});
