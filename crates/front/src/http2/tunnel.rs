//! The stream behind a `CONNECT` (RFC 9113, section 8.5).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::broken;
use super::messages::room;

/// Goes with a request, and gives its tunnel when it has been answered.
#[derive(Clone)]
pub(crate) struct Begun(Arc<Mutex<Option<oneshot::Receiver<Tunnel>>>>);

/// The other end of it.
pub(super) struct Wish(oneshot::Sender<Tunnel>);

impl Begun {
    pub(super) fn new() -> (Self, Wish) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(receiver)))), Wish(sender))
    }

    /// The tunnel, if nobody else has it; an error when there will be none.
    pub(crate) async fn tunnel(self) -> io::Result<Tunnel> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        receiver.ok_or(io::ErrorKind::NotConnected)?.await.map_err(io::Error::other)
    }
}

impl Wish {
    /// Nobody may be there any more to take it: then it ends here.
    pub(super) fn grant(self, tunnel: Tunnel) {
        let _ = self.0.send(tunnel);
    }
}

/// Bytes both ways. Dropped before its end, the visitor sees it reset.
pub(crate) struct Tunnel {
    up: RecvStream,
    down: SendStream<Bytes>,
    /// What was read of the visitor's and did not fit.
    rest: Bytes,
    is_over: bool,
}

impl Tunnel {
    pub(super) fn new(up: RecvStream, down: SendStream<Bytes>) -> Self {
        Self { up, down, rest: Bytes::new(), is_over: false }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.rest.is_empty() {
            match ready!(this.up.poll_data(cx)) {
                Some(Ok(bytes)) => this.rest = bytes,
                // So do browsers end a tunnel that they are done with.
                Some(Err(error))
                    if matches!(error.reason(), Some(Reason::NO_ERROR | Reason::CANCEL)) =>
                {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let taken = this.rest.len().min(buf.remaining());
        buf.put_slice(&this.rest[..taken]);
        this.rest.advance(taken);
        // There is as much as this, or the stream has ended and nobody cares.
        let _ = this.up.flow_control().release_capacity(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(room(&mut self.down, cx))?;
        self.down.send_data(Bytes::copy_from_slice(buf), false).map_err(broken)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_over, true) {
            self.down.send_data(Bytes::new(), true).map_err(broken)?;
        }
        Poll::Ready(Ok(()))
    }
}
