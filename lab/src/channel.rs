//! One end of a connection that speaks obfuscated2: framed messages in, framed messages out. The
//! lab's datacentre and the lab's client are the two ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::ctr::Ctr;
use wire::mtproto::obfuscated::Tag;
use wire::tls::record::{self, Unframer};

use crate::error::{Error, Result};

const PIECE: usize = 64 * 1024;
/// Above what anyone here sends; a length beyond it means that the streams are out of step.
const MAX_FRAME: usize = 1 << 20;

/// How bytes are handed to the network.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So many at a time, each in a segment of its own.
    pub bytes: usize,
    /// And a rest after each.
    pub pause: Duration,
}

/// An open connection and its state.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) stream: TcpStream,
    pub(crate) tag: Tag,
    pub(crate) incoming: Ctr,
    pub(crate) outgoing: Ctr,
    /// Where both directions are dressed as TLS records.
    pub(crate) records: Option<Unframer>,
    /// Padded frames get 0 to this many bytes more, in turn.
    pub(crate) most_padding: usize,
    pub(crate) pace: Option<Pace>,
    turn: usize,
    /// Bytes of frames, as they are encrypted, in both directions.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    inbox: Vec<u8>,
    read: usize,
}

impl Channel {
    pub(crate) fn new(stream: TcpStream, tag: Tag, incoming: Ctr, outgoing: Ctr) -> Self {
        Self {
            stream,
            tag,
            incoming,
            outgoing,
            records: None,
            most_padding: 3,
            pace: None,
            turn: 0,
            sent: 0,
            received: 0,
            inbox: Vec::new(),
            read: 0,
        }
    }

    /// The next frame, padding included; `None` when the peer has ended between two frames.
    pub(crate) async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        // The highest bit of a length asks for a quick acknowledgement, which a datacentre owes to
        // encrypted messages alone.
        let first = match self.tag {
            Tag::Abridged => 1,
            Tag::Intermediate | Tag::Padded => 4,
        };
        if !self.fill(first).await? {
            return Ok(None);
        }
        let length = match *self.take(first) {
            [short] if short & 0x7f < 0x7f => usize::from(short & 0x7f) * 4,
            [_] => {
                self.need(3).await?;
                let rest = self.take(3);
                (usize::from(rest[2]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[0])) * 4
            }
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d & 0x7f]) as usize,
            _ => unreachable!("one byte or four were taken"),
        };
        if length > MAX_FRAME {
            return Err(Error::Unexpected(format!("a frame of {length} bytes")));
        }
        self.need(length).await?;
        Ok(Some(self.take(length).to_vec()))
    }

    /// Sends one message, whose length is a multiple of four.
    pub(crate) async fn send(&mut self, message: &[u8]) -> Result {
        let mut frame = Vec::with_capacity(message.len() + 32);
        let padding = match self.tag {
            Tag::Padded => self.turn % (self.most_padding + 1),
            Tag::Abridged | Tag::Intermediate => 0,
        };
        self.turn += 1;
        let length = u32::try_from(message.len() + padding).expect("a message is short");
        match self.tag {
            Tag::Abridged if length / 4 < 0x7f => frame.extend((length / 4).to_le_bytes().first()),
            Tag::Abridged => {
                frame.push(0x7f);
                frame.extend(&(length / 4).to_le_bytes()[..3]);
            }
            Tag::Intermediate | Tag::Padded => frame.extend(length.to_le_bytes()),
        }
        frame.extend_from_slice(message);
        frame.resize(frame.len() + padding, 0xa5);
        self.outgoing.apply(&mut frame);
        self.sent += frame.len() as u64;
        self.write(&frame).await
    }

    /// Sends encrypted bytes, dressed if the connection is.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result {
        if self.records.is_none() {
            return write_at(&mut self.stream, bytes, self.pace).await;
        }
        // The longest body that TDLib and Telegram Desktop send.
        for body in bytes.chunks(2878) {
            let framed = [&record::header(body.len())[..], body].concat();
            write_at(&mut self.stream, &framed, self.pace).await?;
        }
        Ok(())
    }

    async fn need(&mut self, length: usize) -> Result {
        if self.fill(length).await? {
            return Ok(());
        }
        Err(Error::Unexpected("the connection ended within a frame".to_owned()))
    }

    /// Reads until so many bytes are in the inbox; whether they are. An end is fine in between two
    /// frames only.
    async fn fill(&mut self, length: usize) -> Result<bool> {
        if self.read == self.inbox.len() || self.read > PIECE {
            self.inbox.drain(..self.read);
            self.read = 0;
        }
        while self.inbox.len() - self.read < length {
            let kept = self.inbox.len();
            self.inbox.resize(kept + PIECE, 0);
            let got = self.stream.read(&mut self.inbox[kept..]).await;
            let got = match got {
                Ok(0) if kept == self.read => {
                    self.inbox.truncate(kept);
                    return Ok(false);
                }
                Ok(0) => return Err(Error::Unexpected("the connection ended early".to_owned())),
                Ok(got) => got,
                Err(error) => return Err(error.into()),
            };
            let fresh = &mut self.inbox[kept..kept + got];
            let fresh = match &mut self.records {
                None => fresh,
                Some(unframer) => {
                    let payload = unframer
                        .strip(fresh)
                        .map_err(|error| Error::Unexpected(error.to_string()))?;
                    &mut fresh[..payload]
                }
            };
            self.incoming.apply(fresh);
            let fresh = fresh.len();
            self.received += fresh as u64;
            self.inbox.truncate(kept + fresh);
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> &[u8] {
        let from = self.read;
        self.read += length;
        &self.inbox[from..self.read]
    }
}

/// Writes at a pace.
pub(crate) async fn write_at(stream: &mut TcpStream, bytes: &[u8], pace: Option<Pace>) -> Result {
    let Some(Pace { bytes: piece, pause }) = pace else {
        return Ok(stream.write_all(bytes).await?);
    };
    for piece in bytes.chunks(piece) {
        stream.write_all(piece).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}
