//! An app behind Telegram's WEB proxy: one stream of one session, by a WebSocket inside TLS.

use std::fmt;
use std::io::{self, Read, Write};

use data_encoding::BASE64;
use lab::{Error, Result};
use wire::webproxy::frame::{self, Kind, Piece, Reader};
use wire::webproxy::request::SUBPROTOCOL;
use wire::webproxy::session::{HELLO, WINDOW};
use wire::webproxy::{Capability, StreamId};

use super::http;
use super::message::PIECE;
use super::tls::TlsStream;
use crate::certificate::NAME;

/// From how many bytes on the relay is given credit for them.
const GRANT: u32 = WINDOW / 4;
/// A WebSocket's mask, which has to be there and hides nothing.
const MASK: [u8; 4] = [0x6a, 0x61, 0x72, 0x79];
const BINARY: u8 = 2;

/// An open stream.
pub(super) struct Web {
    tls: TlsStream,
    id: StreamId,
    messages: Messages,
    frames: Reader,
    /// How much may be sent.
    credit: u32,
    /// How much has come and was not granted anew.
    taken: u32,
    /// What came while credit was waited for.
    early: Vec<u8>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Web(..)")
    }
}

impl Web {
    /// Begins a session and opens a stream in it.
    pub(super) fn open(mut tls: TlsStream, capability: &Capability) -> Result<Self> {
        let body = format!(r#"{{"bridge":"{}"}}"#, capability.written());
        let request = format!(
            "POST /api/v1/session HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let body = http::ask(&mut tls, &request, 200)?;
        let token = body.split('"').nth(3).ok_or_else(|| bad("no session"))?;
        let mut key = [0; 16];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| bad("no randomness"))?;
        let request = format!(
            "GET /api/v1/ws HTTP/1.1\r\nHost: {NAME}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\
             Sec-WebSocket-Protocol: {SUBPROTOCOL}{token}\r\n\r\n",
            BASE64.encode(&key)
        );
        http::ask(&mut tls, &request, 101)?;
        let id = StreamId::new(1).ok_or_else(|| bad("no stream"))?;
        let mut opening = HELLO.to_vec();
        frame::put(&mut opening, Kind::Open, id, &[]);
        let (messages, frames) = (Messages::default(), Reader::default());
        let early = Vec::new();
        let mut web = Self { tls, id, messages, frames, credit: WINDOW, taken: 0, early };
        web.say(opening)?;
        Ok(web)
    }

    /// Sends frames as one message.
    fn say(&mut self, mut frames: Vec<u8>) -> io::Result<()> {
        let mut message = vec![0x80 | BINARY, 0x80 | 127];
        message.extend((frames.len() as u64).to_be_bytes());
        // Short ones have a short length, or they are none.
        if let Ok(short) = u16::try_from(frames.len()) {
            message.truncate(1);
            match u8::try_from(short) {
                Ok(length) if length < 126 => message.push(0x80 | length),
                _ => {
                    message.push(0x80 | 126);
                    message.extend(short.to_be_bytes());
                }
            }
        }
        message.extend(MASK);
        for (byte, mask) in frames.iter_mut().zip(MASK.into_iter().cycle()) {
            *byte ^= mask;
        }
        message.append(&mut frames);
        self.tls.write_all(&message)
    }

    /// Reads once, and leaves the stream's bytes at the beginning of the buffer.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let got = self.tls.read(buffer)?;
        if got == 0 {
            return Ok(None);
        }
        let (mut at, mut kept, mut pongs) = (0, 0, Vec::new());
        while at < got {
            at += self.messages.header(&buffer[at..got]);
            let end = at + self.messages.within(got - at);
            while at < end {
                let mut rest = &buffer[at..end];
                let piece = self.frames.next(&mut rest).map_err(io::Error::other)?;
                at = end - rest.len();
                let data = match piece {
                    Some(Piece::Data(_, bytes)) => bytes.len(),
                    Some(Piece::Control(Kind::Window, _, payload)) => {
                        let grant = payload.first_chunk().copied().map_or(0, u32::from_be_bytes);
                        self.credit = self.credit.saturating_add(grant);
                        0
                    }
                    Some(Piece::Control(Kind::Ping, of, payload)) => {
                        frame::put(&mut pongs, Kind::Pong, of, &payload);
                        0
                    }
                    Some(Piece::Control(Kind::Close | Kind::Bye, ..)) => return Ok(None),
                    Some(Piece::Control(..)) | None => 0,
                };
                buffer.copy_within(at - data..at, kept);
                kept += data;
            }
        }
        self.taken += u32::try_from(kept).unwrap_or(u32::MAX);
        if self.taken >= GRANT {
            frame::put(&mut pongs, Kind::Window, self.id, &self.taken.to_be_bytes());
            self.taken = 0;
        }
        if !pongs.is_empty() {
            self.say(pongs)?;
        }
        Ok(Some(kept))
    }
}

fn bad(what: &str) -> Error {
    Error::Unexpected(format!("WEB: {what}"))
}

impl Read for Web {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.early.is_empty() {
            let taken = buffer.len().min(self.early.len());
            buffer[..taken].copy_from_slice(&self.early[..taken]);
            self.early.drain(..taken);
            return Ok(taken);
        }
        loop {
            match self.take(buffer)? {
                None => return Ok(0),
                Some(0) => {}
                Some(kept) => return Ok(kept),
            }
        }
    }
}

impl Write for Web {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while self.credit == 0 {
            let mut buffer = [0; 4096];
            match self.take(&mut buffer)? {
                None => return Err(io::ErrorKind::BrokenPipe.into()),
                Some(kept) => self.early.extend(&buffer[..kept]),
            }
        }
        let most = PIECE.min(self.credit as usize);
        let bytes = &bytes[..bytes.len().min(most)];
        let mut data = Vec::with_capacity(frame::HEADER + bytes.len());
        frame::put(&mut data, Kind::Data, self.id, bytes);
        self.say(data)?;
        self.credit -= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a server's WebSocket messages begin and end.
#[derive(Default)]
struct Messages {
    header: Vec<u8>,
    left: u64,
}

impl Messages {
    /// How many of these bytes belong to a header, which may be cut.
    fn header(&mut self, bytes: &[u8]) -> usize {
        let mut read = 0;
        while self.left == 0 && read < bytes.len() {
            self.header.push(bytes[read]);
            read += 1;
            let length = match *self.header.as_slice() {
                [_, length @ 0..126] => u64::from(length),
                [_, 126, a, b] => u64::from(u16::from_be_bytes([a, b])),
                [_, 127, a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                _ => continue,
            };
            self.left = length;
            self.header.clear();
        }
        read
    }

    /// How many of the next so many bytes are of this message.
    fn within(&mut self, bytes: usize) -> usize {
        let within = usize::try_from(self.left).unwrap_or(bytes).min(bytes);
        self.left -= within as u64;
        within
    }
}
