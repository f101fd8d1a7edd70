//! What we say to an authority, and what it says about time.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{DATE, HOST, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;

use crate::outgoing::Origin;

/// How long an authority may take for each answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of an answer.
const MOST: usize = 1 << 20;

/// What an authority says about time.
#[derive(Default)]
pub(super) struct Told {
    /// When it may be asked again, if it has had enough of us.
    pub retry_after: Option<Duration>,
    /// By how many seconds our clock is ahead of its.
    pub ahead: Option<i64>,
}

/// Sends requests to an authority.
pub(super) struct Client {
    pub trust: Arc<ClientConfig>,
    pub told: Arc<Mutex<Told>>,
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (trust, told) = (Arc::clone(&self.trust), Arc::clone(&self.told));
        Box::pin(async move {
            let other = |error: std::io::Error| Error::Other(Box::new(error));
            let (mut parts, body) = request.into_parts();
            let url = std::mem::take(&mut parts.uri);
            let origin = Origin::of(&url, &trust, PATIENCE)
                .filter(|_| url.scheme_str() == Some("https"))
                .ok_or(Error::Str("an https URL"))?;
            let path = url.path_and_query().map_or("/", |path| path.as_str());
            parts.uri = path.parse::<Uri>()?;
            let host = url.authority().map_or("", |authority| authority.as_str());
            let host = HeaderValue::from_str(host).map_err(http::Error::from)?;
            parts.headers.insert(HOST, host);
            let body = body.map_err(|never| match never {}).boxed_unsync();
            let sent = origin.send_anew(Request::from_parts(parts, body)).await;
            let (_connection, answer) = sent.map_err(other)?;
            let (parts, body) = answer.into_parts();
            listen(&parts, &mut told.lock().unwrap_or_else(PoisonError::into_inner));
            let body = tokio::time::timeout(PATIENCE, Limited::new(body, MOST).collect()).await;
            let body = body.map_err(|late| other(late.into()))?.map_err(Error::Other)?.to_bytes();
            Ok(BytesResponse::from(Response::from_parts(parts, Full::new(body))))
        })
    }
}

fn listen(answer: &http::response::Parts, told: &mut Told) {
    let now = SystemTime::now();
    let text = |name: HeaderName| answer.headers.get(name)?.to_str().ok();
    let ahead = |time: SystemTime| -> Duration { time.duration_since(now).unwrap_or_default() };
    if let Some(date) = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()) {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let behind = seconds(ahead(date));
        let early = seconds(now.duration_since(date).unwrap_or_default());
        told.ahead = Some(early - behind);
    }
    if matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        let wait = text(RETRY_AFTER).and_then(|wait| match wait.trim().parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => httpdate::parse_http_date(wait).ok().map(ahead),
        });
        told.retry_after = wait.or(told.retry_after);
    }
}
