//! A server's first flight in answer to a hello (RFC 8446, sections 4.1.3 and 5): what of it can be
//! seen from outside.

use super::hello::{Fields, Group, RANDOM};
use super::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER, MAX_ACCEPTED};

/// The random bytes of a server that asks for another hello (RFC 8446, section 4.1.3).
const ANOTHER_HELLO: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What is seen of a TLS 1.3 server's first flight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The cipher suite that it chose.
    pub cipher: u16,
    /// The group of its key share.
    pub group: Group,
    /// Whether it tells its version before its key share, or after it.
    pub versions_first: bool,
    /// The payload of each encrypted record, in bytes.
    pub encrypted: Vec<usize>,
}

/// A server that fake TLS cannot be made to look like.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unlike {
    /// Something else than TLS records.
    #[error("it does not speak TLS")]
    NotTls,
    /// An alert in place of an answer.
    #[error("it refuses the hello of Telegram's apps (TLS alert {0})")]
    Refusal(u8),
    /// TLS 1.2 or older.
    #[error("it speaks no TLS 1.3")]
    Old,
    /// A HelloRetryRequest. No app understands one.
    #[error("it asks for a key share that Telegram's apps do not send")]
    AnotherHello,
}

/// Reads what a server has said so far, as far as it is not encrypted; `None` until its hello is whole.
///
/// # Errors
/// When this will never be the flight of a TLS 1.3 server.
pub fn hello(bytes: &[u8]) -> Result<Option<Answer>, Unlike> {
    record(&mut Fields(bytes), HANDSHAKE)?.map(server_hello).transpose()
}

/// Reads what a server has said so far. `None` as long as it is not a whole flight: the encrypted
/// part may go on after any record, so whoever listens has to wait for a pause as well.
///
/// # Errors
/// When this will never be the flight of a TLS 1.3 server.
pub fn read(bytes: &[u8]) -> Result<Option<Answer>, Unlike> {
    let mut rest = Fields(bytes);
    let Some(hello) = record(&mut rest, HANDSHAKE)? else { return Ok(None) };
    let mut answer = server_hello(hello)?;
    // Kept for the sake of old middleboxes; a server may leave it out.
    if rest.0.first() == Some(&CHANGE_CIPHER_SPEC)
        && record(&mut rest, CHANGE_CIPHER_SPEC)?.is_none()
    {
        return Ok(None);
    }
    while let Some(payload) = record(&mut rest, APPLICATION_DATA)? {
        answer.encrypted.push(payload.len());
    }
    Ok((rest.0.is_empty() && !answer.encrypted.is_empty()).then_some(answer))
}

/// The payload of the next record, which must be of this kind; `None` when it is not whole.
fn record<'a>(rest: &mut Fields<'a>, kind: u8) -> Result<Option<&'a [u8]>, Unlike> {
    match rest.0 {
        [] => return Ok(None),
        [ALERT, 3, _, 0, 2, _, why, ..] => return Err(Unlike::Refusal(*why)),
        [ALERT, ..] if rest.0.len() < HEADER + 2 => return Ok(None),
        [first, ..] if *first != kind => return Err(Unlike::NotTls),
        [_, major, ..] if *major != 3 => return Err(Unlike::NotTls),
        [_, _, _, high, low, ..]
            if usize::from(u16::from_be_bytes([*high, *low])) > MAX_ACCEPTED =>
        {
            return Err(Unlike::NotTls);
        }
        _ => {}
    }
    let mut ahead = Fields(rest.0);
    let Some(payload) = ahead.take(3).and_then(|_| ahead.list()) else { return Ok(None) };
    *rest = ahead;
    Ok(Some(payload))
}

fn server_hello(payload: &[u8]) -> Result<Answer, Unlike> {
    let mut message = Fields(payload);
    if message.take(2) != Some(&[2, 0]) {
        return Err(Unlike::NotTls);
    }
    let mut body = Fields(message.list().ok_or(Unlike::NotTls)?);
    let fixed = (|| {
        let _version = body.take(2)?;
        let random = body.take(RANDOM.len())?;
        let _session_id = body.short_list()?;
        let cipher = body.number()?;
        let _compression = body.take(1)?;
        Some((random, cipher))
    })();
    let (random, cipher) = fixed.ok_or(Unlike::NotTls)?;
    // A server of TLS 1.2 may have none at all.
    let mut extensions = Fields(body.list().unwrap_or_default());
    let (mut kinds, mut group, mut is_new) = (Vec::new(), None, false);
    while let (Some(kind), Some(value)) = (extensions.number(), extensions.list()) {
        kinds.push(kind);
        match kind {
            0x002b => is_new = value == [3, 4],
            0x0033 => group = Fields(value).number().map(Group),
            _ => {}
        }
    }
    if !is_new {
        return Err(Unlike::Old);
    }
    let group = group.filter(|_| random != ANOTHER_HELLO).ok_or(Unlike::AnotherHello)?;
    let versions_first = kinds.iter().find(|kind| [0x002b, 0x0033].contains(kind)) == Some(&0x002b);
    Ok(Answer { cipher, group, versions_first, encrypted: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::hello::X25519;
    use proptest::prelude::*;

    /// The hello of a server: its random bytes, and its extensions.
    fn hello(random: [u8; 32], extensions: &[u8]) -> Vec<u8> {
        let extended = u8::try_from(extensions.len()).expect("short");
        let body = [&[3, 3][..], &random, &[2, 7, 7], &[0x13, 0x02, 0], &[0, extended], extensions]
            .concat();
        let length = u8::try_from(body.len()).expect("short");
        [&[0x16, 3, 3, 0, length + 4, 2, 0, 0, length][..], &body].concat()
    }

    const NEW: &[u8] = &[0, 0x2b, 0, 2, 3, 4, 0, 0x33, 0, 5, 0, 0x1d, 0, 1, 9];

    fn flight() -> Vec<u8> {
        let rest = [0x14, 3, 3, 0, 1, 1, 0x17, 3, 3, 0, 3, 1, 2, 3, 0x17, 3, 3, 0, 1, 9];
        [hello([5; 32], NEW), rest.to_vec()].concat()
    }

    #[test]
    fn a_flight_is_read_and_no_part_of_it_is_taken_for_all() {
        let bytes = flight();
        let answer = read(&bytes).expect("TLS 1.3").expect("whole");
        let expected =
            Answer { cipher: 0x1302, group: X25519, versions_first: true, encrypted: vec![3, 1] };
        assert_eq!(answer, expected);
        for cut in 0..bytes.len() {
            let part = read(&bytes[..cut]).expect("TLS 1.3 so far");
            let one = part.map(|answer| (cut, answer.encrypted));
            assert!(one.is_none_or(|one| one == (bytes.len() - 6, vec![3])), "{cut}");
        }
    }

    #[test]
    fn what_fake_tls_cannot_look_like_is_told_apart() {
        let old = hello([5; 32], &[0xff, 1, 0, 1, 0]);
        let retry = hello(ANOTHER_HELLO, &[0, 0x2b, 0, 2, 3, 4, 0, 0x33, 0, 2, 0, 0x17]);
        for (bytes, unlike) in [
            (&b"HTTP/1.1 400 Bad Request"[..], Unlike::NotTls),
            (&[0x15, 3, 1, 0, 2, 2, 40], Unlike::Refusal(40)),
            (&old, Unlike::Old),
            (&retry, Unlike::AnotherHello),
        ] {
            assert_eq!(read(bytes), Err(unlike));
        }
    }

    proptest! {
        #[test]
        fn a_damaged_flight_is_read_or_refused_and_nothing_else(
            damage in proptest::collection::vec((0usize..200, any::<u8>()), 1..8),
            cut in 0usize..200,
        ) {
            let mut bytes = flight();
            for (at, byte) in damage {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(cut.max(1));
            let _ = read(&bytes);
        }
    }
}
