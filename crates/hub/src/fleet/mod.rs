//! Relays' side of HTTP: they ask, the hub answers.
//!
//! | `POST` below the room | body | answer |
//! |---|---|---|
//! | `/enrol` | [`Enrolment`] | 200 and [`wire::fleet::Enrolled`] |
//! | `/heartbeat` | [`wire::fleet::Heartbeat`] | 200 and a [`wire::fleet::SignedOrder`], at once where there is news; 204 when there was none for [`HELD`] |
//!
//! What is refused is answered by 403 and a line that says why, for the volunteer. Whoever gets so far
//! knows the room; everybody else has met the website.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use front::{Body, body};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use wire::fleet::Enrolment;

use crate::clerk::Clerk;
use crate::watch::Watch;

/// How long a heartbeat is held where there is no news.
pub const HELD: Duration = Duration::from_secs(10);

/// Answers relays.
pub struct Fleet {
    clerk: Clerk,
    watch: Arc<Watch>,
}

impl Fleet {
    /// For one hub.
    #[must_use]
    pub fn new(clerk: Clerk, watch: Arc<Watch>) -> Self {
        Self { clerk, watch }
    }

    /// The answer to what a relay at this address says; `None` when the path is none of theirs.
    pub async fn answer(
        &self,
        method: &Method,
        path: &str,
        said: &Bytes,
        from: IpAddr,
    ) -> Option<Response<Body>> {
        let is_enrolment = match path {
            "/enrol" => true,
            "/heartbeat" => false,
            _ => return None,
        };
        if method != Method::POST {
            let mut answer = bare(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Some(answer);
        }
        Some(if is_enrolment {
            self.enrol(said, from).await
        } else {
            self.heartbeat(said, from).await
        })
    }

    async fn enrol(&self, said: &[u8], from: IpAddr) -> Response<Body> {
        let enrolment = match Enrolment::read(said) {
            Ok(enrolment) => enrolment,
            Err(refused) => return why(&refused),
        };
        match self.clerk.enrol(&enrolment, from).await {
            Ok(enrolled) => bytes(enrolled.write()),
            Err(refused) => why(&refused),
        }
    }

    async fn heartbeat(&self, said: &[u8], from: IpAddr) -> Response<Body> {
        let heartbeat = match self.clerk.heartbeat(said, from).await {
            Ok(heartbeat) => heartbeat,
            Err(refused) => return why(&refused),
        };
        self.watch.heard(&heartbeat);
        match self.clerk.order(&heartbeat, HELD).await {
            Some(order) => bytes(order.bytes().to_vec()),
            None => bare(StatusCode::NO_CONTENT),
        }
    }
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn bytes(bytes: Vec<u8>) -> Response<Body> {
    let mut answer = bare(StatusCode::OK).map(|_| body::full(bytes));
    let kind = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn why(refused: &dyn std::error::Error) -> Response<Body> {
    let text = format!("{refused}\n");
    let mut answer = bare(StatusCode::FORBIDDEN).map(|_| body::full(text));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
