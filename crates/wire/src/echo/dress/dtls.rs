//! DTLS 1.2 (RFC 6347): a client that resumes a session by its ticket (RFC 5077), a server that agrees,
//! records. The question is the random bytes and the session id of the client's hello; the answer is the
//! random bytes of the server's, and the first bytes of what it sends encrypted.

use super::{LENGTH, LONGEST, PIECE, Question, draw, length, noise};
use crate::tls::record::{APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};

const HEADER: usize = 13;
/// Type, length, message number, offset and length of the fragment.
const MESSAGE: usize = 12;
/// Where the random bytes and the session id stand in either hello.
const RANDOM: std::ops::Range<usize> = HEADER + MESSAGE + 2..HEADER + MESSAGE + 34;
const SESSION: std::ops::Range<usize> = RANDOM.end + 1..RANDOM.end + 33;
/// Between these, tickets are long.
const TICKET: std::ops::RangeInclusive<usize> = 160..=320;
/// The last word of a handshake, under ChaCha20 and Poly1305: a hash, its header, a tag.
const FINISHED: usize = MESSAGE + 12 + 16;
/// What a server says of it beside a new ticket: its hello, and the last two records.
const FLIGHT: usize = HEADER + MESSAGE + 81 + HEADER + 1 + HEADER + FINISHED;
/// A ticket's message without the ticket.
const TICKETS: usize = HEADER + MESSAGE + 6;

fn record_of(kind: u8, epoch: u8, number: u64, payload: &[u8]) -> Vec<u8> {
    let number = number.to_be_bytes();
    let header = [&[kind, 0xfe, 0xfd, 0, epoch][..], &number[2..], &length(payload.len())];
    [&header.concat()[..], payload].concat()
}

/// The message and the record of the same number, which is below 256.
fn handshake(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = length(body.len());
    let message = [&[kind, 0, high, low, 0, number, 0, 0, 0, 0, high, low][..], body].concat();
    record_of(HANDSHAKE, 0, number.into(), &message)
}

/// From now on everything is encrypted; `number` records were not.
fn finish(number: u64, begins: &[u8]) -> Vec<u8> {
    let payload = [begins, &noise(FINISHED - begins.len())].concat();
    let change = record_of(CHANGE_CIPHER_SPEC, 0, number, &[1]);
    [change, record_of(HANDSHAKE, 1, 0, &payload)].concat()
}

pub(super) fn hello(name: &str, question: &Question) -> Vec<u8> {
    let (random, session) = question.split_at(32);
    let [h, l] = length(name.len());
    let [h3, l3] = length(name.len() + 3);
    let [h5, l5] = length(name.len() + 5);
    let server_name = [&[0, 0, h5, l5, h3, l3, 0, h, l][..], name.as_bytes()].concat();
    let ticket = noise(TICKET.start() + draw(TICKET.end() - TICKET.start()));
    let extensions = [
        &server_name[..],
        &[0, 23, 0, 0, 0xff, 1, 0, 1, 0, 0, 10, 0, 8, 0, 6, 0, 29, 0, 23, 0, 24, 0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 10, 0, 8, 4, 3, 8, 4, 4, 1, 8, 6, 0, 35],
        &length(ticket.len()),
        &ticket,
    ]
    .concat();
    let body = [
        &[0xfe, 0xfd][..],
        random,
        &[32],
        session,
        // No cookie; ECDHE with ChaCha20 and AES-GCM.
        &[0, 0, 12, 0xcc, 0xa9, 0xcc, 0xa8, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 1, 0],
        &length(extensions.len()),
        &extensions,
    ]
    .concat();
    handshake(1, 0, &body)
}

/// The server repeats the session id, gives another ticket if there is room, and finishes first.
pub(super) fn flight(asked: &[u8], answer: &[u8; LENGTH]) -> Vec<u8> {
    let session = asked.get(SESSION).unwrap_or(&[0; 32]);
    let (random, rest) = answer.split_at(32);
    // ChaCha20 and Poly1305; a ticket may come, and what both must say today.
    let chosen = [0xcc, 0xa9, 0, 0, 13, 0, 35, 0, 0, 0, 23, 0, 0, 0xff, 1, 0, 1, 0];
    let mut body = [&[0xfe, 0xfd][..], random, &[32], session].concat();
    // Without a ticket it does not say that one may come.
    let room = asked.len().saturating_sub(FLIGHT + 4 + TICKETS).min(*TICKET.end());
    let has_ticket = room >= *TICKET.start();
    if has_ticket {
        body.extend(chosen);
    } else {
        body.extend([&chosen[..4], &[9], &chosen[9..]].concat());
    }
    let mut flight = handshake(2, 0, &body);
    if has_ticket {
        let ticket = noise(TICKET.start() + draw(room - TICKET.start()));
        // Two hours.
        let message = [&[0, 0, 0x1c, 0x20][..], &length(ticket.len()), &ticket].concat();
        flight.extend(handshake(4, 1, &message));
    }
    flight.extend(finish(1 + u64::from(has_ticket), rest));
    flight
}

pub(super) fn read_hello(came: &[u8]) -> Option<Question> {
    let body = came.len().checked_sub(HEADER + MESSAGE)?;
    let is_fine = is_handshake(came, 1) && came[11..13] == length(body.min(LONGEST) + MESSAGE);
    let mut out = [0; LENGTH];
    out[..32].copy_from_slice(came.get(RANDOM).filter(|_| is_fine)?);
    out[32..].copy_from_slice(came.get(SESSION)?);
    Some(out)
}

pub(super) fn read_flight(came: &[u8]) -> Option<[u8; LENGTH]> {
    let random = came.get(RANDOM).filter(|_| is_handshake(came, 2))?;
    let (header, payload) = came.last_chunk::<{ HEADER + FINISHED }>()?.split_at(HEADER);
    let is_fine = header[..5] == [HANDSHAKE, 0xfe, 0xfd, 0, 1] && header[11..] == length(FINISHED);
    let mut out = [0; LENGTH];
    out[..32].copy_from_slice(random);
    out[32..].copy_from_slice(payload.get(..32).filter(|_| is_fine)?);
    Some(out)
}

fn is_handshake(came: &[u8], kind: u8) -> bool {
    came.starts_with(&[HANDSHAKE, 0xfe, 0xfd, 0, 0])
        && came.get(HEADER) == Some(&kind)
        && came.get(RANDOM.end) == Some(&32)
}

/// What a client says before its first piece; its hello was number 0.
pub(super) fn finished() -> Vec<u8> {
    finish(1, &[])
}

pub(super) fn record(piece: &[u8; PIECE], number: u64, most: usize) -> Vec<u8> {
    let more = noise(draw(most.saturating_sub(HEADER + PIECE)));
    record_of(APPLICATION_DATA, 1, number, &[&piece[..], &more].concat())
}

pub(super) fn read_record(came: &[u8]) -> Option<[u8; PIECE]> {
    let (header, payload) = came.split_first_chunk::<HEADER>()?;
    let is_fine = header[..5] == [APPLICATION_DATA, 0xfe, 0xfd, 0, 1]
        && payload.len() <= LONGEST
        && header[11..] == length(payload.len());
    payload.first_chunk().copied().filter(|_| is_fine)
}
