//! The relay's own website, and the rooms that people with a key find behind it.
//!
//! ```text
//! TLS that no key opens ─> front: TLS, HTTP ─> shows a key? ─> proxy, bridge, names, desk
//!                                                   └─ no ─> the website
//! ```
//!
//! Whoever comes is a stranger until a request shows a key, and has a stranger's place; from then on
//! the place is free again, and what they carry is counted as theirs.
//!
//! | module | what is in it |
//! |---|---|
//! | `proxy` | HTTPS proxies: browsers, and Apple's devices |
//! | `bridge` | Telegram's WEB proxy |
//! | `names` | DNS over HTTPS |
//! | `tunnel`, `counted` | bytes between a visitor and a server |
//! | `doorways` | addresses that lead to a key |

mod bridge;
mod counted;
mod doorways;
mod names;
mod proxy;
mod tunnel;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use front::{Body, Front, Name, Rooms, body};
use http::header::{ALLOW, CACHE_CONTROL};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep_until;
use wire::classify::{Shape, classify};
use wire::tls::hello::ClientHello;
use wire::tls::record::HANDSHAKE;
use wire::webproxy::WebHost;

use crate::Shared;
use crate::arrival::Arrival;
use crate::crowd::Place;
use crate::keyring::Keyring;
use crate::sources::Source;
use crate::tally::Counter;
pub(crate) use bridge::Bridge;
pub(crate) use doorways::Doorways;
pub(crate) use names::Askers;

/// The port on which websites speak without TLS.
const PLAIN_PORT: u16 = 80;

/// What a relay wears where it has a certificate of its own.
#[derive(Clone)]
pub struct House {
    /// TLS, certificates, and the site that everybody sees.
    pub front: Front,
    /// What the certificates are for; links name the first one.
    pub names: Vec<Name>,
    /// The host of Telegram's WEB proxy, if the relay has a name that apps accept for one.
    pub web_host: Option<WebHost>,
    /// Whoever else has something for people with a key.
    pub desk: Arc<dyn Desk>,
}

/// An answer that is being made.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Option<Response<Body>>> + Send + 'a>>;

/// What is answered to people with a key beside what the relay carries: their own page, say.
pub trait Desk: Send + Sync + 'static {
    /// As [`Rooms::enter`]. Asked last.
    fn ask<'a>(&'a self, request: &'a mut Request<Body>) -> Answering<'a>;
}

/// There is no desk.
#[derive(Clone, Copy, Debug)]
pub struct NoDesk;

impl Desk for NoDesk {
    fn ask<'a>(&'a self, _: &'a mut Request<Body>) -> Answering<'a> {
        Box::pin(std::future::ready(None))
    }
}

impl House {
    /// Whether somebody whom no key opened the door for is a visitor here: everybody, but who asked
    /// for the mask host by its name.
    pub(crate) fn is_for(&self, arrival: &Arrival<'_>) -> bool {
        let course = arrival.shared.course.load();
        let Some(mask) = &course.mask else { return true };
        let Shape::Hello(record) = classify(&arrival.first) else { return true };
        let name = ClientHello::read(record).and_then(|hello| hello.server_name);
        !name.is_some_and(|name| mask.is_named(name))
    }

    /// Receives a visitor, until they are done.
    pub(crate) async fn receive(
        &self,
        shared: &Arc<Shared>,
        arrival: Arrival<'_>,
        room: OwnedSemaphorePermit,
    ) {
        // However many bytes there are that are no hello: what is waited for fewer is waited for all.
        if let Some(at) = arrival.house_has_its_say() {
            sleep_until(at).await;
        }
        let Arrival { source, dialled, stream, first, first_piece, place, .. } = arrival;
        // Others may come to the door; a stranger has a place of another kind.
        drop(place);
        let place = shared.callers.press_in(source);
        let lost = place.lost();
        let visitor = Arc::new(Visitor {
            shared: Arc::clone(shared),
            house: self.clone(),
            source,
            dialled,
            place: Mutex::new(Some(place)),
            room: Arc::new(room),
            questions: names::Questions::default(),
        });
        let speaks_plainly = dialled.port() == PLAIN_PORT && first.first() != Some(&HANDSHAKE);
        let visit = async {
            if speaks_plainly {
                self.front.serve_plain(stream, first, first_piece).await;
            } else {
                self.front.serve(stream, first, Arc::clone(&visitor)).await;
            }
        };
        let pushed_out = async {
            lost.await;
            // Who has shown a key meanwhile stays.
            if !visitor.is_stranger() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = pushed_out => shared.counters.count(Counter::Crowded),
            () = visit => {}
        }
        if visitor.is_stranger() {
            shared.counters.count(Counter::Strangers);
        }
    }
}

/// Somebody on a connection of TLS, with or without a key.
pub(crate) struct Visitor {
    pub shared: Arc<Shared>,
    pub house: House,
    pub source: Source,
    /// The address and the port that were dialled.
    pub dialled: SocketAddr,
    /// Among strangers, until a key was shown.
    place: Mutex<Option<Place>>,
    /// Room for a connection: a tunnel that outlives the visit holds it too.
    pub room: Arc<OwnedSemaphorePermit>,
    /// Where their questions to the names are counted.
    questions: names::Questions,
}

impl Visitor {
    fn is_stranger(&self) -> bool {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// They have shown a key: their place is free for other strangers.
    pub(crate) fn is_known(&self) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        self.shared.finder.keyring.load_full()
    }
}

/// What is answered where an address is a key's, but nothing is there, or nothing by this method: the
/// website, which may stand elsewhere and keep a log, must not see such addresses.
pub fn refused(method: &Method, allowed: &'static str) -> Response<Body> {
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    if !allowed.is_empty() && allowed.split(", ").all(|one| one != method.as_str()) {
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

impl Rooms for Visitor {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        if let Some(answer) = proxy::enter(self, request).await {
            return Some(answer);
        }
        if let Some(answer) = bridge::enter(self, request).await {
            return Some(answer);
        }
        if let Some(answer) = names::enter(self, request).await {
            return Some(answer);
        }
        let answer = self.house.desk.ask(request).await?;
        self.is_known();
        Some(answer)
    }
}
