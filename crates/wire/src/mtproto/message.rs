//! Messages that are not encrypted: the first question of Telegram's own handshake and its answer.
//! Source: Telegram's "Creating an authorization key" and "Mobile protocol: detailed description".
//!
//! ```text
//! 0 (8 bytes) | message id (8) | length (4) | body
//! ```
//! A message's id tells when it was made: its upper half is its sender's clock in Unix seconds.

use std::time::Duration;

/// How long the header is.
pub const HEADER: usize = 20;

/// The number with which `req_pq_multi` begins.
pub const REQ_PQ_MULTI: u32 = 0xbe7e_8ef1;
/// The number with which `resPQ` begins.
pub const RES_PQ: u32 = 0x0516_2463;

/// A message's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageId(pub u64);

impl MessageId {
    /// That of a client's message which is made now, counted from 1970.
    #[must_use]
    pub fn of_client(now: Duration) -> Self {
        let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
        // A client's are divisible by four.
        Self(now.as_secs() << 32 | fraction & !3)
    }

    /// When the message was made, by its sender's clock, in Unix seconds.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        self.0 >> 32
    }
}

/// Makes a message of a body whose length is a multiple of four.
///
/// # Panics
/// When the body is longer than 4 GiB.
#[must_use]
pub fn wrap(id: MessageId, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a message is short");
    [&[0; 8][..], &id.0.to_le_bytes(), &length.to_le_bytes(), body].concat()
}

/// The id and the body of a message, without the padding of its frame; `None` when it is none.
#[must_use]
pub fn unwrap(message: &[u8]) -> Option<(MessageId, &[u8])> {
    let (zero, rest) = message.split_first_chunk::<8>()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let body = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (*zero == [0; 8]).then_some((MessageId(u64::from_le_bytes(*id)), body))
}

/// A number that nobody else asks with.
#[must_use]
pub fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    crate::fill_random(&mut nonce);
    nonce
}

/// What every app asks first. A datacentre answers anyone, and repeats the nonce.
#[must_use]
pub fn req_pq_multi(id: MessageId, nonce: [u8; 16]) -> Vec<u8> {
    wrap(id, &[&REQ_PQ_MULTI.to_le_bytes()[..], &nonce].concat())
}

/// Whether a message is `resPQ` for this nonce; when its sender made it, if so.
#[must_use]
pub fn res_pq(message: &[u8], nonce: [u8; 16]) -> Option<MessageId> {
    let (id, body) = unwrap(message)?;
    let (number, rest) = body.split_first_chunk()?;
    (u32::from_le_bytes(*number) == RES_PQ && rest.starts_with(&nonce)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_what_telegrams_own_example_says() {
        // From "Creating an authorization key: an example".
        let nonce = *b"\x3e\x05\x49\x82\x8c\xca\x27\xe9\x66\xb3\x01\xa4\x8f\xec\xe2\xfc";
        let id = MessageId(u64::from_le_bytes(*b"\x00\x00\x00\x00\x4a\x96\x70\x27"));
        let message = req_pq_multi(id, nonce);
        assert_eq!(message[..8], [0; 8]);
        assert_eq!(message[16..24], [20, 0, 0, 0, 0xf1, 0x8e, 0x7e, 0xbe]);
        assert_eq!(message[24..], nonce);
        assert_eq!(unwrap(&[&message[..], &[9; 5]].concat()), Some((id, &message[20..])));
    }

    #[test]
    fn an_answer_is_known_by_its_nonce_and_tells_the_time() {
        let id = MessageId(1_700_000_000 << 32 | 1);
        let answer = wrap(id, &[&RES_PQ.to_le_bytes()[..], &[7; 16], &[1; 40]].concat());
        assert_eq!(res_pq(&answer, [7; 16]).map(MessageId::unix_seconds), Some(1_700_000_000));
        assert_eq!(res_pq(&answer, [8; 16]), None);
        for cut in 0..HEADER + 20 {
            assert_eq!(res_pq(&answer[..cut], [7; 16]), None, "{cut} bytes");
        }
    }

    #[test]
    fn a_clients_ids_are_divisible_by_four() {
        let now = Duration::new(1_700_000_000, 999_999_999);
        let id = MessageId::of_client(now);
        assert_eq!((id.unix_seconds(), id.0 % 4), (1_700_000_000, 0));
    }
}
