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
