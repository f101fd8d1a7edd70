//! A tunnel's bytes, from a visitor to a server and back.
//!
//! As in [`pump`]: an idle tunnel holds no buffer. What is there is read into the thread's buffer, as
//! much of it as possible, and goes on from there in one piece; only what the other side does not take
//! at once is kept, and nothing more is read until it is gone.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::pump;
use crate::tally::Flow;

/// The most that is moved at a time: what TLS encrypts and writes at once. A visitor who is slow holds
/// a little more than twice as much, beside what HTTP/2 has room for of what they send themselves.
const PIECE: usize = 64 << 10;

/// Carries the same bytes both ways until both sides are done, one has failed, or one has outlived the
/// other by [`pump::HALF_OPEN`]. Adds to the flow what the other side has taken.
pub(super) async fn carry<V>(visitor: V, server: TcpStream, flow: Flow<'_>)
where
    V: AsyncRead + AsyncWrite + Unpin,
{
    let mut tunnel = Tunnel { visitor, server, up: Way::Free, down: Way::Free, alone: None };
    if poll_fn(|cx| tunnel.poll(cx, flow)).await.is_err() {
        pump::reset(&[&tunnel.server]);
    }
}

struct Tunnel<V> {
    visitor: V,
    server: TcpStream,
    up: Way,
    down: Way,
    /// Runs while one way is over and the other is not.
    alone: Option<Pin<Box<Sleep>>>,
}

impl<V: AsyncRead + AsyncWrite + Unpin> Tunnel<V> {
    fn poll(&mut self, cx: &mut Context<'_>, flow: Flow<'_>) -> Poll<io::Result<()>> {
        let Self { visitor, server, up, down, alone } = self;
        let up = up.poll(cx, visitor, server, flow.up)?;
        let down = down.poll(cx, server, visitor, flow.down)?;
        match (up, down) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => alone
                .get_or_insert_with(|| Box::pin(sleep(pump::HALF_OPEN)))
                .as_mut()
                .poll(cx)
                .map(Ok),
        }
    }
}

/// One direction.
enum Way {
    /// Everything that was read has been taken.
    Free,
    /// What was not taken at once, from this byte on, and how much all of it was.
    Held {
        rest: Vec<u8>,
        from: usize,
        all: usize,
        then: Option<io::Error>,
    },
    /// So much has been handed over, and some of it may still be on its way. What comes after it may
    /// be known already.
    Flushing(usize, Option<io::Error>),
    /// There will be no more.
    Ending,
    Ended,
}

/// What came of one turn.
enum Turn {
    Moved(usize, Option<io::Error>),
    Left { rest: Vec<u8>, all: usize, then: Option<io::Error> },
    End,
}

impl Way {
    fn poll<F, T>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
        carried: &AtomicU64,
    ) -> Poll<io::Result<()>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        loop {
            *self = match self {
                Self::Free => match ready!(pump::with_buffer(|b| turn(cx, b, from, to)))? {
                    Turn::Moved(all, then) => Self::Flushing(all, then),
                    Turn::Left { rest, all, then } => Self::Held { rest, from: 0, all, then },
                    Turn::End => Self::Ending,
                },
                Self::Held { rest, from, all, then } => {
                    while *from < rest.len() {
                        *from += some(ready!(Pin::new(&mut *to).poll_write(cx, &rest[*from..])))?;
                    }
                    Self::Flushing(*all, then.take())
                }
                Self::Flushing(all, then) => {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    carried.fetch_add(*all as u64, Ordering::Relaxed);
                    if let Some(error) = then.take() {
                        return Poll::Ready(Err(error));
                    }
                    Self::Free
                }
                Self::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    Self::Ended
                }
                Self::Ended => return Poll::Ready(Ok(())),
            };
        }
    }
}

/// Reads what is there, and hands over as much of it as is taken.
fn turn(
    cx: &mut Context<'_>,
    buffer: &mut [u8],
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> Poll<io::Result<Turn>> {
    let mut read = ReadBuf::new(&mut buffer[..PIECE]);
    let mut then = None;
    // Records and frames are smaller than what is worth a system call.
    while read.remaining() > 0 {
        let before = read.filled().len();
        match Pin::new(&mut *from).poll_read(cx, &mut read) {
            Poll::Pending if before == 0 => return Poll::Pending,
            Poll::Pending => break,
            Poll::Ready(Err(error)) if before == 0 => return Poll::Ready(Err(error)),
            // After something, which comes first: it may be told only once.
            Poll::Ready(Err(error)) => {
                then = Some(error);
                break;
            }
            Poll::Ready(Ok(())) if read.filled().is_empty() => return Poll::Ready(Ok(Turn::End)),
            // The end, after something: it comes again.
            Poll::Ready(Ok(())) if read.filled().len() == before => break,
            Poll::Ready(Ok(())) => {}
        }
    }
    let bytes = read.filled();
    let mut taken = 0;
    while taken < bytes.len() {
        match Pin::new(&mut *to).poll_write(cx, &bytes[taken..]) {
            Poll::Pending => {
                let rest = bytes[taken..].to_vec();
                return Poll::Ready(Ok(Turn::Left { rest, all: bytes.len(), then }));
            }
            Poll::Ready(written) => taken += some(written)?,
        }
    }
    Poll::Ready(Ok(Turn::Moved(taken, then)))
}

/// A write that takes nothing never will.
fn some(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        other => other,
    }
}
