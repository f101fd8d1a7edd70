//! DNS (RFC 1035) with EDNS (RFC 6891). A question is the first labels of the name that a query for TXT
//! asks for, and its answer is such a record, as with the look-ups of mail and of scanners. By datagram the
//! query is padded with zeros (RFC 7830), so that its answer is no longer. Pieces are updates of a zone
//! (RFC 2136) that add a record, and their answers, which repeat what was asked in form and not in
//! content: whoever looks can tell.

use data_encoding::BASE32_DNSCURVE as BASE32;

use super::{LENGTH, LONGEST, PIECE, Question, Read, Unlike, draw, letters, noise};
use crate::echo::{Transport, Way};

const HEADER: usize = 12;
const QUERY: [u8; 2] = [0x01, 0x00];
const RESPONSE: [u8; 2] = [0x81, 0x80];
const UPDATE: [u8; 2] = [0x28, 0x00];
const UPDATED: [u8; 2] = [0xa8, 0x00];
/// Of what there is how much: one question, one additional record.
const ASKED: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 1];
/// One question, one answer, one additional record.
const ANSWERED: [u8; 8] = [0, 1, 0, 1, 0, 0, 0, 1];
/// One zone, one update.
const CHANGED: [u8; 8] = [0, 1, 0, 0, 0, 1, 0, 0];
const TXT: [u8; 4] = [0, 16, 0, 1];
const SOA: [u8; 4] = [0, 6, 0, 1];
/// The name that stands behind the header, once more.
const SAME: [u8; 2] = [0xc0, 12];
/// The root's name, OPT, 1,232 bytes, no flags.
const OPT: [u8; 9] = [0, 0, 41, 4, 208, 0, 0, 0, 0];
/// OPT without any option.
const BARE: usize = OPT.len() + 2;
const PADDING: [u8; 2] = [0, 12];
/// Queries are padded to a multiple of this (RFC 8467, section 4.1).
const BLOCK: usize = 128;
/// A record without its text: name, type, class, seconds to live, length.
const RECORD: usize = 12;
/// How many seconds it lives.
const LIVES: [u8; 4] = [0, 0, 1, 44];
/// How long a text is of which a character-string can hold no more.
const STRING: usize = 255;

/// A question's letters, and how many more there are at most.
const NAME: usize = (LENGTH + 1) * 8 / 5;
const MORE_OF_NAME: usize = 16;
/// How long the host's name is at most that follows them, in bytes of labels.
const SUFFIX: usize = 64;
/// How many letters an answer, and a piece, has at most beside its own.
const MORE: usize = 64;

fn message(
    transport: Transport,
    id: [u8; 2],
    flags: [u8; 2],
    counts: [u8; 8],
    rest: &[&[u8]],
) -> Vec<u8> {
    let message = [&id[..], &flags, &counts, &rest.concat()].concat();
    match transport {
        Transport::Tcp => [&super::length(message.len())[..], &message].concat(),
        Transport::Udp => message,
    }
}

/// As many of a name's last labels as are wanted at most.
fn labels(name: &str) -> Vec<u8> {
    let mut out = vec![0];
    for label in name.rsplit('.').filter(|label| (1..64).contains(&label.len())) {
        if out.len() + 1 + label.len() > SUFFIX {
            break;
        }
        out.splice(0..0, label.bytes());
        out.insert(0, u8::try_from(label.len()).unwrap_or(63));
    }
    out
}

/// Letters as a few labels of any length, without an end.
fn cut(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 4);
    while !text.is_empty() {
        let length = if text.len() <= 40 { text.len() } else { 30 + draw(text.len().min(63) - 30) };
        let (label, rest) = text.split_at(length);
        out.push(u8::try_from(label.len()).unwrap_or(63));
        out.extend_from_slice(label);
        text = rest;
    }
    out
}

pub(super) fn query(transport: Transport, name: &str, question: &Question) -> Vec<u8> {
    // So that each letter may be any.
    let mut text = BASE32.encode(&[&question[..], &noise(1 + 10)].concat()).into_bytes();
    text.truncate(NAME + draw(MORE_OF_NAME));
    let name = [cut(&text), labels(name)].concat();
    let mut options = vec![0, 0];
    if transport == Transport::Udp {
        let bare = HEADER + name.len() + TXT.len() + BARE;
        let least = bare + RECORD + text_length(letters::length(LENGTH));
        let zeros = least.next_multiple_of(BLOCK) - bare - 4;
        options = super::length(zeros + 4).to_vec();
        options.extend(PADDING);
        options.extend(super::length(zeros));
        options.resize(options.len() + zeros, 0);
    }
    message(transport, crate::random(), QUERY, ASKED, &[&name, &TXT, &OPT, &options])
}

/// How many bytes so many letters are as character-strings.
fn text_length(letters: usize) -> usize {
    letters + letters.div_ceil(STRING)
}

/// A record of letters, at most so long.
fn record(bytes: &[u8], most: usize) -> Vec<u8> {
    let least = letters::length(bytes.len());
    // A string's own length is lost with each that begins.
    let room = most.saturating_sub(RECORD + text_length(least)).min(MORE);
    let text = letters::encode(bytes, draw(room - room.div_ceil(STRING)));
    let strings = text.chunks(STRING).flat_map(|string| {
        let length = u8::try_from(string.len()).unwrap_or(u8::MAX);
        std::iter::once(length).chain(string.iter().copied())
    });
    let length = super::length(text_length(text.len()));
    let head = [&SAME[..], &TXT, &LIVES, &length];
    head.into_iter().flatten().copied().chain(strings).collect()
}

/// The id and the name of what was asked.
fn asked_for(transport: Transport, asked: &[u8]) -> Option<([u8; 2], &[u8])> {
    let message = if transport == Transport::Tcp { asked.get(2..)? } else { asked };
    let rest = message.get(HEADER..)?;
    Some((*message.first_chunk()?, &rest[..name_length(rest)?]))
}

pub(super) fn response(transport: Transport, asked: &[u8], answer: &[u8; LENGTH]) -> Vec<u8> {
    let (id, name) = asked_for(transport, asked).unwrap_or(([0; 2], &[0]));
    let bare = HEADER + name.len() + TXT.len() + BARE;
    let most = if transport == Transport::Tcp { LONGEST } else { asked.len() };
    let record = record(answer, most.saturating_sub(bare));
    message(transport, id, RESPONSE, ANSWERED, &[name, &TXT, &record, &OPT, &[0, 0]])
}

/// A piece; by datagram, what goes down has the id and the zone of what it answers.
pub(super) fn update(
    transport: Transport,
    way: Way,
    name: &str,
    piece: &[u8; PIECE],
    asked: &[u8],
    most: usize,
) -> Vec<u8> {
    let asked = asked_for(transport, asked).filter(|_| way == Way::Down);
    let own = labels(name);
    let (id, zone) = asked.unwrap_or_else(|| (crate::random(), &own));
    let prefix = if transport == Transport::Tcp { 2 } else { 0 };
    let record = record(piece, most.saturating_sub(prefix + HEADER + zone.len() + SOA.len()));
    let flags = if way == Way::Up { UPDATE } else { UPDATED };
    message(transport, id, flags, CHANGED, &[zone, &SOA, &record])
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

/// A whole message, and how many bytes it took.
fn whole(transport: Transport, came: &[u8]) -> Result<Option<(&[u8], usize)>, Unlike> {
    if transport == Transport::Udp {
        return Ok(Some((came, came.len())));
    }
    let Some((head, rest)) = came.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*head));
    if !(HEADER..=LONGEST).contains(&length) {
        return Err(Unlike);
    }
    Ok(rest.get(..length).map(|message| (message, 2 + length)))
}

/// What comes after the header, if it is such a one.
fn body(message: &[u8], flags: [u8; 2], counts: [u8; 8]) -> Option<&[u8]> {
    let (header, rest) = message.split_first_chunk::<HEADER>()?;
    (header[2..4] == flags && header[4..] == counts).then_some(rest)
}

pub(super) fn read_query(transport: Transport, first: &[u8]) -> Option<(Question, usize)> {
    let (message, used) = whole(transport, first).ok()??;
    let rest = body(message, QUERY, ASKED)?;
    let (mut name, end) = rest.split_at(name_length(rest)?);
    let mut text = Vec::with_capacity(NAME);
    while text.len() < NAME {
        let (length, labels) = name.split_first()?;
        let label = labels.get(..usize::from(*length)).filter(|label| !label.is_empty())?;
        text.extend(label.iter().map(u8::to_ascii_lowercase));
        name = &labels[label.len()..];
    }
    let bytes = BASE32.decode(&text[..NAME]).ok().filter(|_| end.starts_with(&TXT))?;
    Some((*bytes.first_chunk()?, used))
}

/// What the first record carries, of a message with such a header.
fn carried<const N: usize>(
    transport: Transport,
    came: &[u8],
    flags: [u8; 2],
    counts: [u8; 8],
) -> Read<N> {
    let Some((message, used)) = whole(transport, came)? else { return Ok(None) };
    let read = || {
        let rest = body(message, flags, counts)?;
        let rest = rest.get(name_length(rest)? + TXT.len()..)?;
        let rest = rest.strip_prefix(&SAME)?.strip_prefix(&TXT)?.get(LIVES.len()..)?;
        let (length, rest) = rest.split_first_chunk()?;
        let mut strings = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
        let mut text = Vec::with_capacity(strings.len());
        while let Some((length, rest)) = strings.split_first() {
            let (string, rest) = rest.split_at_checked(usize::from(*length))?;
            text.extend_from_slice(string);
            strings = rest;
        }
        letters::decode(&text)
    };
    read().map(|read| Some((read, used))).ok_or(Unlike)
}

pub(super) fn read_response(transport: Transport, came: &[u8]) -> Read<LENGTH> {
    carried(transport, came, RESPONSE, ANSWERED)
}

pub(super) fn read_update(transport: Transport, way: Way, came: &[u8]) -> Read<PIECE> {
    carried(transport, came, if way == Way::Up { UPDATE } else { UPDATED }, CHANGED)
}

/// Whether this is the beginning of a query over TCP of which more is to come.
pub(super) fn is_part(first: &[u8]) -> bool {
    let Some((head, message)) = first.split_first_chunk::<2>() else { return true };
    let length = usize::from(u16::from_be_bytes(*head));
    let fixed = message.get(2..).unwrap_or_default();
    let expected = [&QUERY[..], &ASKED].concat();
    let had = fixed.len().min(expected.len());
    let letters = HEADER + NAME..HEADER + NAME + MORE_OF_NAME + 8 + SUFFIX + TXT.len() + BARE;
    letters.contains(&length) && message.len() < length && fixed[..had] == expected[..had]
}
