//! DNS (RFC 1035) with EDNS (RFC 6891): the padding option (RFC 7830) carries what is to be carried.

use super::{Read, Unlike};
use crate::echo::{Transport, Way};

/// Query and answer: an id, then flags.
const QUERY: [u8; 2] = [0x01, 0x00];
const ANSWER: [u8; 2] = [0x81, 0x80];
/// One question, no answer, one additional record.
const COUNTS: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 1];
const HEADER: usize = 12;
/// A, IN.
const KIND: [u8; 4] = [0, 1, 0, 1];
/// The root's name, OPT, 1,232 bytes, no flags.
const OPT: [u8; 9] = [0, 0, 41, 4, 208, 0, 0, 0, 0];
const PADDING: [u8; 2] = [0, 12];

/// A message about a host of this name, or about the root.
pub(super) fn message(way: Way, name: &str, carried: &[u8]) -> Vec<u8> {
    let mut out = crate::random::<2>().to_vec();
    out.extend(if way == Way::Up { QUERY } else { ANSWER });
    out.extend(COUNTS);
    out.extend(labels(name));
    out.extend(KIND);
    out.extend(OPT);
    out.extend(super::length(carried.len() + 4));
    out.extend(PADDING);
    out.extend(super::length(carried.len()));
    out.extend_from_slice(carried);
    out
}

fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        out.push(u8::try_from(label.len()).unwrap_or(63));
        out.extend_from_slice(label);
    }
    out.push(0);
    out
}

/// The bytes of the name in a question that was asked.
pub(super) fn asked_name(transport: Transport, asked: &[u8]) -> Option<Vec<u8>> {
    let message = unprefixed(transport, asked)?;
    let rest = message.get(HEADER..)?;
    Some(rest[..name_length(rest)?].to_vec())
}

/// An answer bears the id and the name that were asked.
pub(super) fn repeat_question(
    message: &mut Vec<u8>,
    asked: &[u8],
    transport: Transport,
    name: &[u8],
) {
    if let Some([one, two, ..]) = unprefixed(transport, asked) {
        message[..2].copy_from_slice(&[*one, *two]);
    }
    if !name.is_empty() {
        message.splice(HEADER..=HEADER, name.iter().copied());
    }
}

fn unprefixed(transport: Transport, bytes: &[u8]) -> Option<&[u8]> {
    match transport {
        Transport::Tcp => bytes.get(2..),
        Transport::Udp => Some(bytes),
    }
}

fn name_length(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *rest.get(at)? {
            0 => return Some(at + 1),
            label @ 1..64 => at += 1 + usize::from(label),
            _ => return None,
        }
    }
}

/// What a message carries.
pub(super) fn read<const N: usize>(transport: Transport, way: Way, came: &[u8]) -> Read<N> {
    let (message, used) = match transport {
        Transport::Udp => (came, came.len()),
        Transport::Tcp => {
            let Some((head, rest)) = came.split_first_chunk() else { return Ok(None) };
            let length = usize::from(u16::from_be_bytes(*head));
            if !(HEADER..=super::LONGEST).contains(&length) {
                return Err(Unlike);
            }
            let Some(message) = rest.get(..length) else { return Ok(None) };
            (message, 2 + length)
        }
    };
    let flags = if way == Way::Up { QUERY } else { ANSWER };
    let carried = parts(message, flags).and_then(|carried| carried.try_into().ok());
    carried.map(|carried| Some((carried, used))).ok_or(Unlike)
}

/// Whether this is the beginning of a query over TCP of which more is to come.
pub(super) fn is_part(first: &[u8]) -> bool {
    let Some((head, message)) = first.split_first_chunk::<2>() else { return true };
    let length = usize::from(u16::from_be_bytes(*head));
    let fixed = message.get(2..).unwrap_or_default();
    let expected = [&QUERY[..], &COUNTS].concat();
    let had = fixed.len().min(expected.len());
    (HEADER..=super::LONGEST_QUESTION).contains(&length)
        && message.len() < length
        && fixed[..had] == expected[..had]
}

fn parts(message: &[u8], flags: [u8; 2]) -> Option<&[u8]> {
    let (header, rest) = message.split_first_chunk::<HEADER>()?;
    if header[2..4] != flags || header[4..] != COUNTS {
        return None;
    }
    let rest = &rest[name_length(rest)?..];
    let rest = rest.strip_prefix(&KIND)?.strip_prefix(&OPT)?;
    let (_, rest) = rest.split_first_chunk::<2>()?;
    let (length, carried) = rest.strip_prefix(&PADDING)?.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == carried.len()).then_some(carried)
}
