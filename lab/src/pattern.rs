//! Bytes that both ends of a bulk transfer know, so that none can be lost, doubled or swapped
//! unseen.

use std::sync::LazyLock;

/// A prime, so that the pattern never falls in step with records, frames or buffers.
const PERIOD: usize = 65_521;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        // Marsaglia's xorshift: not random, only never the same twice in a row.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(PERIOD).collect()
});

/// Writes what the pattern has from `offset` on.
pub(crate) fn fill(offset: u64, out: &mut [u8]) {
    let period = PERIOD as u64;
    let mut at = usize::try_from(offset % period).expect("below the period");
    let mut out = out;
    while !out.is_empty() {
        let here = out.len().min(PERIOD - at);
        let (now, rest) = out.split_at_mut(here);
        now.copy_from_slice(&PATTERN[at..at + here]);
        out = rest;
        at = 0;
    }
}

/// Whether these are the pattern's bytes from `offset` on.
pub(crate) fn matches(offset: u64, bytes: &[u8]) -> bool {
    let mut due = vec![0; bytes.len()];
    fill(offset, &mut due);
    due == bytes
}

#[cfg(test)]
mod tests {
    use super::{fill, matches};

    #[test]
    fn pieces_are_the_whole() {
        let mut whole = vec![0; 200_000];
        fill(0, &mut whole);
        assert!(matches(70_001, &whole[70_001..190_000]));
        assert!(!matches(70_002, &whole[70_001..190_000]));
    }
}
