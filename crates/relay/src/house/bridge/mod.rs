//! Telegram's WEB proxy: the app's bytes through a browser engine, by ordinary HTTPS.
//!
//! ```text
//! capability ─> page with a ticket ─> session ─> WebSocket, or requests ─> frames of many streams
//!                                                              each stream ─> a datacentre
//! ```
//!
//! What the frames mean is [`wire::webproxy`]'s. A first flight is not asked whether it was seen
//! before, as on TCP: it comes within TLS from whoever has a session, so no stranger has a recording
//! of it, and nobody else's session opens it.
//!
//! | module | what is in it |
//! |---|---|
//! | `table` | tickets and sessions, and how many of them there may be |
//! | `session` | one app's session: what it is given and what it says, whoever carries it |
//! | `streams` | its streams, and whose turn it is |
//! | `stream` | one of them: the way to a datacentre, and bytes up |
//! | `socket`, `requests` | the two carriers |
//! | `bodies` | what a request brings, and how it is put back |

mod bodies;
mod requests;
mod session;
mod socket;
mod stream;
mod streams;
mod table;

use std::sync::Arc;

use front::{Body, body};
use http::{Method, Request, Response};
use wire::webproxy::request::{self, Answer, Ask, MAX_BEGIN, Shown};
use wire::webproxy::session::HELLO;
use wire::webproxy::{Token, page};

use super::{Visitor, refused};
use crate::keyring::Entry;
use session::{Beginning, Session};
pub(crate) use table::Bridge;

/// Where everything of it is: at the top of the host.
const BASE: &str = "/";

/// The answer to a request that shows a key and is for this room.
pub(super) async fn enter(
    visitor: &Visitor,
    request: &mut Request<Body>,
) -> Option<Response<Body>> {
    let host = visitor.house.web_host.as_ref()?;
    let ask = {
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        let target = request.uri().path_and_query()?.as_str();
        let ask = request::read(request.method().as_str(), target, BASE, header);
        match (ask, request::shown(target, BASE)) {
            (Some(ask), _) => ask,
            (None, Some(shown)) => return refuse(visitor, &shown, request.method()),
            (None, None) => return None,
        }
    };
    let bridge = &visitor.shared.bridge;
    // Who has a session is no stranger, however long the answer takes.
    let find = |token| {
        let session = bridge.find(token)?;
        visitor.is_known();
        Some(session)
    };
    let answer = match ask {
        Ask::Page(capability) => {
            let key = visitor.keyring().capable(&capability)?.id;
            response(page::bridge(host, &bridge.issue(key)))
        }
        Ask::Begin(ticket) => begin(visitor, &ticket, request).await?,
        Ask::Enter => go_in(visitor, request).await?,
        Ask::Up { session, sequence, dialect } => {
            requests::up(&find(&session)?, request, sequence, dialect).await?
        }
        Ask::Down { session, arrived, dialect } => {
            requests::down(&find(&session)?, arrived, dialect).await?
        }
        Ask::End(session) => {
            find(&session)?.end();
            response(Answer::ended())
        }
        Ask::Socket(session) => socket::open(&find(&session)?, request, Arc::clone(&visitor.room))?,
    };
    visitor.is_known();
    Some(answer)
}

/// The answer to somebody who shows what is valid in an address that leads nowhere.
fn refuse(visitor: &Visitor, shown: &Shown, method: &Method) -> Option<Response<Body>> {
    let allowed = match shown {
        Shown::Capability(capability) => {
            visitor.keyring().capable(capability)?;
            "GET"
        }
        Shown::Session(token) => {
            visitor.shared.bridge.find(token)?;
            "GET, POST, DELETE"
        }
    };
    visitor.is_known();
    Some(refused(method, allowed))
}

/// A page redeems its ticket.
async fn begin(
    visitor: &Visitor,
    ticket: &Token,
    request: &mut Request<Body>,
) -> Option<Response<Body>> {
    let bridge = &visitor.shared.bridge;
    let key = bridge.owner(ticket)?;
    visitor.is_known();
    if bodies::read(request, MAX_BEGIN).await? != HELLO[..] {
        return None;
    }
    let secret = visitor.keyring().entry(key)?.secret;
    let begin = |token| session(visitor, token, Entry { id: key, secret }, Beginning::Greeted);
    Some(response(Answer::begun(&bridge.redeem(ticket, begin)?)))
}

/// An app that needs no page shows its capability in the body.
async fn go_in(visitor: &Visitor, request: &mut Request<Body>) -> Option<Response<Body>> {
    let shown = bodies::read_now(request, MAX_BEGIN).await?;
    let entry = *visitor.keyring().capable(&request::capability_in(&shown)?)?;
    let session = session(visitor, Token::generate(), entry, Beginning::Ungreeted);
    let answer = response(Answer::entered(&session.token));
    visitor.shared.bridge.start(session);
    Some(answer)
}

fn session(visitor: &Visitor, token: Token, entry: Entry, beginning: Beginning) -> Arc<Session> {
    let Visitor { shared, source, dialled, .. } = visitor;
    Session::new(Arc::clone(shared), token, entry, (*source, dialled.port()), beginning)
}

fn response(answer: Answer) -> Response<Body> {
    let Answer { status, headers, body } = answer;
    with_body(status, headers, body::full(body))
}

fn with_body(status: u16, headers: Vec<(&'static str, String)>, body: Body) -> Response<Body> {
    let builder =
        headers.into_iter().fold(Response::builder().status(status), |builder, (name, value)| {
            builder.header(name, value)
        });
    builder.body(body).expect("good headers")
}
