//! HTTP on a connection, bounded.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::activity::{Activity, Guest, Visit};
use crate::body::{self, Watched};
use crate::{Body, Limits, Rooms, Shared, http2};

/// Where an answer comes from, after the rooms were asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// The site.
    Site,
    /// The way to the site over TLS.
    Redirect,
}

/// Serves HTTP/1.1 until it is over, or has become a tunnel.
pub(crate) async fn serve_http1<S, R>(shared: Arc<Shared>, stream: S, rooms: Arc<R>, behind: Behind)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    R: Rooms,
{
    let activity = Activity::new();
    let limits = shared.limits.clone();
    let stop = shared.stop.subscribe();
    let service = answering(shared, rooms, &activity, behind);
    let service = move |request: Request<Incoming>| {
        service(request.map(|body| body.map_err(io::Error::other).boxed_unsync()))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes.max(8 << 10))
        .max_header_size(limits.head_bytes)
        .max_headers(limits.headers)
        // A website behind this one may write `Server` and we would write `server`.
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service_fn(service))
        .with_upgrades();
    watch_over(
        pin!(connection),
        http1::UpgradeableConnection::graceful_shutdown,
        &activity,
        &limits,
        stop,
    )
    .await;
}

/// Serves HTTP/2 until it is over.
pub(crate) async fn serve_http2<S, R>(shared: Arc<Shared>, stream: S, rooms: Arc<R>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    R: Rooms,
{
    let activity = Activity::new();
    let limits = shared.limits.clone();
    let mut stop = shared.stop.subscribe();
    let windows = Arc::clone(&shared.windows);
    let service = answering(shared, rooms, &activity, Behind::Site);
    let opening = http2::Connection::open(stream, service, &activity, &windows, &limits);
    // Boxed, as in `Front::serve`.
    let opening = Box::pin(opening);
    let opened = tokio::select! {
        opened = timeout(limits.idle, opening) => opened,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let Ok(Ok(connection)) = opened else { return };
    watch_over(pin!(connection), http2::Connection::ask_to_end, &activity, &limits, stop).await;
}

/// Lets a connection run, asks it to end when nothing moves on it, when it has asked too much or when
/// the front stops, and ends it when it does not.
async fn watch_over<C: Future>(
    mut connection: Pin<&mut C>,
    mut ask_to_end: impl FnMut(Pin<&mut C>),
    activity: &Activity,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let idle_at = activity.idle_at(limits.idle);
        tokio::select! {
            _ = &mut connection => return,
            () = activity.crowded.notified() => break,
            _ = stop.wait_for(|stop| *stop) => break,
            () = sleep_until(idle_at) => {
                if activity.idle_at(limits.idle) <= Instant::now() {
                    break;
                }
            }
        }
    }
    ask_to_end(connection.as_mut());
    loop {
        tokio::select! {
            _ = &mut connection => return,
            () = activity.crowded.notified() => return,
            () = sleep(limits.farewell) => {
                // Key holders' tunnels are theirs to end, or the wearer's.
                if !activity.has_guests() {
                    return;
                }
            }
        }
    }
}

/// An answer to come.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// What is done with each request of a connection.
fn answering<R: Rooms>(
    shared: Arc<Shared>,
    rooms: Arc<R>,
    activity: &Arc<Activity>,
    behind: Behind,
) -> impl Fn(Request<Body>) -> Answering + use<R> {
    let activity = Arc::clone(activity);
    move |request| {
        let (shared, rooms) = (Arc::clone(&shared), Arc::clone(&rooms));
        let activity = Arc::clone(&activity);
        Box::pin(async move { Ok(answer(&shared, &*rooms, &activity, behind, request).await) })
    }
}

async fn answer<R: Rooms>(
    shared: &Shared,
    rooms: &R,
    activity: &Arc<Activity>,
    behind: Behind,
    request: Request<Body>,
) -> Response<Body> {
    activity.moved();
    let mut request = request.map(|body| {
        let kept = Visit { activity: Arc::clone(activity), _place: None };
        Watched { body, kept }.boxed_unsync()
    });
    let guest = Guest::new(activity);
    request.extensions_mut().insert(guest.clone());
    if let Some(answer) = rooms.enter(&mut request).await {
        activity.is_a_guests();
        return answer.map(|body| Watched { body, kept: guest }.boxed_unsync());
    }
    request.extensions_mut().remove::<Guest>();
    drop(guest);
    let asked = activity.stranger();
    let most = shared.limits.requests as u64;
    if asked == most || asked == most * 2 {
        activity.crowded.notify_one();
    }
    let Ok(place) = Arc::clone(&shared.answers).try_acquire_owned() else {
        return status(StatusCode::SERVICE_UNAVAILABLE);
    };
    let answer = match behind {
        Behind::Site => shared.site.answer(request).await,
        Behind::Redirect => crate::site::redirect(&request),
    };
    let kept = Visit { activity: Arc::clone(activity), _place: Some(place) };
    answer.map(|body| Watched { body, kept }.boxed_unsync())
}

/// An answer that says nothing but this.
pub(crate) fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = status;
    answer
}
