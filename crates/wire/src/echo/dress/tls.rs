//! TLS 1.3 (RFC 8446): a hello of Telegram's apps, a server's first flight, records. The question is the
//! random bytes and the session id of the one; the answer is the random bytes of the other, and the first
//! bytes of what it sends encrypted.

use super::{LENGTH, PIECE, Question, Read, Unlike, Way, draw, length, noise};
use crate::tls::hello::{Prefix, RANDOM, X25519, prefix};
use crate::tls::offer::{self, x25519_key};
use crate::tls::record::{APPLICATION_DATA, CHANGE, HANDSHAKE, HEADER};

/// Where the session id stands in a hello's record.
const SESSION: std::ops::Range<usize> = RANDOM.end + 1..RANDOM.end + 33;
/// Between these, a server's certificates and what goes with them are long.
const CERTIFICATES: std::ops::RangeInclusive<usize> = 1_800..=4_500;
/// How much more than a piece a record has at most.
const MORE: usize = 400;
/// A client's last word of the handshake: a hash, its header, a kind and a tag.
const FINISHED: usize = 4 + 32 + 1 + 16;

pub(super) fn hello(name: &str, question: &Question) -> Vec<u8> {
    let mut record = offer::record(name, X25519);
    record[RANDOM].copy_from_slice(&question[..32]);
    record[SESSION].copy_from_slice(&question[32..]);
    record
}

pub(super) fn read_hello(first: &[u8]) -> Option<(Question, usize)> {
    let Prefix::Whole(used) = prefix(first) else { return None };
    if first.get(RANDOM.end) != Some(&32) || used < SESSION.end {
        return None;
    }
    let mut question = [0; LENGTH];
    question[..32].copy_from_slice(&first[RANDOM]);
    question[32..].copy_from_slice(&first[SESSION]);
    Some((question, used))
}

/// Section 4.1.3: TLS 1.3 by its extensions, AES-128-GCM, a share for X25519.
fn server_hello(random: &[u8], session: &[u8], share: &[u8; 32]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        random,
        &[32],
        session,
        &[0x13, 0x01, 0, 0, 46, 0, 43, 0, 2, 3, 4, 0, 51, 0, 36, 0, 29, 0, 32],
        share,
    ]
    .concat();
    let [high, low] = length(body.len());
    let [h, l] = length(body.len() + 4);
    [&[HANDSHAKE, 3, 3, h, l, 2, 0, high, low][..], &body].concat()
}

fn encrypted(begins: &[u8], bytes: usize) -> Vec<u8> {
    let [high, low] = length(bytes);
    let noise = noise(bytes - begins.len());
    [&[APPLICATION_DATA, 3, 3, high, low][..], begins, &noise].concat()
}

pub(super) fn flight(asked: &[u8], answer: &[u8; LENGTH]) -> Vec<u8> {
    let session = asked.get(SESSION).unwrap_or(&[0; 32]);
    let (random, rest) = answer.split_at(32);
    let bytes = CERTIFICATES.start() + draw(CERTIFICATES.end() - CERTIFICATES.start());
    let hello = server_hello(random, session, &x25519_key());
    [&hello[..], &CHANGE, &encrypted(rest, bytes)].concat()
}

pub(super) fn read_flight(came: &[u8]) -> Read<LENGTH> {
    let model = [&server_hello(&[0; 32], &[0; 32], &[0; 32])[..], &CHANGE].concat();
    let share = model.len() - CHANGE.len() - 32..model.len() - CHANGE.len();
    let is_fixed = |at: &usize| ![RANDOM, SESSION, share.clone()].iter().any(|it| it.contains(at));
    if (0..came.len().min(model.len())).filter(is_fixed).any(|at| came[at] != model[at]) {
        return Err(Unlike);
    }
    let Some((hello, rest)) = came.split_at_checked(model.len()) else { return Ok(None) };
    let Some(record) = read_record(rest, CERTIFICATES)? else { return Ok(None) };
    let mut answer = [0; LENGTH];
    answer[..32].copy_from_slice(&hello[RANDOM]);
    answer[32..].copy_from_slice(&record[..32]);
    Ok(Some((answer, model.len() + HEADER + record.len())))
}

/// What a client says before its first piece.
pub(super) fn finished() -> Vec<u8> {
    [&CHANGE[..], &encrypted(&[], FINISHED)].concat()
}

pub(super) fn record(piece: &[u8; PIECE]) -> Vec<u8> {
    encrypted(piece, PIECE + draw(MORE))
}

pub(super) fn read_piece(way: Way, came: &[u8]) -> Read<PIECE> {
    let mut start = 0;
    if way == Way::Up && came.first() == CHANGE.first() {
        let had = CHANGE.len().min(came.len());
        if came[..had] != CHANGE[..had] {
            return Err(Unlike);
        }
        let Some(_) = read_record(&came[had..], FINISHED..=FINISHED)? else { return Ok(None) };
        start = CHANGE.len() + HEADER + FINISHED;
    }
    let Some(record) = read_record(&came[start..], PIECE..=PIECE + MORE)? else { return Ok(None) };
    let piece = record.first_chunk().ok_or(Unlike)?;
    Ok(Some((*piece, start + HEADER + record.len())))
}

/// What is in a record of such a length.
fn read_record(
    came: &[u8],
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<Option<&[u8]>, Unlike> {
    let kind = [APPLICATION_DATA, 3, 3];
    let had = kind.len().min(came.len());
    if came[..had] != kind[..had] {
        return Err(Unlike);
    }
    let Some(&[_, _, _, high, low]) = came.first_chunk::<HEADER>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !lengths.contains(&length) {
        return Err(Unlike);
    }
    Ok(came.get(HEADER..HEADER + length))
}
