//! One end of a connection that speaks obfuscated2: framed messages in, framed messages out. The
//! lab's datacentre and the lab's client are the two ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::ctr::Ctr;
use wire::mtproto::frame;
use wire::mtproto::obfuscated::Tag;
use wire::tls::record::{self, Unframer};

use crate::error::{Error, Result};

const PIECE: usize = 64 * 1024;

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
        loop {
            let unread = &self.inbox[self.read..];
            let found = frame::first(self.tag, unread);
            if let Some(found) = found.map_err(|error| Error::Unexpected(error.to_string()))? {
                let message = unread[found.clone()].to_vec();
                self.read += found.end;
                return Ok(Some(message));
            }
            if !self.read_more().await? {
                return Ok(None);
            }
        }
    }

    /// Sends one message, whose length is a multiple of four.
    pub(crate) async fn send(&mut self, message: &[u8]) -> Result {
        let mut frame = frame::put(self.tag, message, self.turn % (self.most_padding + 1));
        self.turn += 1;
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

    /// Reads once; whether there was something. An end is fine in between two frames only.
    async fn read_more(&mut self) -> Result<bool> {
        self.inbox.drain(..self.read);
        self.read = 0;
        let kept = self.inbox.len();
        self.inbox.resize(kept + PIECE, 0);
        let got = self.stream.read(&mut self.inbox[kept..]).await;
        let got = match got {
            Ok(0) if kept == 0 => {
                self.inbox.clear();
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
                let payload =
                    unframer.strip(fresh).map_err(|error| Error::Unexpected(error.to_string()))?;
                &mut fresh[..payload]
            }
        };
        self.incoming.apply(fresh);
        let fresh = fresh.len();
        self.received += fresh as u64;
        self.inbox.truncate(kept + fresh);
        Ok(true)
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
