//! A connection's first bytes, bounded in size and time.

use std::io;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use wire::classify::MAX_FIRST;

/// What has come so far. No memory is taken before the first byte is there.
#[derive(Default)]
pub(crate) struct First(Vec<u8>);

/// The next bytes did not come: the sender was too slow, has said too much, or is done.
pub(crate) struct NoMore;

impl First {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Waits for more bytes.
    pub(crate) async fn more(&mut self, stream: &TcpStream, until: Instant) -> Result<(), NoMore> {
        if self.0.len() >= MAX_FIRST {
            return Err(NoMore);
        }
        timeout_at(until, read_some(stream, &mut self.0))
            .await
            .map_err(|_| NoMore)?
            .map_err(|_| NoMore)
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
