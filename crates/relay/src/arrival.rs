//! A connection until it is known whose it is: its first bytes, bounded in size and time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use wire::classify::MAX_FIRST;

use crate::decoy::Shadow;
use crate::sources::Source;
use crate::{Shared, pump};

/// How long the mask host is not yet asked along when no server would have answered anyway: most
/// hellos come in two segments, the second one just after the first.
const PAUSE: Duration = Duration::from_millis(100);

/// Somebody at the door, not yet known.
pub(crate) struct Arrival<'a> {
    pub shared: &'a Shared,
    pub source: Source,
    /// The port that was dialled.
    pub port: u16,
    pub accepted: Instant,
    pub stream: TcpStream,
    /// What has come so far. No memory is taken before the first byte is there.
    pub first: Vec<u8>,
    /// The mask host, asked along.
    pub shadow: Option<Shadow>,
    /// Whether that was done, with success or without.
    pub asked: bool,
}

/// The next bytes did not come: the caller was too slow, has said too much or is done, or the mask
/// host has answered what was said.
pub(crate) struct NoMore;

impl<'a> Arrival<'a> {
    pub(crate) fn new(shared: &'a Shared, stream: TcpStream, peer: SocketAddr, port: u16) -> Self {
        pump::tune(&stream);
        Self {
            shared,
            source: peer.ip().into(),
            port,
            accepted: Instant::now(),
            stream,
            first: Vec::new(),
            shadow: None,
            asked: false,
        }
    }

    /// Waits for more bytes. `too_early` says that no server would have answered those that are
    /// there.
    ///
    /// With a mask, the mask host hears what has come as soon as it could answer, and when it does
    /// answer, that is final: a stranger who stops in the middle meets it as if we were not there.
    pub(crate) async fn more(&mut self, too_early: bool) -> Result<(), NoMore> {
        if self.first.len() >= MAX_FIRST {
            return Err(NoMore);
        }
        if self.shared.mask.is_some() && !self.asked {
            if too_early {
                match timeout(PAUSE, read_some(&self.stream, &mut self.first)).await {
                    Ok(read) => return read.map_err(|_| NoMore),
                    Err(_still_nothing) => {}
                }
            }
            self.asked = true;
            self.shadow = Shadow::meet(self.shared, &self.stream, self.source).await;
        }
        let until = self.accepted + self.shared.limits.first_flight;
        timeout_at(until, self.read_or_answer()).await.map_err(|_| NoMore)?
    }

    async fn read_or_answer(&mut self) -> Result<(), NoMore> {
        let Some(shadow) = &mut self.shadow else {
            return read_some(&self.stream, &mut self.first).await.map_err(|_| NoMore);
        };
        shadow.tell(&self.first).await.map_err(|_| NoMore)?;
        tokio::select! {
            biased;
            read = read_some(&self.stream, &mut self.first) => read.map_err(|_| NoMore),
            () = shadow.answers() => Err(NoMore),
        }
    }
}

/// Appends what has arrived, waiting for it where there is nothing; an end is an error.
pub(crate) async fn read_some(stream: &TcpStream, into: &mut Vec<u8>) -> io::Result<()> {
    loop {
        stream.readable().await?;
        // A hello of today is about 1,800 bytes.
        into.reserve(2048);
        match stream.try_read_buf(into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
