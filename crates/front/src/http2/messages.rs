//! What requests and answers carry.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderValue, request, response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use super::broken;
use crate::{Body, neighbours};

/// A request's body, as it comes. What is dropped unread, nobody waits for.
pub(super) struct Coming {
    stream: RecvStream,
    /// What the request says of its length, as far as it has not come yet.
    length: Option<u64>,
}

impl Coming {
    pub(super) fn new(head: &request::Parts, stream: RecvStream) -> Self {
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        Self { stream, length: length.and_then(|length| length.parse().ok()) }
    }

    pub(super) fn boxed(self) -> Body {
        self.boxed_unsync()
    }
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(read) = ready!(self.stream.poll_data(cx)) else { return Poll::Ready(None) };
        let bytes = read.map_err(broken)?;
        // There is as much as this, or the stream has ended and nobody cares.
        let _ = self.stream.flow_control().release_capacity(bytes.len());
        self.length = self.length.map(|length| length.saturating_sub(bytes.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            // `h2` sees to it that it is so.
            Some(length) => SizeHint::with_exact(length),
            None => SizeHint::default(),
        }
    }
}

/// What an answer's head lacks, and what must not be there.
pub(super) fn complete(head: &mut response::Parts, body: &Body) {
    neighbours::unknown_to_http2(&mut head.headers);
    head.headers.entry(DATE).or_insert_with(|| {
        let now = httpdate::fmt_http_date(SystemTime::now());
        HeaderValue::try_from(now).unwrap_or_else(|_| HeaderValue::from_static(""))
    });
    if !body.is_end_stream()
        && let Some(length) = body.size_hint().exact()
    {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
}

/// Sends an answer's body, one piece at a time as the visitor takes them.
pub(super) async fn send(mut body: Body, mut to: SendStream<Bytes>) {
    let mut is_over = false;
    while !is_over {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = poll_fn(|cx| to.poll_reset(cx)) => return,
        };
        let sent = match frame.map(|frame| frame.map(Frame::into_data)) {
            None => {
                is_over = true;
                to.send_data(Bytes::new(), true)
            }
            Some(Err(_)) => {
                to.send_reset(Reason::INTERNAL_ERROR);
                return;
            }
            Some(Ok(Err(other))) => match other.into_trailers() {
                Ok(trailers) => {
                    is_over = true;
                    to.send_trailers(trailers)
                }
                Err(_) => Ok(()),
            },
            Some(Ok(Ok(bytes))) => {
                is_over = body.is_end_stream();
                if poll_fn(|cx| room(&mut to, cx)).await.is_err() {
                    return;
                }
                to.send_data(bytes, is_over)
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Waits until a piece may be sent: then it may be of any length. Asking for no more than a byte
/// leaves the connection's window to those streams that have something to send.
pub(super) fn room(to: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    to.reserve_capacity(1);
    while to.capacity() == 0 {
        match ready!(to.poll_capacity(cx)) {
            Some(room) => room.map_err(broken)?,
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
    }
    Poll::Ready(Ok(()))
}
