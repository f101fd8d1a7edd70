//! The internet checksum (RFC 1071), and what becomes of it when a few bytes change (RFC 1624).

/// Adds bytes to a sum.
pub(super) fn add(sum: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words: u64 = words.iter().map(|&word| u64::from(u16::from_be_bytes(word))).sum();
    let last = rest.first().map_or(0, |&byte| u64::from(byte) << 8);
    let mut sum = u64::from(sum) + words + last;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u32::try_from(sum).expect("folded to 16 bits")
}

/// The checksum of a sum.
pub(super) fn finish(sum: u32) -> u16 {
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

/// What a checksum becomes when these bytes, which begin at an even place, become those, of the same
/// length.
pub(super) fn change(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let removed = u32::from(finish(add(0, old)));
    finish(add(u32::from(!checksum) + removed, new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_checksum_is_that_of_the_changed_bytes() {
        let bytes = *b"a packet with an odd length";
        let mut other = bytes;
        other[4..8].copy_from_slice(&[0xff, 0xff, 0x12, 0x00]);
        let old = finish(add(0, &bytes));
        assert_eq!(change(old, &bytes[4..8], &other[4..8]), finish(add(0, &other)));
    }

    #[test]
    fn the_example_of_rfc_1071_adds_up() {
        assert_eq!(finish(add(0, &[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7])), !0xddf2);
    }
}
