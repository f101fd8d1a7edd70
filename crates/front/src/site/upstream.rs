//! A website behind this one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{ALT_SVC, CONTENT_LENGTH, HOST, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use rustls::ClientConfig;

use crate::http_server::status;
use crate::neighbours;
use crate::notices::{Notice, Notices};
use crate::outgoing::Origin;
use crate::{Body, Limits};

/// How often it is said that it does not answer, at most.
const SAID_ONCE_IN: Duration = Duration::from_secs(60);

/// A website behind this one. It learns nothing of who visits.
pub(crate) struct Upstream {
    origin: Arc<Origin>,
    /// `https://host:port`, as its answers may say it.
    base: String,
    host: HeaderValue,
    /// What goes before every path, without a slash at the end.
    below: String,
    request_bytes: u64,
    answer_bytes: u64,
    notices: Notices,
    said: Mutex<Option<Instant>>,
}

impl Upstream {
    pub(crate) fn new(
        url: &Uri,
        trust: &Arc<ClientConfig>,
        limits: &Limits,
        notices: Notices,
    ) -> Option<Self> {
        let origin = Origin::of(url, trust, limits.upstream_time)?;
        let authority = url.authority()?;
        // A password would be for us and not for everybody.
        if authority.as_str().contains('@') {
            return None;
        }
        Some(Self {
            origin: Arc::new(origin),
            base: format!("{}://{authority}", url.scheme_str()?),
            host: HeaderValue::try_from(authority.as_str()).ok()?,
            below: url.path().trim_end_matches('/').to_owned(),
            request_bytes: limits.upstream_request,
            answer_bytes: limits.upstream_answer,
            notices,
            said: Mutex::default(),
        })
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let most = self.request_bytes;
        if request.body().size_hint().lower() > most {
            return status(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let Some(request) = self.translate(request) else {
            return status(StatusCode::BAD_REQUEST);
        };
        let sent = if *request.method() == Method::CONNECT {
            // It hears of it and may say what it thinks; a tunnel there will not be.
            self.origin.send_anew(request).await.map(|(_, answer)| answer).and_then(|answer| {
                let opened = answer.status().is_success();
                if opened { Err(io::Error::other("it opens tunnels")) } else { Ok(answer) }
            })
        } else {
            self.origin.send(request).await
        };
        match sent {
            Ok(answer) => self.pass_on(answer),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.say(&error);
                status(StatusCode::GATEWAY_TIMEOUT)
            }
            Err(error) => {
                self.say(&error);
                status(StatusCode::BAD_GATEWAY)
            }
        }
    }

    /// The request as it is sent on, in HTTP/1.1's form.
    fn translate(&self, request: Request<Body>) -> Option<Request<Body>> {
        let (mut parts, body) = request.into_parts();
        if parts.method != Method::CONNECT {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let at = if path == "*" { path.to_owned() } else { format!("{}{path}", self.below) };
            parts.uri = at.parse().ok()?;
        }
        neighbours::leave(&mut parts);
        parts.headers.insert(HOST, self.host.clone());
        let most = usize::try_from(self.request_bytes).unwrap_or(usize::MAX);
        let body = if body.is_end_stream() {
            crate::body::empty()
        } else {
            Limited::new(body, most).map_err(io::Error::other).boxed_unsync()
        };
        Some(Request::from_parts(parts, body))
    }

    fn pass_on(&self, answer: Response<hyper::body::Incoming>) -> Response<Body> {
        let (mut parts, body) = answer.into_parts();
        parts.version = Version::HTTP_11;
        neighbours::forget(&mut parts.headers);
        // It would send visitors to UDP ports of ours.
        parts.headers.remove(ALT_SVC);
        if let Some(here) = parts.headers.get(LOCATION).and_then(|to| self.here(to)) {
            parts.headers.insert(LOCATION, here);
        }
        let most = usize::try_from(self.answer_bytes).unwrap_or(usize::MAX);
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.answer_bytes) && !body.is_end_stream() {
            return status(StatusCode::BAD_GATEWAY);
        }
        let body = Limited::new(body, most).map_err(io::Error::other).boxed_unsync();
        Response::from_parts(parts, body)
    }

    /// A place on the website behind us, as a place on this one.
    fn here(&self, to: &HeaderValue) -> Option<HeaderValue> {
        let path = to.to_str().ok()?.strip_prefix(&self.base)?.strip_prefix(&self.below)?;
        match path.as_bytes().first() {
            None => Some(HeaderValue::from_static("/")),
            Some(b'/') if !path.starts_with("//") => HeaderValue::from_str(path).ok(),
            _ => None,
        }
    }

    fn say(&self, error: &io::Error) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= SAID_ONCE_IN) {
            *said = Some(Instant::now());
            self.notices.say(Notice::UpstreamUnreachable(format!("{}: {error}", self.base)));
        }
    }
}
