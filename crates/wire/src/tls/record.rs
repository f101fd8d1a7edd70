//! The record layer: five bytes in front of up to 16 KiB (RFC 8446, section 5).

/// The length of a record's header.
pub const HEADER: usize = 5;
/// The most payload that we put into a record.
pub const MAX_PAYLOAD: usize = 16_384;
/// The most that we accept in one: real TLS adds up to 256 bytes of its own.
pub const MAX_ACCEPTED: usize = MAX_PAYLOAD + 256;

/// The content type of the record that TLS 1.3 sends for the sake of old middleboxes.
pub const CHANGE_CIPHER_SPEC: u8 = 0x14;
/// That record, which is always the same.
pub const CHANGE: [u8; 6] = [CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1];
/// The content type of a hello.
pub const HANDSHAKE: u8 = 0x16;
/// The content type of what is encrypted.
pub const APPLICATION_DATA: u8 = 0x17;
/// The content type of a complaint.
pub const ALERT: u8 = 0x15;

/// The header of an application-data record with `length` bytes of payload.
///
/// # Panics
/// When `length` is more than [`MAX_PAYLOAD`].
#[must_use]
pub fn header(length: usize) -> [u8; HEADER] {
    let length = u16::try_from(length).expect("a record is short");
    assert!(usize::from(length) <= MAX_PAYLOAD, "a record holds {MAX_PAYLOAD} bytes, not {length}");
    let [high, low] = length.to_be_bytes();
    [APPLICATION_DATA, 3, 3, high, low]
}

/// These bytes are not the records of somebody who has finished a handshake.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a TLS record where one was due")]
pub struct BadRecord;

/// Takes the record headers out of a stream of bytes that comes in pieces of any size.
///
/// One change-cipher-spec record is let through unseen at the very start, as TLS 1.3 clients send
/// it; after it only application data may come.
#[derive(Debug)]
pub struct Unframer {
    header: [u8; HEADER],
    /// How much of the header is there.
    have: usize,
    /// How much payload of this record is still to come.
    left: usize,
    /// Whether the record at hand is the one that carries nothing.
    hidden: bool,
    /// Whether such a record may still come.
    may_hide: bool,
}

impl Default for Unframer {
    fn default() -> Self {
        Self { header: [0; HEADER], have: 0, left: 0, hidden: false, may_hide: true }
    }
}

impl Unframer {
    /// Moves the payload in `data` to its front and tells how long it is.
    ///
    /// # Errors
    /// When something else than the expected records is found; the stream is of no use then.
    pub fn strip(&mut self, data: &mut [u8]) -> Result<usize, BadRecord> {
        let (mut read, mut kept) = (0, 0);
        while read < data.len() {
            if self.left == 0 {
                let wanted = (HEADER - self.have).min(data.len() - read);
                self.header[self.have..self.have + wanted]
                    .copy_from_slice(&data[read..read + wanted]);
                self.have += wanted;
                read += wanted;
                if self.have == HEADER {
                    self.begin()?;
                }
                continue;
            }
            let here = self.left.min(data.len() - read);
            if !self.hidden {
                data.copy_within(read..read + here, kept);
                kept += here;
            }
            read += here;
            self.left -= here;
        }
        Ok(kept)
    }

    fn begin(&mut self) -> Result<(), BadRecord> {
        let [kind, major, minor, high, low] = self.header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        self.hidden = match kind {
            CHANGE_CIPHER_SPEC if self.may_hide && length == 1 => true,
            APPLICATION_DATA if length <= MAX_ACCEPTED => false,
            _ => return Err(BadRecord),
        };
        if (major, minor) != (3, 3) {
            return Err(BadRecord);
        }
        self.may_hide = false;
        self.have = 0;
        self.left = length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut wire = vec![CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1];
        for payload in payloads {
            wire.extend(header(payload.len()));
            wire.extend(payload);
        }
        wire
    }

    proptest! {
        #[test]
        fn any_segmentation_gives_the_same_payload(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
            cuts in proptest::collection::vec(1usize..40, 1..200),
        ) {
            let mut wire = framed(&payloads);
            let mut unframer = Unframer::default();
            let mut got = Vec::new();
            let mut rest = wire.as_mut_slice();
            for cut in cuts.into_iter().chain(std::iter::repeat(usize::MAX)) {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at_mut(cut.min(rest.len()));
                let kept = unframer.strip(piece).expect("well framed");
                got.extend_from_slice(&piece[..kept]);
                rest = after;
            }
            prop_assert_eq!(got, payloads.concat());
        }
    }

    #[test]
    fn a_second_change_cipher_spec_an_alert_and_an_overlong_record_are_refused() {
        for bad in [
            &[0x14, 3, 3, 0, 1, 1, 0x14, 3, 3, 0, 1, 1][..],
            &[0x15, 3, 3, 0, 2, 2, 40],
            &[0x17, 3, 3, 0x41, 1],
            &[0x17, 3, 1, 0, 1, 1],
        ] {
            assert_eq!(Unframer::default().strip(&mut bad.to_vec()), Err(BadRecord), "{bad:?}");
        }
    }
}
