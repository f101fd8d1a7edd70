//! A tunnel through an HTTP/2 proxy, one to a connection, with blocking calls.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::{Method, Request, StatusCode};
use lab::{Error, Result};
use tokio::io::BufReader;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{error::Elapsed, timeout};
use tokio_rustls::TlsConnector;

use super::target::Login;
use super::tls::Tls;

/// How many bytes Chromium lets a server send before it says anything: on a stream, on a connection.
/// Source: `net/spdy/spdy_session.h`, `kStreamRecvWindowSize` and `kSessionRecvWindowSize` of
/// `net/http/http_network_session.cc`.
const STREAM_WINDOW: u32 = 6 << 20;
const CONNECTION_WINDOW: u32 = 15 << 20;
/// How much is read from the kernel at a time.
const READ: usize = 64 << 10;

/// An open tunnel. Its connection moves only while somebody reads or writes.
pub(super) struct Tunnel {
    outgoing: SendStream<Bytes>,
    incoming: RecvStream,
    /// What has come and was not read yet.
    left: Bytes,
    patience: Duration,
    // Last, so that streams end before what carries them.
    runtime: Runtime,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel(..)")
    }
}

impl Tunnel {
    /// Asks for it on a connection. Nothing may take longer than `patience`.
    pub(super) fn open(
        stream: TcpStream,
        tls: &Tls,
        login: Option<&Login>,
        to: SocketAddr,
        patience: Duration,
    ) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        stream.set_nonblocking(true)?;
        let opening = async { timeout(patience, ask(stream, tls, login, to)).await? };
        let (outgoing, incoming) = runtime.block_on(opening)?;
        Ok(Self { outgoing, incoming, left: Bytes::new(), patience, runtime })
    }
}

async fn ask(
    stream: TcpStream,
    tls: &Tls,
    login: Option<&Login>,
    to: SocketAddr,
) -> Result<(SendStream<Bytes>, RecvStream)> {
    let stream = BufReader::with_capacity(READ, tokio::net::TcpStream::from_std(stream)?);
    let connector = TlsConnector::from(std::sync::Arc::clone(&tls.config));
    let stream = connector.connect(tls.name.clone(), stream).await?;
    let (mut requests, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(stream)
        .await
        .map_err(|error| bad(&error))?;
    // Ends with the runtime.
    tokio::spawn(connection);
    let mut request = Request::builder().method(Method::CONNECT).uri(to.to_string());
    if let Some(login) = login {
        request = request.header("proxy-authorization", login.basic());
    }
    let request = request.body(()).map_err(|error| bad(&error))?;
    let (answer, outgoing) = requests.send_request(request, false).map_err(|error| bad(&error))?;
    let answer = answer.await.map_err(|error| bad(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(bad(&answer.status()));
    }
    Ok((outgoing, answer.into_body()))
}

fn bad(error: &dyn ToString) -> Error {
    Error::Unexpected(format!("HTTP/2: {}", error.to_string()))
}

impl Read for Tunnel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            let Self { incoming, runtime, patience, .. } = self;
            let next = async { timeout(*patience, incoming.data()).await };
            match runtime.block_on(next).map_err(late)? {
                None => return Ok(0),
                Some(bytes) => self.left = bytes.map_err(io::Error::other)?,
            }
            let had = self.left.len();
            self.incoming.flow_control().release_capacity(had).map_err(io::Error::other)?;
        }
        let taken = self.left.split_to(buffer.len().min(self.left.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

impl Write for Tunnel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { outgoing, runtime, .. } = self;
        let patience = self.patience;
        runtime.block_on(async {
            outgoing.reserve_capacity(bytes.len());
            let room = std::future::poll_fn(|cx| outgoing.poll_capacity(cx));
            let room = timeout(patience, room).await.map_err(late)?;
            let ended = || io::Error::from(io::ErrorKind::BrokenPipe);
            let room = room.ok_or_else(ended)?.map_err(io::Error::other)?;
            let bytes = Bytes::copy_from_slice(&bytes[..room.min(bytes.len())]);
            let taken = bytes.len();
            outgoing.send_data(bytes, false).map_err(io::Error::other)?;
            // The connection's turn: nobody may call again for long.
            tokio::task::yield_now().await;
            Ok(taken)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn late(_: Elapsed) -> io::Error {
    io::ErrorKind::WouldBlock.into()
}
