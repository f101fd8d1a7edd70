//! The seam for what people with a key find behind the site.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::activity::Guest;
use crate::{Body, http2};

/// What people with a key find. It is asked about every request over TLS before the site is.
///
/// One value serves one connection, so it can hold what belongs to that: who comes from where, which
/// port they dialled, a place among those that are counted.
pub trait Rooms: Send + Sync + 'static {
    /// The answer to a request that shows a key; `None` leaves it to the site, which must not be able
    /// to be told from one that was never asked: leave the request as it came, take the same time.
    ///
    /// The body may be taken out of the request only for an answer. For `CONNECT` (HTTP/1.1 and
    /// HTTP/2) and `Upgrade` (HTTP/1.1), [`Tunnel::begin`] gives the stream behind it.
    fn enter(
        &self,
        request: &mut Request<Body>,
    ) -> impl Future<Output = Option<Response<Body>>> + Send;
}

/// There are no rooms: everybody sees the site.
#[derive(Clone, Copy, Debug)]
pub struct NoRooms;

impl Rooms for NoRooms {
    async fn enter(&self, _: &mut Request<Body>) -> Option<Response<Body>> {
        None
    }
}

/// The stream into which a request turns once it has been answered with 200 (`CONNECT`) or 101
/// (`Upgrade`).
///
/// On HTTP/1.1 it outlives [`Front::serve`](crate::Front::serve); on HTTP/2 the connection lasts as
/// long as there are tunnels in it.
pub struct Tunnel {
    stream: Stream,
    _guest: Option<Guest>,
}

enum Stream {
    Http1(TokioIo<Upgraded>),
    Http2(http2::Tunnel),
}

impl Tunnel {
    /// To be called before the answer is returned, and awaited in a task of its own: the stream is
    /// there when the answer has been sent, and never if the visitor goes away before.
    ///
    /// # Errors
    /// The future's: when the visitor went away, or the answer was another one.
    pub fn begin<B>(
        request: &mut Request<B>,
    ) -> impl Future<Output = io::Result<Self>> + Send + use<B> {
        let guest = request.extensions_mut().remove::<Guest>();
        let http2 = request.extensions_mut().remove::<http2::Begun>();
        let http1: OnUpgrade = hyper::upgrade::on(request);
        async move {
            let stream = match http2 {
                Some(begun) => Stream::Http2(begun.tunnel().await?),
                None => Stream::Http1(TokioIo::new(http1.await.map_err(io::Error::other)?)),
            };
            Ok(Self { stream, _guest: guest })
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Http1(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Http2(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Http1(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Http2(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Http1(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Http2(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Http1(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Http2(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
