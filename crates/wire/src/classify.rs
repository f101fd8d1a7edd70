//! What a stranger's first bytes could be.
//!
//! This says only what they are shaped like. Whether they are what they look like, a key must show:
//! whatever no key opens is nobody's, however well it is shaped.

use crate::mtproto::obfuscated;
use crate::tls::hello::{self, MAX_RECORD, Prefix};

/// How many bytes are needed at most to come to a verdict.
pub const MAX_FIRST: usize = MAX_RECORD;

/// A verdict over the first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape<'a> {
    /// Too few to tell: come back with more.
    NeedMore,
    /// A whole TLS hello, its record header included.
    Hello(&'a [u8]),
    /// What could be obfuscated2: anything at all that is long enough.
    Obfuscated(&'a [u8; obfuscated::LENGTH]),
    /// Nothing that we speak begins like that.
    Nobody,
}

/// The openings that no obfuscated2 client ever makes, since Telegram's own servers would take them
/// for HTTP. Knowing them spares whoever speaks HTTP a wait for bytes that will not come.
const HTTP: [&[u8; 4]; 4] = [b"HEAD", b"POST", b"GET ", b"OPTI"];

/// Judges the bytes that have come so far. A longer beginning of the same stream never contradicts
/// a verdict on a shorter one, so it does not matter in which pieces they come.
#[must_use]
pub fn classify(first: &[u8]) -> Shape<'_> {
    match hello::prefix(first) {
        Prefix::Whole(length) => return Shape::Hello(&first[..length]),
        Prefix::Partial => return Shape::NeedMore,
        Prefix::Impossible => {}
    }
    if HTTP.iter().any(|word| first.starts_with(*word)) {
        return Shape::Nobody;
    }
    match first.first_chunk() {
        Some(flight) => Shape::Obfuscated(flight),
        None => Shape::NeedMore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_for_a_web_page_is_nobodys_as_soon_as_its_first_word_is_there() {
        assert_eq!(classify(b"GET"), Shape::NeedMore);
        assert_eq!(classify(b"GET / HTTP/1.1"), Shape::Nobody);
    }

    #[test]
    fn random_bytes_could_be_obfuscated2_once_there_are_64() {
        assert_eq!(classify(&[0x42; 63]), Shape::NeedMore);
        assert_eq!(classify(&[0x42; 70]), Shape::Obfuscated(&[0x42; 64]));
    }

    #[test]
    fn a_nonce_that_begins_like_a_record_and_goes_on_otherwise_is_not_lost() {
        let mut nonce = [0x16; 64];
        nonce[1] = 3;
        nonce[2] = 1;
        assert_eq!(classify(&nonce), Shape::Obfuscated(&nonce));
    }

    fn openings() -> impl Strategy<Value = Vec<u8>> {
        let hello = (43u16..400).prop_map(|length| {
            let mut record = vec![0x16, 3, 1];
            record.extend(length.to_be_bytes());
            record.extend([1, 0]);
            record.extend((length - 4).to_be_bytes());
            record.extend([3, 3]);
            record.resize(5 + usize::from(length) + 20, 0x77);
            record
        });
        let http = Just(
            b"POST /a/page/with/a/rather/long/name HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec(),
        );
        let noise = proptest::collection::vec(any::<u8>(), 100..300);
        prop_oneof![hello, http, noise]
    }

    proptest! {
        #[test]
        fn any_segmentation_gives_the_same_verdict(stream in openings()) {
            let whole = classify(&stream);
            for cut in 0..stream.len() {
                let part = classify(&stream[..cut]);
                prop_assert!(part == Shape::NeedMore || part == whole, "{cut}: {part:?}, {whole:?}");
            }
        }
    }
}
