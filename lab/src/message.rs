//! Plain MTProto messages beside those that every app sends: two that only the lab's datacentre and
//! the lab's client know, for moving many bytes.
//!
//! Apps pad the body with random bytes, so requests are known by the number that they begin with.

use wire::mtproto::message::{self, MessageId, REQ_PQ_MULTI, RES_PQ};

use crate::error::{Error, Result};

const REQ_PQ: u32 = 0x6046_9778;
const VECTOR: u32 = 0x1cb5_c415;
/// The lab's own: "send me so many bytes", "count so many of mine".
const SEND: u32 = 0x6a72_0001;
const COUNT: u32 = 0x6a72_0002;

/// Telegram's key for its production servers.
const FINGERPRINT: u64 = 0xd09d_1d85_de64_fd85;
/// A product of two primes, as in Telegram's own example.
const PQ: [u8; 8] = [0x17, 0xed, 0x48, 0x94, 0x1a, 0x08, 0xf9, 0x81];
/// Whose message it is nobody looks at, but in an answer to a ping.
const ANY: MessageId = MessageId(4);

/// What a datacentre is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// Are you there? The nonce comes back.
    Ping([u8; 16]),
    /// Send me so many bytes of the pattern.
    Send(u64),
    /// Count so many bytes, which follow, and tell me their number and SHA-256.
    Count(u64),
}

impl Request {
    pub(crate) fn to_message(self) -> Vec<u8> {
        let (number, rest) = match self {
            Self::Ping(nonce) => return message::req_pq_multi(ANY, nonce),
            Self::Send(bytes) => (SEND, bytes.to_le_bytes().to_vec()),
            Self::Count(bytes) => (COUNT, bytes.to_le_bytes().to_vec()),
        };
        wrap(&[&number.to_le_bytes()[..], &rest].concat())
    }

    pub(crate) fn read(message: &[u8]) -> Result<Self> {
        let body = unwrap(message)?;
        let (number, rest) = body.split_first_chunk().ok_or_else(|| bad(message))?;
        let bytes = || rest.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let request = match u32::from_le_bytes(*number) {
            REQ_PQ | REQ_PQ_MULTI => rest.first_chunk().copied().map(Self::Ping),
            SEND => bytes().map(Self::Send),
            COUNT => bytes().map(Self::Count),
            _ => None,
        };
        request.ok_or_else(|| bad(message))
    }
}

/// The answer to [`Request::Ping`]: `resPQ`, with which Telegram's handshake goes on, by a clock that
/// shows so many seconds since 1970.
pub(crate) fn res_pq(nonce: [u8; 16], clock: u64) -> Vec<u8> {
    let body = [
        &RES_PQ.to_le_bytes()[..],
        &nonce,
        &[0x5a; 16],
        &[8],
        &PQ,
        &[0; 3],
        &VECTOR.to_le_bytes(),
        &1u32.to_le_bytes(),
        &FINGERPRINT.to_le_bytes(),
    ];
    // An answer's id is one more than a number divisible by four.
    message::wrap(MessageId(clock << 32 | 1), &body.concat())
}

/// Makes a message of a body whose length is a multiple of four.
pub(crate) fn wrap(body: &[u8]) -> Vec<u8> {
    message::wrap(ANY, body)
}

/// The body of a message, without the padding of its frame.
pub(crate) fn unwrap(message: &[u8]) -> Result<&[u8]> {
    message::unwrap(message).map(|(_, body)| body).ok_or_else(|| bad(message))
}

fn bad(message: &[u8]) -> Error {
    let start = &message[..message.len().min(40)];
    Error::Unexpected(format!(
        "not a message that the lab knows: {} bytes, {start:02x?}",
        message.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_back() {
        for request in [Request::Ping([7; 16]), Request::Send(1 << 40), Request::Count(3)] {
            let mut message = request.to_message();
            message.extend([9; 3]);
            assert_eq!(Request::read(&message).expect("a request"), request);
        }
        assert!(Request::read(&[0; 24]).is_err());
    }
}
