//! A stream of which some was read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives the first bytes again before it goes on reading.
pub(crate) struct Rewound<S> {
    first: Vec<u8>,
    /// So many of them are given alone, before the others.
    piece: usize,
    given: usize,
    stream: S,
}

impl<S> Rewound<S> {
    pub(crate) fn new(first: Vec<u8>, stream: S) -> Self {
        Self { piece: first.len(), first, given: 0, stream }
    }

    /// The same, in two pieces, the first of which has so many bytes.
    pub(crate) fn in_pieces(first: Vec<u8>, piece: usize, stream: S) -> Self {
        Self { piece: piece.min(first.len()), ..Self::new(first, stream) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.given < this.first.len() {
            let end = if this.given < this.piece { this.piece } else { this.first.len() };
            let rest = &this.first[this.given..end];
            let taken = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..taken]);
            this.given += taken;
            if this.given == this.first.len() {
                // The connection may last for days.
                (this.first, this.given) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_came_first_is_given_alone_and_then_the_rest() {
        let mut stream = Rewound::in_pieces(b"abcdef".to_vec(), 2, &b"gh"[..]);
        let mut bytes = [0; 8];
        for piece in [&b"ab"[..], b"cdef", b"gh"] {
            let read = stream.read(&mut bytes).await.expect("it reads");
            assert_eq!(&bytes[..read], piece);
        }
    }
}
