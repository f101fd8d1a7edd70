//! How messages are set apart from each other within obfuscated2. Source: Telegram's "MTProto
//! transports".

use std::ops::Range;

use super::obfuscated::Tag;

/// The longest frame that is read; a length beyond it means that the streams are out of step.
pub const MAX: usize = 1 << 20;

/// Nobody sends so much at once.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a frame of {0} bytes")]
pub struct TooLong(pub usize);

/// Frames a message, whose length is a multiple of four, and with [`Tag::Padded`] so many bytes of
/// padding, which are at most 15.
///
/// # Panics
/// When the message is longer than 4 GiB.
#[must_use]
pub fn put(tag: Tag, message: &[u8], padding: usize) -> Vec<u8> {
    let padding = if tag == Tag::Padded { padding } else { 0 };
    let length = u32::try_from(message.len() + padding).expect("a message is short");
    let mut frame = Vec::with_capacity(message.len() + padding + 4);
    match tag {
        Tag::Abridged if length / 4 < 0x7f => frame.extend((length / 4).to_le_bytes().first()),
        Tag::Abridged => {
            frame.push(0x7f);
            frame.extend(&(length / 4).to_le_bytes()[..3]);
        }
        Tag::Intermediate | Tag::Padded => frame.extend(length.to_le_bytes()),
    }
    frame.extend_from_slice(message);
    frame.resize(frame.len() + padding, 0xa5);
    frame
}

/// Where in these bytes the first message is, padding included; `None` until it is whole. The next
/// frame begins where it ends.
///
/// # Errors
/// [`TooLong`] beyond [`MAX`].
pub fn first(tag: Tag, bytes: &[u8]) -> Result<Option<Range<usize>>, TooLong> {
    // The highest bit of a length asks for a quick acknowledgement, which is owed to encrypted
    // messages alone.
    let (header, length) = match (tag, bytes) {
        (Tag::Abridged, [short, ..]) if short & 0x7f < 0x7f => (1, usize::from(short & 0x7f) * 4),
        (Tag::Abridged, [_, a, b, c, ..]) => (4, number([*a, *b, *c, 0]) * 4),
        (Tag::Intermediate | Tag::Padded, [a, b, c, d, ..]) => (4, number([*a, *b, *c, d & 0x7f])),
        _ => return Ok(None),
    };
    if length > MAX {
        return Err(TooLong(length));
    }
    Ok((bytes.len() >= header + length).then_some(header..header + length))
}

fn number(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_read_back_however_it_was_cut() {
        for tag in [Tag::Abridged, Tag::Intermediate, Tag::Padded] {
            for length in [0, 4, 0x7e * 4, 0x7f * 4, 1000] {
                let message = vec![7; length];
                let frame = put(tag, &message, 3);
                for cut in 0..frame.len() {
                    assert_eq!(first(tag, &frame[..cut]), Ok(None), "{tag:?} {length} {cut}");
                }
                let found = first(tag, &[&frame[..], &[1]].concat()).expect("short");
                let found = found.expect("whole");
                assert!(frame[found.clone()].starts_with(&message), "{tag:?} {length}");
                assert_eq!(found.end, frame.len());
            }
        }
    }

    #[test]
    fn a_length_that_nobody_sends_is_refused() {
        assert_eq!(first(Tag::Padded, &[0xff; 4]), Err(TooLong(0x7fff_ffff)));
        assert_eq!(first(Tag::Abridged, &[0xff; 4]), Err(TooLong(0xff_ffff * 4)));
    }
}
