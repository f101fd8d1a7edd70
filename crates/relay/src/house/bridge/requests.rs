//! Frames in plain requests, where a WebSocket does not get through.

use std::sync::Arc;

use bytes::Bytes;
use front::{Body, body};
use http::{Request, Response};
use tokio::time::{Instant, timeout_at};
use wire::webproxy::carrier::{Batch, MAX_DOWN, MAX_UP, POLL};
use wire::webproxy::request::{Answer, Dialect};

use super::session::{Over, Session, Told};
use super::{bodies, response, with_body};

/// Frames from the app. Only one such request is read at a time, the last one that has come, and what it
/// brings is bounded.
pub(super) async fn up(
    session: &Arc<Session>,
    request: &mut Request<Body>,
    sequence: u64,
    dialect: Dialect,
) -> Option<Response<Body>> {
    let take = async {
        if !session.may_receive() {
            return Answer::later();
        }
        let Ok(frames) = bodies::take(request, MAX_UP).await else { return Answer::later() };
        match session.take(sequence, &frames) {
            Ok(()) => Answer::taken(dialect, sequence),
            Err(Over) => Answer::broken(),
        }
    };
    Some(response(session.in_turn(take).await.unwrap_or_else(Answer::later)))
}

/// Frames for the app, as soon as there are some.
pub(super) async fn down(
    session: &Arc<Session>,
    arrived: u64,
    dialect: Dialect,
) -> Option<Response<Body>> {
    let until = Instant::now() + POLL;
    let mut news = session.news();
    let asked = session.ask();
    loop {
        news.mark_unchanged();
        match session.tell(asked, arrived, MAX_DOWN) {
            Told::Nothing => {}
            Told::Overtaken => break,
            Told::Batch(Batch { number, frames }) => {
                let Answer { status, headers, .. } = Answer::batch(dialect, number, Vec::new());
                let frames = body::full(Bytes::from_owner(Kept(frames)));
                return Some(with_body(status, headers, frames));
            }
            Told::Broken => return Some(response(Answer::broken())),
            Told::Over => return None,
        }
        if timeout_at(until, news.changed()).await.is_err() {
            break;
        }
    }
    Some(response(Answer::nothing(dialect, arrived)))
}

/// A batch that is sent while it is kept in case that it is lost.
struct Kept(Arc<Vec<u8>>);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
