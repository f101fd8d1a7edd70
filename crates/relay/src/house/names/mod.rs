//! DNS over HTTPS (RFC 8484), for people with a key: at `/TOKEN/dns-query`, over HTTP/1.1 and HTTP/2.
//!
//! ```text
//! token? ─> room for one more question? ─> the message ─> the machine's name servers ─> what is public
//!   └─ no ─> the website
//! ```
//!
//! The token comes before everything else, so no message of a stranger is read. Nothing of a question
//! is written down, and nothing but its name and type is passed on. What is counted: an HTTP connection
//! once, however much is asked on it, and the bytes of DNS messages.
//!
//! | module | what is in it |
//! |---|---|
//! | this one | HTTP: who asks, and how an answer is wrapped |
//! | `message` | DNS: questions and answers |
//! | `inside` | names and addresses that are nobody's business |
//! | `askers` | how many questions a key may have open; where they are counted |

mod askers;
mod inside;
mod message;

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use front::{Body, body};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout_at};
use wire::doorway::Doorway;

use super::{Visitor, refused};
pub(crate) use askers::{Askers, Questions};
use message::Answer;

/// What comes after the token in the path.
const PATH: &str = "/dns-query";
/// What a DNS message is called in HTTP.
const MESSAGE: &str = "application/dns-message";
/// The longest question, in bytes.
const LONGEST: usize = 4096;
/// How long an answer may take, the question's way here included.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer to a request that shows a key and is for this room.
pub(super) async fn enter(
    visitor: &Visitor,
    request: &mut Request<Body>,
) -> Option<Response<Body>> {
    let path = request.uri().path().strip_prefix('/')?;
    let (token, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let key = visitor.keyring().behind(Doorway::Dns, token)?;
    visitor.is_known();
    // Where people are taken to Telegram alone, no name is looked up for them.
    if rest != PATH || visitor.shared.gate().is_unvouched() {
        return Some(refused(request.method(), ""));
    }
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Some(refused(request.method(), "GET, POST"));
    }
    let Some(_place) = visitor.shared.askers.enter(key) else {
        return Some(refusal(StatusCode::TOO_MANY_REQUESTS));
    };
    let until = Instant::now() + PATIENCE;
    let question = match question(request, until).await {
        Ok(question) => question,
        Err(status) => return Some(refusal(status)),
    };
    let Some(answer) = message::answer(&question, &visitor.shared.names, until).await else {
        return Some(refusal(StatusCode::BAD_REQUEST));
    };
    let meter = visitor.questions.meter(visitor, key);
    meter.flow().add_up(question.len());
    meter.flow().add_down(answer.message.len());
    Some(wrapped(answer))
}

/// The message in a request.
async fn question(request: &mut Request<Body>, until: Instant) -> Result<Bytes, StatusCode> {
    if request.method() == Method::GET {
        let mut parts = request.uri().query().unwrap_or_default().split('&');
        let text = parts.find_map(|part| part.strip_prefix("dns="));
        let text = text.ok_or(StatusCode::BAD_REQUEST)?.trim_end_matches('=');
        if text.len() > BASE64URL_NOPAD.encode_len(LONGEST) {
            return Err(StatusCode::URI_TOO_LONG);
        }
        let message = BASE64URL_NOPAD.decode(text.as_bytes());
        return message.map(Bytes::from).map_err(|_| StatusCode::BAD_REQUEST);
    }
    // Read in any case: some clients take an answer that comes before their last word for an error.
    let message = match timeout_at(until, Limited::new(request.body_mut(), LONGEST).collect()).await
    {
        Ok(Ok(message)) => message.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Ok(Err(_)) => return Err(StatusCode::BAD_REQUEST),
        Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
    };
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case(MESSAGE) {
        Ok(message)
    } else {
        Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    }
}

fn wrapped(answer: Answer) -> Response<Body> {
    let mut response = Response::new(body::full(answer.message));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
    if let Ok(age) = HeaderValue::try_from(format!("max-age={}", answer.seconds)) {
        headers.insert(CACHE_CONTROL, age);
    }
    response
}

fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    response
}
