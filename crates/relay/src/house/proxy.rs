//! HTTPS proxies, over HTTP/1.1 and HTTP/2: for browsers, and for Apple's devices.
//!
//! ```text
//! CONNECT host:port, GET http://host/ ─> the password is right? ─> gate ─> tunnel, or one request
//!                                             └─ no ─> the website, as if nobody were asked
//!            at a key's secret host ─> 407: the browser asks for the password, and knows it from then on
//! ```

use std::io;
use std::sync::Arc;

use front::pages::{self, Language, Page};
use front::{Body, Tunnel, body};
use http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
};
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use wire::derive::KeyId;
use wire::doorway::Doorway;
use wire::http_proxy::{self, CHALLENGE, Status};
use wire::socks5::Login;
use wire::tally::{Cell, Protocol};
use wire::target::{Host, Target};

use super::counted::Counted;
use super::{Visitor, tunnel};
use crate::egress::NoWay;
use crate::keyring::Keyring;
use crate::pump;
use crate::tally::{Counter, Meter};

/// The answer to a request that shows a key and is for this room.
pub(super) async fn enter(
    visitor: &Visitor,
    request: &mut Request<Body>,
) -> Option<Response<Body>> {
    let target = target(visitor, request)?;
    let keyring = visitor.keyring();
    let login = login(request);
    let key = login.as_ref().and_then(|login| keyring.log_in(login));
    if key.is_none() && login.is_some() {
        visitor.shared.counters.count(Counter::WrongPasswords);
    }
    let asks_to_log_in = is_log_in_host(&keyring, &target.host);
    if key.is_none() && !asks_to_log_in {
        return None;
    }
    visitor.is_known();
    let is_tunnel = *request.method() == Method::CONNECT;
    Some(match key {
        None => challenge(),
        // Only a page is there. A browser that prefers TLS comes again without it.
        Some(_) if asks_to_log_in && is_tunnel => {
            says(Status::Forbidden, "only http:// leads to this page")
        }
        Some(_) if asks_to_log_in => ready(request),
        Some(key) if is_tunnel => connect(visitor, key, &target, request).await,
        Some(key) => fetch(visitor, key, &target, request).await,
    })
}

/// Whom somebody wants to reach by way of us, if it is not us.
fn target(visitor: &Visitor, request: &Request<Body>) -> Option<Target> {
    let uri = request.uri();
    let authority = uri.authority()?.as_str();
    if *request.method() == Method::CONNECT {
        return Target::read(authority, None);
    }
    if uri.scheme() != Some(&Scheme::HTTP) {
        return None;
    }
    let authority = authority.rsplit_once('@').map_or(authority, |(_userinfo, host)| host);
    let target = Target::read(authority, Some(80))?;
    let is_own = match &target.host {
        Host::Name(name) => {
            let is_log_in = is_log_in_host(&visitor.keyring(), &target.host);
            !is_log_in && visitor.house.names.iter().any(|own| own.covers(name))
        }
        Host::Address(address) => *address == visitor.dialled.ip().to_canonical(),
    };
    (!is_own).then_some(target)
}

/// Who somebody says to be, if they say so.
fn login(request: &Request<Body>) -> Option<Login> {
    http_proxy::basic(request.headers().get(PROXY_AUTHORIZATION)?.as_bytes())
}

/// Whether this is the host at which a key's browser is asked for its password: whatever comes after
/// the first label.
fn is_log_in_host(keyring: &Keyring, host: &Host) -> bool {
    let Host::Name(name) = host else { return false };
    let first = name.split('.').next().unwrap_or_default();
    keyring.behind(Doorway::LogIn, first).is_some()
}

fn challenge() -> Response<Body> {
    let mut answer = says(Status::LoginRequired, "a user name and a password are needed");
    answer.headers_mut().insert(PROXY_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    answer
}

/// The page at the host for logging in.
fn ready(request: &Request<Body>) -> Response<Body> {
    let accept = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let Page { status, headers, body } =
        pages::ready(Language::choose(request.uri().query(), accept));
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    // Everything in it is ours and well formed.
    answer.body(body::full(body)).unwrap_or_default()
}

/// Makes a tunnel, which goes on as a task of its own.
async fn connect(
    visitor: &Visitor,
    key: KeyId,
    target: &Target,
    request: &mut Request<Body>,
) -> Response<Body> {
    let shared = &visitor.shared;
    // Many tunnels share a connection, and each of them has a socket of its own.
    let Ok(room) = Arc::clone(&shared.room).try_acquire_owned() else { return crowded() };
    let meter = meter(visitor, key, Protocol::HttpsConnect);
    let server = match shared.gate().connect(target).await {
        Ok(server) => server,
        Err(reason) => return no_way(visitor, &reason),
    };
    pump::tune(&server);
    let stream = Tunnel::begin(request);
    shared.start(key, async move {
        // Nobody is there any more, else.
        if let Ok(stream) = stream.await {
            tunnel::carry(stream, server, meter.flow()).await;
        }
        drop(room);
    });
    Response::new(body::empty())
}

/// Sends one request on, and passes on the answer.
async fn fetch(
    visitor: &Visitor,
    key: KeyId,
    target: &Target,
    request: &mut Request<Body>,
) -> Response<Body> {
    let Ok(room) = Arc::clone(&visitor.shared.room).try_acquire_owned() else { return crowded() };
    let meter = meter(visitor, key, Protocol::Https);
    let stream = match visitor.shared.gate().connect(target).await {
        Ok(stream) => stream,
        Err(reason) => return no_way(visitor, &reason),
    };
    pump::tune(&stream);
    let request = std::mem::replace(request, Request::new(body::empty()));
    match exchange(visitor, key, Counted { stream, meter }, request, room).await {
        Ok(answer) => answer,
        Err(_) => says(Status::BadGateway, "that host gives no proper answer"),
    }
}

async fn exchange(
    visitor: &Visitor,
    key: KeyId,
    server: Counted,
    request: Request<Body>,
    room: OwnedSemaphorePermit,
) -> io::Result<Response<Body>> {
    let (answer, carrying) = front::forward(server, request).await?;
    visitor.shared.start(key, async move {
        carrying.await;
        drop(room);
    });
    answer.await
}

fn meter(visitor: &Visitor, key: KeyId, protocol: Protocol) -> Arc<Meter> {
    let cell = Cell { key: Some(key), port: visitor.dialled.port(), protocol, datacentre: None };
    visitor.shared.meter(cell, visitor.source)
}

/// There is no room for one more.
fn crowded() -> Response<Body> {
    let mut answer = says(Status::BadGateway, "this relay carries as much as it can");
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

fn no_way(visitor: &Visitor, reason: &NoWay) -> Response<Body> {
    visitor.shared.note_no_way(reason);
    says(reason.status(), &reason.to_string())
}

/// An answer of ours, with one line that says why.
fn says(status: Status, why: &str) -> Response<Body> {
    let mut answer = Response::new(body::full(format!("{why}\n")));
    *answer.status_mut() = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
