//! What a request brings. Whatever is not ours is put back, so that the site gets it as it came.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use front::{Body, body};
use http::Request;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use tokio::task::yield_now;
use tokio::time::timeout;

/// How long somebody with a key may take for a body.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a body is asked for what has come along with its head: the server hands it over when it
/// is asked for, one turn later.
const TURNS: usize = 8;

/// The whole body of somebody with a key, left where it is if it is longer than `most` bytes.
pub(super) async fn read(request: &mut Request<Body>, most: usize) -> Option<Bytes> {
    timeout(PATIENCE, gather(request, most, usize::MAX)).await.ok()?
}

/// The same of somebody without: what has come with the head, and nothing that would have to be waited
/// for. A stranger must not see that their body was of interest.
pub(super) async fn read_now(request: &mut Request<Body>, most: usize) -> Option<Bytes> {
    let would_be_asked_for = request.headers().contains_key(http::header::EXPECT);
    let is_long = request.body().size_hint().exact().is_none_or(|length| length > most as u64);
    if would_be_asked_for || is_long {
        return None;
    }
    gather(request, most, TURNS).await
}

/// Takes a body out, for an answer.
pub(super) async fn take(request: &mut Request<Body>, most: usize) -> io::Result<Bytes> {
    let taken = std::mem::replace(request.body_mut(), body::empty());
    let whole = timeout(PATIENCE, Limited::new(taken, most).collect()).await?;
    Ok(whole.map_err(io::Error::other)?.to_bytes())
}

async fn gather(request: &mut Request<Body>, most: usize, turns: usize) -> Option<Bytes> {
    let mut had = Vec::new();
    let mut is_whole = false;
    let mut turn = 0;
    while !is_whole && turn < turns && had.len() <= most {
        let came = poll_fn(|cx| match Pin::new(request.body_mut()).poll_frame(cx) {
            Poll::Pending if turns != usize::MAX => Poll::Ready(None),
            other => other.map(Some),
        });
        match came.await {
            // Not here yet.
            None => {
                turn += 1;
                yield_now().await;
            }
            Some(None) => is_whole = true,
            Some(Some(Ok(frame))) => {
                had.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
            }
            Some(Some(Err(_))) => break,
        }
    }
    let had = Bytes::from(had);
    let rest = std::mem::replace(request.body_mut(), body::empty());
    *request.body_mut() = body::after(had.clone(), rest);
    (is_whole && had.len() <= most).then_some(had)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::{Body as HttpBody, Frame, SizeHint};
    use std::task::Context;

    /// Some pieces, each of which comes a turn after it was asked for, and then perhaps nothing.
    struct Slow {
        pieces: Vec<&'static [u8]>,
        ends: bool,
        was_asked: bool,
    }

    impl HttpBody for Slow {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            if self.pieces.is_empty() {
                return if self.ends { Poll::Ready(None) } else { Poll::Pending };
            }
            self.was_asked = !self.was_asked;
            if self.was_asked {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.pieces.remove(0))))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(5)
        }
    }

    fn request(pieces: &[&'static [u8]], ends: bool) -> Request<Body> {
        let body = Slow { pieces: pieces.to_vec(), ends, was_asked: false };
        Request::new(body.boxed_unsync())
    }

    #[tokio::test]
    async fn what_has_come_is_read_and_put_back_and_what_has_not_is_not_waited_for() {
        let mut whole = request(&[b"he", b"llo"], true);
        assert_eq!(read_now(&mut whole, 5).await.as_deref(), Some(&b"hello"[..]));
        let mut half = request(&[b"he"], false);
        assert_eq!(read_now(&mut half, 5).await, None);
        let first = half.into_body().frame().await.expect("a piece").expect("good");
        assert_eq!(first.into_data().ok().as_deref(), Some(&b"he"[..]));
        let mut asking = request(&[b"hello"], true);
        asking.headers_mut().insert("expect", "100-continue".parse().expect("a value"));
        assert_eq!(read_now(&mut asking, 5).await, None);
        for mut long in [request(&[b"hel", b"lo"], true), request(&[b"hello"], false)] {
            assert_eq!(read(&mut long, 4).await, None);
            let whole = take(&mut long, 3).await;
            assert!(whole.is_err(), "it was put back, and is too long: {whole:?}");
        }
    }
}
