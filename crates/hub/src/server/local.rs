//! People's side for programs on this machine: HTTP/1.1 without TLS.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::api;
use crate::clerk::Clerk;

/// How long the head of a request may take, and how long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of requests is held, in bytes: a head at most.
const HEAD: usize = 16 << 10;

/// Serves one connection until it is over.
pub async fn serve(stream: TcpStream, clerk: Clerk) {
    let service = service_fn(|request: Request<Incoming>| {
        let clerk = clerk.clone();
        async move { Ok::<_, Infallible>(answer(&clerk, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever goes away knows that.
    let _ = connection.await;
}

/// Everything that is not people's side is not found.
async fn answer(clerk: &Clerk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let said = if body.is_end_stream() { Some(Bytes::new()) } else { heard(body).await };
    let answer = match said {
        Some(said) => api::answer(clerk, &Request::from_parts(parts, said)).await,
        None => None,
    };
    let nothing = || {
        let mut nothing = Response::new(Bytes::new());
        *nothing.status_mut() = StatusCode::NOT_FOUND;
        nothing
    };
    answer.unwrap_or_else(nothing).map(Full::new)
}

/// The whole body, if it is not too long and comes in time.
async fn heard(body: Incoming) -> Option<Bytes> {
    let whole = Limited::new(body, api::LONGEST).collect();
    Some(timeout(super::PATIENCE, whole).await.ok()?.ok()?.to_bytes())
}
