//! How the hub is reached: a website for everybody, behind which those who know its room find relays'
//! side of HTTP ([`crate::fleet`]) and people's ([`crate::api`]).
//!
//! ```text
//! connection ─> front: TLS, HTTP ─> /ROOM/enrol, /ROOM/heartbeat ─> fleet
//!                    │              /ROOM/v1/... ─────────────────> api
//!                    │              /ROOM/jaryq ──────────────────> this very program
//!                    └─ everybody else: the website
//! 127.0.0.1  ─> HTTP, /v1/... ────────────────────────────────────> api
//! ```
//!
//! Whoever comes has a stranger's place until a request shows a key; how many of those there are is
//! bounded, in all and from one source, and so is everything that is read.

mod crowd;
pub mod local;
mod program;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time;
use bytes::{Bytes, BytesMut};
use front::{Body, Front, Rooms, body};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use wire::fleet::{self, heartbeat};

use crate::api;
use crate::clerk::Clerk;
use crate::fleet::Fleet;
use crowd::{Crowd, Place};
pub use program::Program;

/// What is read of a body at most: no message of a relay or of a door is longer.
const LONGEST: usize =
    if heartbeat::LONGEST > api::LONGEST { heartbeat::LONGEST } else { api::LONGEST };
/// Where below the room the program is.
pub const PROGRAM: &str = "/jaryq";
/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing is accepted when the machine has no room for one more connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// The hub's way in.
pub struct Server {
    front: Front,
    clerk: Clerk,
    fleet: Fleet,
    program: Program,
    room: String,
    strangers: Arc<Crowd>,
    connections: Arc<Semaphore>,
}

impl Server {
    /// With its face, relays' side, the program that it gives away, and its room; `most` connections at
    /// a time, half of them strangers' at most.
    #[must_use]
    pub fn new(
        front: Front,
        clerk: Clerk,
        fleet: Fleet,
        program: Program,
        room: &[u8; 16],
        most: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            front,
            clerk,
            fleet,
            program,
            room: fleet::invite::path(room),
            strangers: Crowd::new(most / 2),
            connections: Arc::new(Semaphore::new(most)),
        })
    }

    /// Serves whoever comes to a port, until it is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, from, room) = self.accept(&listener).await;
            // Who is one too many hears nothing.
            let Some(place) = self.strangers.admit(from.ip()) else { continue };
            let server = Arc::clone(&self);
            let visitor = Visitor {
                server: Arc::clone(&self),
                from: from.ip().to_canonical(),
                place: Mutex::new(Some(place)),
                _room: room,
            };
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                server.front.serve(stream, Vec::new(), Arc::new(visitor)).await;
            });
        }
    }

    /// Serves programs on this machine, without TLS: people's side alone, with a door's token.
    pub async fn serve_local(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, _, room) = self.accept(&listener).await;
            let clerk = self.clerk.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                local::serve(stream, clerk).await;
                drop(room);
            });
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            let Ok(room) = Arc::clone(&self.connections).acquire_owned().await else {
                std::future::pending().await
            };
            match listener.accept().await {
                Ok((stream, from)) => return (stream, from, room),
                // Out of files, say: others end meanwhile.
                Err(_) => sleep(NO_ROOM).await,
            }
        }
    }

    /// What of a path is behind the room, if it is this hub's.
    fn behind<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (room, rest) = path.split_at_checked(self.room.len())?;
        let is_it =
            constant_time::verify_slices_are_equal(room.as_bytes(), self.room.as_bytes()).is_ok();
        (is_it && rest.starts_with('/')).then_some(rest)
    }
}

/// One connection.
struct Visitor {
    server: Arc<Server>,
    from: IpAddr,
    /// Among strangers, until a key was shown.
    place: Mutex<Option<Place>>,
    _room: OwnedSemaphorePermit,
}

impl Rooms for Visitor {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        let behind = self.server.behind(request.uri().path())?.to_owned();
        let said = heard(request, LONGEST).await?;
        let answer =
            match self.server.fleet.answer(request.method(), &behind, &said, self.from).await {
                Some(answer) => answer,
                None if behind == PROGRAM => self.server.program.answer(),
                None => {
                    let asked = asked(request, &behind, said.clone())?;
                    api::answer(&self.server.clerk, &asked).await?.map(body::full)
                }
            };
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        Some(answer)
    }
}

/// The same request as people's side takes it: its body in one piece, and the path without the room.
fn asked<B>(request: &Request<B>, path: &str, said: Bytes) -> Option<Request<Bytes>> {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut asked = Request::new(said);
    *asked.method_mut() = request.method().clone();
    *asked.uri_mut() = format!("{path}{query}").parse().ok()?;
    *asked.headers_mut() = request.headers().clone();
    Some(asked)
}

/// The whole body of a request, which keeps it as if it had not been read; `None` when it is longer
/// than `most`, or does not come.
async fn heard(request: &mut Request<Body>, most: usize) -> Option<Bytes> {
    let mut rest = std::mem::replace(request.body_mut(), body::empty());
    let mut said = BytesMut::new();
    let reading = async {
        while let Some(frame) = rest.frame().await {
            if let Ok(piece) = frame?.into_data() {
                said.extend_from_slice(&piece);
            }
            if said.len() > most {
                return Ok(false);
            }
        }
        io::Result::Ok(true)
    };
    let whole = timeout(PATIENCE, reading).await;
    let said = said.freeze();
    *request.body_mut() = body::after(said.clone(), rest);
    matches!(whole, Ok(Ok(true))).then_some(said)
}
