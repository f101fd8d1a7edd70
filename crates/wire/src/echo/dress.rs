//! What echoes look like to whoever is in between.
//!
//! | shape | over TCP | as datagrams |
//! |---|---|---|
//! | random | noise | noise |
//! | printable | a request for a file, and a file of letters; then a request and its answer, both in chunks | lines of letters |
//! | tls | a hello of Telegram's apps, a server's flight, records | DTLS 1.2: a session that is resumed, records |
//! | dns | messages after their length (RFC 1035, 4.2.2) | a query for TXT, and a record; then updates (RFC 2136) |
//!
//! How long anything is, is drawn each time: noise fills it up, which the reader skips. Where nothing
//! else frames it (noise over TCP), how much follows is known from a key and the bytes before it. What
//! answers a datagram is never longer than it.
//!
//! What is noise here is noise in what is imitated: random bytes, session ids, tickets, encrypted
//! records; key shares are real keys. None of them bears every look: random bytes are rare on most ports,
//! the host that is named is none of the relay's, and the updates of the DNS shape stand out. That one is
//! for filters that let port 53 pass, not for inspection.

use std::sync::atomic::{AtomicU64, Ordering};

use super::climb::PIECE;
use super::{LENGTH, Question, Shape, Transport, Way};
use crate::ctr::Ctr;

mod dns;
mod dtls;
mod http;
mod letters;
mod tls;

/// How long a question is at most when it is dressed, in bytes.
pub const LONGEST_QUESTION: usize = 1024;
/// How long an answer is at most when it is dressed, in bytes: over TCP, as a server's flight is.
pub const LONGEST_ANSWER: usize = 6 * 1024;
/// How long a piece, and any datagram, is at most when it is dressed, in bytes: it fits into one packet.
pub const LONGEST: usize = 1200;
/// How long the name of a host may be, in bytes.
pub const LONGEST_NAME: usize = 200;

/// How much noise follows a question, an answer and a piece of noise at most, in bytes.
const MOST_PAD: usize = 400;

/// These bytes are not what they were to be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is not an echo of the shape that was asked for")]
pub struct Unlike;

/// Bytes that were read, and how many of those that came they took; `None` until there are enough.
pub type Read<const N: usize> = Result<Option<([u8; N], usize)>, Unlike>;

/// What one side of a conversation puts on, and how it reads the other's: see [`super::Asker::dress`] and
/// [`super::Found::dress`].
pub struct Dress {
    transport: Transport,
    shape: Shape,
    /// The host that a hello, a request or a query names.
    name: Box<str>,
    /// It tells both sides how much noise follows, where nothing else does.
    pads: Option<[u8; 32]>,
    /// How many pieces were dressed.
    said: AtomicU64,
}

impl Dress {
    pub(super) fn new(
        transport: Transport,
        shape: Shape,
        name: &str,
        pads: Option<[u8; 32]>,
    ) -> Self {
        assert!(name.len() <= LONGEST_NAME, "a host's name of at most {LONGEST_NAME} bytes");
        Self { transport, shape, name: name.into(), pads, said: AtomicU64::new(0) }
    }

    /// What is dressed so.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What carries it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Dresses a question.
    #[must_use]
    pub fn question(&self, question: &Question) -> Vec<u8> {
        match (self.shape, self.transport) {
            (Shape::Random, Transport::Tcp) => self.padded(question),
            (Shape::Random, Transport::Udp) => filled(question, MOST_PAD),
            (Shape::Printable, Transport::Tcp) => http::request(&self.name, question),
            (Shape::Printable, Transport::Udp) => line(question, MOST_PAD),
            (Shape::Tls, Transport::Tcp) => tls::hello(&self.name, question),
            (Shape::Tls, Transport::Udp) => dtls::hello(&self.name, question),
            (Shape::Dns, transport) => dns::query(transport, &self.name, question),
        }
    }

    /// How many bytes of noise follow a question that [`find`] has found; they may still be on the way.
    #[must_use]
    pub fn rest_of(&self, question: &Question) -> usize {
        self.pad(question)
    }

    /// Dresses the answer to a question that was found in `asked`, at this time in seconds since 1970.
    #[must_use]
    pub fn answer(&self, asked: &[u8], answer: &[u8; LENGTH], now: u32) -> Vec<u8> {
        match (self.shape, self.transport) {
            (Shape::Random, Transport::Tcp) => self.padded(answer),
            (Shape::Random, Transport::Udp) => filled(answer, asked.len().saturating_sub(LENGTH)),
            (Shape::Printable, Transport::Tcp) => http::response(answer, now),
            (Shape::Printable, Transport::Udp) => line(answer, room_in_line(asked, LENGTH)),
            (Shape::Tls, Transport::Tcp) => tls::flight(asked, answer),
            (Shape::Tls, Transport::Udp) => dtls::flight(asked, answer),
            (Shape::Dns, transport) => dns::response(transport, asked, answer),
        }
    }

    /// Reads an answer: of a datagram all of it, of a connection as much as has come.
    ///
    /// # Errors
    /// [`Unlike`] when it never will be one.
    pub fn read_answer(&self, came: &[u8]) -> Read<LENGTH> {
        match (self.shape, self.transport) {
            (Shape::Random, Transport::Tcp) => Ok(self.unpadded(came)),
            (Shape::Random, Transport::Udp) => whole(came.first_chunk().copied(), came),
            (Shape::Printable, Transport::Tcp) => http::read_response(came),
            (Shape::Printable, Transport::Udp) => whole(read_line(came), came),
            (Shape::Tls, Transport::Tcp) => tls::read_flight(came),
            (Shape::Tls, Transport::Udp) => whole(dtls::read_flight(came), came),
            (Shape::Dns, transport) => dns::read_response(transport, came),
        }
    }

    /// What goes before the first piece of either side, at this time in seconds since 1970: the end of a
    /// handshake, or the head of a request or of its answer. Often it is nothing, and never is it
    /// answered; a datagram with it may get lost.
    #[must_use]
    pub fn opening(&self, way: Way, now: u32) -> Vec<u8> {
        match (self.shape, self.transport, way) {
            (Shape::Printable, Transport::Tcp, Way::Up) => http::long_request(&self.name),
            (Shape::Printable, Transport::Tcp, Way::Down) => http::long_response(now),
            (Shape::Tls, Transport::Tcp, Way::Up) => tls::finished(),
            (Shape::Tls, Transport::Udp, Way::Up) => dtls::finished(),
            _ => Vec::new(),
        }
    }

    /// Dresses a piece; `asked` is the datagram that it answers, and empty where it answers none.
    #[must_use]
    pub fn piece(&self, way: Way, piece: &[u8; PIECE], asked: &[u8]) -> Vec<u8> {
        let said = self.said.fetch_add(1, Ordering::Relaxed);
        let most = if asked.is_empty() { LONGEST } else { asked.len().min(LONGEST) };
        match (self.shape, self.transport) {
            (Shape::Random, Transport::Tcp) => self.padded(piece),
            (Shape::Random, Transport::Udp) => filled(piece, most.saturating_sub(PIECE)),
            (Shape::Printable, Transport::Tcp) => http::chunk(piece),
            (Shape::Printable, Transport::Udp) => {
                line(piece, most.saturating_sub(letters::length(PIECE) + 1))
            }
            (Shape::Tls, Transport::Tcp) => tls::record(piece),
            (Shape::Tls, Transport::Udp) => dtls::record(piece, said + 1, most),
            (Shape::Dns, transport) => dns::update(transport, way, &self.name, piece, asked, most),
        }
    }

    /// Reads a piece that goes this way: of a datagram all of it, of a connection as much as has come,
    /// with the [`Self::opening`] before the first.
    ///
    /// # Errors
    /// [`Unlike`] when it never will be one.
    pub fn read_piece(&self, way: Way, came: &[u8]) -> Read<PIECE> {
        match (self.shape, self.transport) {
            (Shape::Random, Transport::Tcp) => Ok(self.unpadded(came)),
            (Shape::Random, Transport::Udp) => whole(came.first_chunk().copied(), came),
            (Shape::Printable, Transport::Tcp) => http::read_piece(way, came),
            (Shape::Printable, Transport::Udp) => whole(read_line(came), came),
            (Shape::Tls, Transport::Tcp) => tls::read_piece(way, came),
            (Shape::Tls, Transport::Udp) => whole(dtls::read_record(came), came),
            (Shape::Dns, transport) => dns::read_update(transport, way, came),
        }
    }

    /// How much noise follows these bytes, which begin with some that never come again.
    fn pad(&self, bytes: &[u8]) -> usize {
        let block = bytes.first_chunk().expect("questions, answers and pieces are longer");
        let Some(pads) = &self.pads else { return 0 };
        let [high, low, ..] = Ctr::glimpse(pads, block, 0);
        usize::from(u16::from_be_bytes([high, low])) % (MOST_PAD + 1)
    }

    fn padded(&self, bytes: &[u8]) -> Vec<u8> {
        [bytes, &noise(self.pad(bytes))].concat()
    }

    fn unpadded<const N: usize>(&self, came: &[u8]) -> Option<([u8; N], usize)> {
        let bytes: &[u8; N] = came.first_chunk()?;
        let used = N + self.pad(bytes);
        (used <= came.len()).then_some((*bytes, used))
    }
}

/// Looks for a question in the first bytes that came: its shape, the question, and how many bytes it
/// took, without the noise that [`Dress::rest_of`] tells of. `None` if there is none, or not yet all of
/// it.
#[must_use]
pub fn find(transport: Transport, first: &[u8]) -> Option<(Shape, Question, usize)> {
    let all = first.len();
    let dressed = match transport {
        Transport::Tcp => {
            let text = || http::read_request(first).map(|it| (Shape::Printable, it));
            let hello = || tls::read_hello(first).map(|it| (Shape::Tls, it));
            text().or_else(hello)
        }
        Transport::Udp => {
            let text = || read_line(first).map(|it| (Shape::Printable, (it, all)));
            let hello = || dtls::read_hello(first).map(|it| (Shape::Tls, (it, all)));
            text().or_else(hello)
        }
    };
    let query = || dns::read_query(transport, first).map(|it| (Shape::Dns, it));
    let used = if transport == Transport::Tcp { LENGTH } else { all };
    let bare = || Some((Shape::Random, (*first.first_chunk()?, used)));
    let (shape, (question, used)) = dressed.or_else(query).or_else(bare)?;
    Some((shape, question, used))
}

/// Whether these first bytes of a connection are part of a request or of a query that may become a
/// question. Of noise and hellos, [`crate::classify`] knows.
#[must_use]
pub fn may_become(first: &[u8]) -> bool {
    first.len() < LONGEST_QUESTION && (http::is_part(first) || dns::is_part(first))
}

fn whole<const N: usize>(read: Option<[u8; N]>, came: &[u8]) -> Read<N> {
    read.map(|read| Some((read, came.len()))).ok_or(Unlike)
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("at most a record").to_be_bytes()
}

fn noise(length: usize) -> Vec<u8> {
    let mut noise = vec![0; length];
    crate::fill_random(&mut noise);
    noise
}

/// A number from 0 to this one.
fn draw(most: usize) -> usize {
    usize::from(u16::from_be_bytes(crate::random())) % (most + 1)
}

/// With noise after them, at most so much.
fn filled(bytes: &[u8], most: usize) -> Vec<u8> {
    [bytes, &noise(draw(most.min(MOST_PAD)))].concat()
}

/// With letters that mean nothing after them, at most so many.
fn line(bytes: &[u8], most: usize) -> Vec<u8> {
    let mut line = letters::encode(bytes, draw(most.min(MOST_PAD)));
    line.push(b'\n');
    line
}

fn room_in_line(asked: &[u8], bytes: usize) -> usize {
    asked.len().saturating_sub(letters::length(bytes) + 1)
}

fn read_line<const N: usize>(came: &[u8]) -> Option<[u8; N]> {
    letters::decode(came.strip_suffix(b"\n")?)
}

#[cfg(test)]
mod tests;
