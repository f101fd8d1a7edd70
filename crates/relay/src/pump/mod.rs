//! Bytes from one side to the other, with as little as possible in between.
//!
//! | from | to | how |
//! |---|---|---|
//! | datacentre | app, plain or padded | the same bytes (fast mode): [`splice`], in the kernel |
//! | datacentre | app in fake TLS | the same bytes in records: read with gaps for the headers, one write |
//! | app | datacentre | decrypted and encrypted anew in a thread's buffer |
//! | app | the relay's hub, and back | without the app's encryption, and with it, in a thread's buffer |
//! | stranger | mask host, and back | the same bytes: [`splice`] |
//! | browser or app | any server, and back | the same bytes: [`splice`]; over TLS in `house` |
//!
//! An idle connection holds no buffer and no pipe: they belong to the thread, and are borrowed from
//! the moment when bytes are there until they are written. Only what the other side does not take at
//! once is kept, and nothing more is read until it is gone: that is all the backpressure there is.

mod copy;
mod forward;
mod splice;

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::ctr::Ctr;
use wire::tls::record::{BadRecord, Unframer};

use crate::tally::{Flow, Meter};
pub(crate) use copy::with_buffer;
pub(crate) use forward::forward;

/// How long one direction may go on when the other has ended.
pub(crate) const HALF_OPEN: Duration = Duration::from_secs(30);

/// A person's way to Telegram.
pub(crate) struct Telegram {
    pub client: TcpStream,
    pub upstream: TcpStream,
    pub upward: Upward,
    pub meter: Arc<Meter>,
}

/// What changes an app's bytes into the datacentre's.
pub(crate) struct Upward {
    /// Takes off the app's encryption.
    pub from_client: Ctr,
    /// Puts on the datacentre's.
    pub to_server: Ctr,
    /// Takes off the records of fake TLS, if the app wears it.
    pub dress: Option<Unframer>,
}

impl Upward {
    /// Changes bytes in place; tells how many are left of them, at the front.
    pub(crate) fn change(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length =
            undress(&mut self.dress, &mut self.from_client, bytes).map_err(io::Error::other)?;
        self.to_server.apply(&mut bytes[..length]);
        Ok(length)
    }
}

impl Telegram {
    /// Carries bytes until both sides are done.
    pub(crate) async fn run(&mut self) {
        let Self { client, upstream, upward, meter } = self;
        let flow = meter.flow();
        let is_dressed = upward.dress.is_some();
        let up = copy::transformed(client, upstream, flow.up, |bytes| upward.change(bytes));
        // Whichever way it ends, both sockets are closed with it.
        let _ = if is_dressed {
            let down = copy::in_records(upstream, client, flow.down, |_| {});
            tokio::pin!(up, down);
            both(up, down).await
        } else {
            let down = splice::all(upstream, client, u64::MAX, flow.down);
            tokio::pin!(up, down);
            both(up, down).await
        };
    }
}

/// A person's way to the relay's hub: what the app says is Telegram's only on the outside.
pub(crate) struct Inside {
    pub client: TcpStream,
    pub hub: TcpStream,
    /// Takes off the app's encryption.
    pub from_client: Ctr,
    /// Puts it on.
    pub to_client: Ctr,
    /// Takes off the records of fake TLS, if the app wears it.
    pub dress: Option<Unframer>,
    pub meter: Arc<Meter>,
}

impl Inside {
    /// Carries bytes until both sides are done.
    pub(crate) async fn run(&mut self) {
        let Self { client, hub, from_client, to_client, dress, meter } = self;
        let flow = meter.flow();
        let is_dressed = dress.is_some();
        let up = copy::transformed(client, hub, flow.up, |bytes| {
            undress(dress, from_client, bytes).map_err(io::Error::other)
        });
        // Whichever way it ends, both sockets are closed with it.
        let _ = if is_dressed {
            let down = copy::in_records(hub, client, flow.down, |bytes| to_client.apply(bytes));
            tokio::pin!(up, down);
            both(up, down).await
        } else {
            let down = copy::transformed(hub, client, flow.down, |bytes| {
                to_client.apply(bytes);
                Ok(bytes.len())
            });
            tokio::pin!(up, down);
            both(up, down).await
        };
    }
}

/// What an app has sent, without records and encryption, at the front of `bytes`; tells how much.
pub(crate) fn undress(
    dress: &mut Option<Unframer>,
    from_client: &mut Ctr,
    bytes: &mut [u8],
) -> Result<usize, BadRecord> {
    let length = match dress {
        Some(records) => records.strip(bytes)?,
        None => bytes.len(),
    };
    from_client.apply(&mut bytes[..length]);
    Ok(length)
}

/// Carries the same bytes from one side to the other and back, at most `most` each way, unless it
/// went wrong already. However one side ends, the other sees the same: an end as an end, a reset as a
/// reset.
pub(crate) async fn bridge(
    one: &TcpStream,
    other: &TcpStream,
    so_far: io::Result<()>,
    most: u64,
    flow: Flow<'_>,
) {
    let ended = match so_far {
        Ok(()) => {
            let up = splice::all(one, other, most, flow.up);
            let down = splice::all(other, one, most, flow.down);
            tokio::pin!(up, down);
            both(up, down).await
        }
        Err(error) => Err(error),
    };
    if ended.is_err() {
        reset(&[one, other]);
    }
}

/// Carries what is left of one request's body, of which `body` bytes are to come, and the whole
/// answer. Nothing that a client sends after its body goes on: that would be for somebody else.
pub(crate) async fn fetch(client: &TcpStream, server: &TcpStream, body: u64, flow: Flow<'_>) {
    let up = async {
        splice::some(client, server, body, flow.up).await?;
        end_of(client).await?;
        finish(server)
    };
    let down = splice::all(server, client, u64::MAX, flow.down);
    tokio::pin!(up, down);
    if both(up, down).await.is_err() {
        reset(&[client, server]);
    }
}

/// Waits for the end of a stream from which nothing more is read.
pub(crate) async fn end_of(stream: &TcpStream) -> io::Result<()> {
    let mut byte = [0];
    match poll_fn(|context| stream.poll_peek(context, &mut ReadBuf::new(&mut byte))).await? {
        0 => Ok(()),
        _ => std::future::pending().await,
    }
}

pub(crate) fn reset(sides: &[&TcpStream]) {
    for side in sides {
        let _ = SockRef::from(*side).set_linger(Some(Duration::ZERO));
    }
}

/// Runs both directions until both are done, one has failed, or one has outlived the other by
/// [`HALF_OPEN`]. They are pinned where they were made: moved in here, they would be kept twice. The
/// timer is made when it is needed: most of the time nobody has ended.
async fn both(
    mut up: impl Future<Output = io::Result<()>> + Unpin,
    mut down: impl Future<Output = io::Result<()>> + Unpin,
) -> io::Result<()> {
    tokio::select! {
        ended = &mut up => {
            ended?;
            Box::pin(timeout(HALF_OPEN, down)).await.unwrap_or(Ok(()))
        }
        ended = &mut down => {
            ended?;
            Box::pin(timeout(HALF_OPEN, up)).await.unwrap_or(Ok(()))
        }
    }
}

/// Waits until there may be something to read. One task at a time waits for a socket in this way; so
/// it needs a ninth of what `TcpStream::readable` needs, which keeps a list of those who wait.
pub(crate) async fn readable(from: &TcpStream) -> io::Result<()> {
    poll_fn(|context| from.poll_read_ready(context)).await
}

/// The same for writing.
async fn writable(to: &TcpStream) -> io::Result<()> {
    poll_fn(|context| to.poll_write_ready(context)).await
}

/// Appends what has arrived, waiting for it where there is nothing; an end is an error. May be
/// broken off without losing anything.
pub(crate) async fn read_some(from: &TcpStream, into: &mut Vec<u8>) -> io::Result<()> {
    loop {
        readable(from).await?;
        match try_read(from, into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Appends what is there now; tells how much, 0 at the end.
pub(crate) fn try_read(from: &TcpStream, into: &mut Vec<u8>) -> io::Result<usize> {
    // A hello of today is about 1,800 bytes.
    into.reserve(2048);
    from.try_read_buf(into)
}

/// Writes as much of `bytes` as the peer takes, waiting until it takes some; tells how much. May be
/// broken off: then nothing was written.
pub(crate) async fn write_some(to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        writable(to).await?;
        match to.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// Writes all of `bytes`, waiting where the peer does not take them.
pub(crate) async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[write_some(to, bytes).await?..];
    }
    Ok(())
}

/// Tells the peer that nothing more will come.
pub(crate) fn finish(to: &TcpStream) -> io::Result<()> {
    match SockRef::from(to).shutdown(std::net::Shutdown::Write) {
        // Gone altogether already.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}

/// What every connection has: no waiting for more bytes to send along, and a peer that went away
/// without a word is noticed within about two minutes. Those that a listener accepts have it from the
/// listener, which spares them six calls each.
pub(crate) fn tune(socket: &impl AsFd) {
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    // A socket that does not know these options works without them.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(Duration::from_secs(120)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn an_accepted_connection_has_what_its_listener_was_given() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        tune(&listener);
        let address = listener.local_addr().expect("an address");
        let _caller = TcpStream::connect(address).await.expect("it listens");
        let (stream, _) = listener.accept().await.expect("somebody calls");
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().expect("known") && socket.keepalive().expect("known"));
        assert_eq!(socket.tcp_keepalive_time().expect("known"), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().expect("known"), Duration::from_secs(15));
        assert_eq!(socket.tcp_keepalive_retries().expect("known"), 4);
        let patience = socket.tcp_user_timeout().expect("known");
        assert_eq!(patience, Some(Duration::from_secs(120)));
    }
}
