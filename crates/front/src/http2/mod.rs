//! HTTP/2 on a connection: requests in, answers and tunnels out.
//!
//! Straight on `h2`, and not by way of hyper's server: what a visitor may send before we have read it
//! depends on who they are, and tunnels need neither a task nor a queue of their own.
//!
//! | module | what is in it |
//! |---|---|
//! | `messages` | what requests and answers carry |
//! | `tunnel` | the stream behind a `CONNECT` |
//! | `windows` | how much may come up that nobody has read |

mod messages;
mod tunnel;
mod windows;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, server};
use http::{Method, Request, Response};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::activity::Activity;
use crate::http_server::Answering;
use crate::{Body, Limits, body};
use messages::Coming;
pub(crate) use tunnel::{Begun, Tunnel};
use windows::Share;
pub(crate) use windows::Windows;

/// What waits for a reader, for each stream; a tunnel's piece comes on top.
const SENDING: usize = 16 << 10;
/// Streams that are reset before we have begun with them (CVE-2023-44487), and those that we reset
/// because of errors: more of them end the connection.
const RESETS: usize = 20;
const ERRORS: usize = 128;

/// A connection, to be awaited.
pub(crate) struct Connection<S, F> {
    h2: server::Connection<S, Bytes>,
    /// The answer to a request.
    answering: Arc<F>,
    activity: Arc<Activity>,
    windows: Arc<Windows>,
    /// There from the log-in on, with how large the connection's window is.
    share: Option<(Share, u32)>,
}

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Body>) -> Answering + Send + Sync + 'static,
{
    /// Hears a visitor's first words.
    pub(crate) async fn open(
        stream: S,
        answering: F,
        activity: &Arc<Activity>,
        windows: &Arc<Windows>,
        limits: &Limits,
    ) -> Result<Self, h2::Error> {
        let h2 = server::Builder::new()
            .initial_window_size(windows::FIRST)
            .initial_connection_window_size(windows::FIRST)
            .max_frame_size(16 << 10)
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes / 2).unwrap_or(16 << 10))
            .max_send_buffer_size(SENDING)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(Some(ERRORS))
            .handshake(stream)
            .await?;
        let (activity, windows) = (Arc::clone(activity), Arc::clone(windows));
        Ok(Self { h2, answering: Arc::new(answering), activity, windows, share: None })
    }

    /// Takes no more requests; what is under way goes on.
    pub(crate) fn ask_to_end(self: Pin<&mut Self>) {
        self.get_mut().h2.graceful_shutdown();
    }

    /// Lets a key holder send as much as there is room for now; whether that has changed.
    fn widen(&mut self) -> bool {
        if !self.activity.is_known() {
            return false;
        }
        let (share, now) = self.share.get_or_insert_with(|| (self.windows.join(), windows::FIRST));
        let size = share.size();
        // An error means that the last change is not acknowledged yet: when it is, then.
        if size == *now || self.h2.set_initial_window_size(windows::of_a_stream(size)).is_err() {
            return false;
        }
        self.h2.set_target_window_size(size);
        *now = size;
        true
    }
}

impl<S, F> Future for Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Body>) -> Answering + Send + Sync + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, answer)))) => {
                    tokio::spawn(serve(Arc::clone(&self.answering), request, answer));
                }
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                // An answer to whoever logs in wakes us, and so does what they acknowledge.
                Poll::Pending if self.widen() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Serves one request, until its answer is sent or it has become a tunnel.
async fn serve<F>(answering: Arc<F>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>)
where
    F: Fn(Request<Body>) -> Answering,
{
    let (mut head, stream) = request.into_parts();
    let is_tunnel = head.method == Method::CONNECT;
    let (request, wish) = if is_tunnel {
        let (begun, wish) = Begun::new();
        head.extensions.insert(begun);
        (Request::from_parts(head, body::empty()), Some((wish, stream)))
    } else {
        let coming = Coming::new(&head, stream);
        (Request::from_parts(head, coming.boxed()), None)
    };
    let answer = tokio::select! {
        // Nobody waits for it any more, else.
        answer = answering(request) => answer,
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    let Ok(answer) = answer;
    let (mut head, body) = answer.into_parts();
    messages::complete(&mut head, &body);
    let wish = wish.filter(|_| head.status.is_success());
    let is_over = wish.is_none() && body.is_end_stream();
    let Ok(down) = respond.send_response(Response::from_parts(head, ()), is_over) else { return };
    match wish {
        Some((wish, up)) => wish.grant(Tunnel::new(up, down)),
        None if is_over => {}
        None => messages::send(body, down).await,
    }
}

/// As what reads and writes streams knows it.
fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        // It says so.
        return error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
    }
    match error.reason() {
        Some(Reason::STREAM_CLOSED) => io::Error::new(io::ErrorKind::BrokenPipe, error),
        _ => io::Error::other(error),
    }
}
