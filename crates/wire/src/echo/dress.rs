//! What echoes look like to whoever is in between.
//!
//! | shape | over TCP | as datagrams |
//! |---|---|---|
//! | random | noise | noise of any length |
//! | printable | an HTTP request and its answer, both in chunks | lines of letters |
//! | tls | a hello of Telegram's apps, a server's hello, records | DTLS 1.2 |
//! | dns | messages after their length (RFC 1035, 4.2.2) | a query and an empty answer |
//!
//! A datagram's answer is never longer than its question. The hello carries a question as its random
//! bytes and its session id, and a server's carries the answer as random bytes and key share: fields
//! that are noise in any hello.

use data_encoding::BASE64URL_NOPAD;

use super::climb::PIECE;
use super::{LENGTH, Question, Shape, Transport, Way};
use crate::tls::hello::{RANDOM, X25519};
use crate::tls::offer;
use crate::tls::record::{APPLICATION_DATA, CHANGE, HANDSHAKE};

/// How long a question is at most when it is dressed, in bytes.
pub const LONGEST_QUESTION: usize = 1024;
/// How long anything is at most when it is dressed, in bytes: it fits into one packet.
pub const LONGEST: usize = 1200;

/// The letters of a question, and of a piece.
const TEXT: usize = (LENGTH * 8).div_ceil(6);
const PIECE_TEXT: usize = PIECE * 8 / 6;
/// Where the session id stands in a hello's record.
const SESSION: std::ops::Range<usize> = RANDOM.end + 1..RANDOM.end + 33;

/// These bytes are not what they were to be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is not an echo of the shape that was asked for")]
pub struct Unlike;

/// Bytes that were read, and how many of those that came they took; `None` until there are enough.
pub type Read<const N: usize> = Result<Option<([u8; N], usize)>, Unlike>;

/// Dresses a question. `name` is the host that a hello, a request or a query names: at most 200 bytes
/// of a host's name.
///
/// # Panics
/// When the name is longer.
#[must_use]
pub fn question(shape: Shape, transport: Transport, name: &str, question: &Question) -> Vec<u8> {
    assert!(name.len() <= 200, "a host's name of at most 200 bytes");
    match (shape, transport) {
        (Shape::Random, Transport::Tcp) => question.to_vec(),
        (Shape::Random, Transport::Udp) => {
            let mut noise = [0; 64];
            crate::fill_random(&mut noise);
            let length = usize::from(noise[0] % 64);
            [question, &noise[..length]].concat()
        }
        (Shape::Printable, Transport::Tcp) => {
            let text = BASE64URL_NOPAD.encode(question);
            format!("POST /{text} HTTP/1.1\r\nHost: {name}\r\nTransfer-Encoding: chunked\r\n\r\n")
                .into_bytes()
        }
        (Shape::Printable, Transport::Udp) => line(question),
        (Shape::Tls, Transport::Tcp) => {
            let mut record = offer::record(name, X25519);
            record[RANDOM].copy_from_slice(&question[..32]);
            record[SESSION].copy_from_slice(&question[32..]);
            record
        }
        (Shape::Tls, Transport::Udp) => dtls::hello(name, question),
        (Shape::Dns, _) => prefixed(transport, dns::message(Way::Up, name, question)),
    }
}

/// Looks for a question in the first bytes that came: its shape, the question, and how many bytes it
/// took. `None` if there is none, or not yet all of it.
#[must_use]
pub fn find(transport: Transport, first: &[u8]) -> Option<(Shape, Question, usize)> {
    let found = |shape, (question, used)| (shape, question, used);
    match transport {
        Transport::Tcp => {
            let text = first.strip_prefix(b"POST /").filter(|rest| rest.get(TEXT) == Some(&b' '));
            if let Some(text) = text {
                let end = first.windows(4).position(|four| four == b"\r\n\r\n")?;
                return Some((Shape::Printable, decode(&text[..TEXT])?, end + 4));
            }
            if let Some(hello) = tls_hello(first) {
                return Some(found(Shape::Tls, hello));
            }
            if let Some(query) = dns::read(Transport::Tcp, Way::Up, first).ok().flatten() {
                return Some(found(Shape::Dns, query));
            }
            Some((Shape::Random, *first.first_chunk()?, LENGTH))
        }
        Transport::Udp => {
            let used = first.len();
            if let Some(question) = read_line(first) {
                return Some((Shape::Printable, question, used));
            }
            if let Some(question) = dtls::read_hello(first) {
                return Some((Shape::Tls, question, used));
            }
            if let Some((question, _)) = dns::read(Transport::Udp, Way::Up, first).ok().flatten() {
                return Some((Shape::Dns, question, used));
            }
            Some((Shape::Random, *first.first_chunk()?, used))
        }
    }
}

/// Whether these first bytes of a connection are part of a request or of a query that may become a
/// question. Of noise and hellos, [`crate::classify`] knows.
#[must_use]
pub fn may_become(first: &[u8]) -> bool {
    first.len() < LONGEST_QUESTION && (is_part_of_request(first) || dns::is_part(first))
}

fn is_part_of_request(first: &[u8]) -> bool {
    const METHOD: &[u8] = b"POST /";
    let (method, rest) = first.split_at(METHOD.len().min(first.len()));
    let (text, rest) = rest.split_at(TEXT.min(rest.len()));
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    METHOD.starts_with(method)
        && text.iter().all(is_letter)
        && rest.first().is_none_or(|byte| *byte == b' ')
        && !rest.windows(4).any(|four| four == b"\r\n\r\n")
}

/// Dresses the answer to a question that was found in `asked`.
#[must_use]
pub fn answer(shape: Shape, transport: Transport, asked: &[u8], answer: &[u8; LENGTH]) -> Vec<u8> {
    match (shape, transport) {
        (Shape::Random, _) => answer.to_vec(),
        (Shape::Printable, Transport::Tcp) => {
            let mut response = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\
                Transfer-Encoding: chunked\r\n\r\n"
                .to_vec();
            response.extend(chunk(answer));
            response
        }
        (Shape::Printable, Transport::Udp) => line(answer),
        (Shape::Tls, Transport::Tcp) => {
            let session = asked.get(SESSION).unwrap_or(&[0; 32]);
            let mut out = server_hello(session, answer);
            out.extend(CHANGE);
            out
        }
        (Shape::Tls, Transport::Udp) => dtls::server_hello(answer),
        (Shape::Dns, _) => {
            let name = dns::asked_name(transport, asked).unwrap_or_default();
            let mut message = dns::message(Way::Down, "", answer);
            dns::repeat_question(&mut message, asked, transport, &name);
            prefixed(transport, message)
        }
    }
}

/// Reads an answer: of a datagram all of it, of a connection as much as has come.
///
/// # Errors
/// [`Unlike`] when it never will be one.
pub fn read_answer(shape: Shape, transport: Transport, came: &[u8]) -> Read<LENGTH> {
    match (shape, transport) {
        (Shape::Random, _) => Ok(came.first_chunk().map(|answer| (*answer, LENGTH))),
        (Shape::Printable, Transport::Tcp) => {
            const WORD: &[u8] = b"HTTP/1.1 200 OK\r\n";
            if !came.starts_with(&WORD[..WORD.len().min(came.len())]) {
                return Err(Unlike);
            }
            let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") else {
                return if came.len() > LONGEST { Err(Unlike) } else { Ok(None) };
            };
            let read = read_chunk::<LENGTH>(&came[end + 4..])?;
            Ok(read.map(|(answer, used)| (answer, end + 4 + used)))
        }
        (Shape::Printable, Transport::Udp) => whole(read_line(came), came),
        (Shape::Tls, Transport::Tcp) => read_server_hello(came),
        (Shape::Tls, Transport::Udp) => whole(dtls::read_server_hello(came), came),
        (Shape::Dns, _) => dns::read(transport, Way::Down, came),
    }
}

/// Dresses a piece.
#[must_use]
pub fn piece(shape: Shape, transport: Transport, way: Way, piece: &[u8; PIECE]) -> Vec<u8> {
    match (shape, transport) {
        (Shape::Random, _) => piece.to_vec(),
        (Shape::Printable, Transport::Tcp) => chunk(piece),
        (Shape::Printable, Transport::Udp) => line(piece),
        (Shape::Tls, Transport::Tcp) => {
            let [high, low] = length(PIECE);
            [&[APPLICATION_DATA, 3, 3, high, low][..], piece].concat()
        }
        (Shape::Tls, Transport::Udp) => dtls::record(piece),
        (Shape::Dns, _) => prefixed(transport, dns::message(way, "", piece)),
    }
}

/// Reads a piece: of a datagram all of it, of a connection as much as has come.
///
/// # Errors
/// [`Unlike`] when it never will be one.
pub fn read_piece(shape: Shape, transport: Transport, way: Way, came: &[u8]) -> Read<PIECE> {
    match (shape, transport) {
        (Shape::Random, _) => Ok(came.first_chunk().map(|piece| (*piece, PIECE))),
        (Shape::Printable, Transport::Tcp) => read_chunk(came),
        (Shape::Printable, Transport::Udp) => whole(read_line(came), came),
        (Shape::Tls, Transport::Tcp) => {
            let [high, low] = length(PIECE);
            let header = [APPLICATION_DATA, 3, 3, high, low];
            let had = header.len().min(came.len());
            if came[..had] != header[..had] {
                return Err(Unlike);
            }
            let piece = came.get(header.len()..).and_then(|rest| rest.first_chunk());
            Ok(piece.map(|piece| (*piece, header.len() + PIECE)))
        }
        (Shape::Tls, Transport::Udp) => whole(dtls::read_record(came), came),
        (Shape::Dns, _) => dns::read(transport, way, came),
    }
}

fn whole<const N: usize>(read: Option<[u8; N]>, came: &[u8]) -> Read<N> {
    read.map(|read| Some((read, came.len()))).ok_or(Unlike)
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("at most a packet").to_be_bytes()
}

/// As a stream wants it.
fn prefixed(transport: Transport, message: Vec<u8>) -> Vec<u8> {
    match transport {
        Transport::Tcp => [&length(message.len())[..], &message].concat(),
        Transport::Udp => message,
    }
}

fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    BASE64URL_NOPAD.decode(text).ok()?.try_into().ok()
}

fn line(bytes: &[u8]) -> Vec<u8> {
    let mut line = BASE64URL_NOPAD.encode(bytes).into_bytes();
    line.push(b'\n');
    line
}

fn read_line<const N: usize>(came: &[u8]) -> Option<[u8; N]> {
    decode(came.strip_suffix(b"\n")?)
}

/// A chunk of a body (RFC 9112, 7.1).
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let text = BASE64URL_NOPAD.encode(bytes);
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

fn read_chunk<const N: usize>(came: &[u8]) -> Read<N> {
    let text = if N == LENGTH { TEXT } else { PIECE_TEXT };
    let head = format!("{text:x}\r\n");
    let had = head.len().min(came.len());
    if came[..had] != head.as_bytes()[..had] {
        return Err(Unlike);
    }
    let Some(body) = came.get(head.len()..head.len() + text + 2) else { return Ok(None) };
    let (body, end) = body.split_at(text);
    let read = decode(body).filter(|_| end == b"\r\n").ok_or(Unlike)?;
    Ok(Some((read, head.len() + text + 2)))
}

fn tls_hello(first: &[u8]) -> Option<(Question, usize)> {
    use crate::tls::hello::{Prefix, prefix};
    let Prefix::Whole(used) = prefix(first) else { return None };
    if first.get(RANDOM.end) != Some(&32) || used < SESSION.end {
        return None;
    }
    let mut question = [0; LENGTH];
    question[..32].copy_from_slice(&first[RANDOM]);
    question[32..].copy_from_slice(&first[SESSION]);
    Some((question, used))
}

/// RFC 8446, 4.1.3: TLS 1.3 by its extensions, AES-128-GCM, a share for X25519.
fn server_hello(session: &[u8], answer: &[u8; LENGTH]) -> Vec<u8> {
    let (random, share) = answer.split_at(32);
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

fn read_server_hello(came: &[u8]) -> Read<LENGTH> {
    let model = server_hello(&[0; 32], &[0; LENGTH]);
    let [random, session] = [RANDOM, SESSION];
    let share = model.len() - 32..model.len();
    let is_fixed =
        |at: &usize| !random.contains(at) && !session.contains(at) && !share.contains(at);
    if (0..came.len().min(model.len())).filter(is_fixed).any(|at| came[at] != model[at]) {
        return Err(Unlike);
    }
    let used = model.len() + CHANGE.len();
    let Some(whole) = came.get(..used) else { return Ok(None) };
    if whole[model.len()..] != CHANGE {
        return Err(Unlike);
    }
    let mut answer = [0; LENGTH];
    answer[..32].copy_from_slice(&whole[random]);
    answer[32..].copy_from_slice(&whole[share]);
    Ok(Some((answer, used)))
}

mod dns;
mod dtls;

#[cfg(test)]
mod tests;
