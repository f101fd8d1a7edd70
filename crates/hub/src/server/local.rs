//! People's side for programs on this machine: HTTP/1.1 without TLS.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use front::{Body, body};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::{asked, heard};
use crate::api;
use crate::clerk::Clerk;

/// How long the head of a request may take, and how long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of requests is held, in bytes: a head at most.
const HEAD: usize = 16 << 10;

/// Serves one connection until it is over.
pub(super) async fn serve(stream: TcpStream, clerk: Clerk) {
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

async fn answer(clerk: &Clerk, request: Request<Incoming>) -> Response<Body> {
    let mut request = request.map(|body| body.map_err(std::io::Error::other).boxed_unsync());
    let made = async {
        let said: Bytes = heard(&mut request, api::LONGEST).await?;
        let asked = asked(&request, request.uri().path(), said)?;
        api::answer(clerk, &asked).await
    };
    made.await.map_or_else(
        || {
            let mut nothing = Response::new(body::empty());
            *nothing.status_mut() = StatusCode::NOT_FOUND;
            nothing
        },
        |answer| answer.map(body::full),
    )
}
