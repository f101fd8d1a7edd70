//! A server's public face: TLS, certificates, the site that everybody sees, and bounds on all of it.
//!
//! A server that owns a certificate and a site needs no pretending: the mask is itself. One acceptor,
//! on every port that answers, serves everything that speaks TLS, and whoever has no key sees an
//! ordinary website. A relay wears it, and so does a hub.
//!
//! ```text
//! stream ─> TLS ─> HTTP/1.1, HTTP/2 ─> Rooms: shows a key? ─> the wearer's answer, or a tunnel
//!            │                             └─ None ─> the site
//!            └─ a certificate authority that comes for proof: shown it, and done
//! ```
//!
//! How it is worn:
//!
//! ```no_run
//! # async fn wear(stream: tokio::net::TcpStream) -> Result<(), front::Error> {
//! use std::sync::Arc;
//! use front::{Front, Identity, NoRooms, Settings};
//!
//! let identity = Identity::SelfSigned(vec!["relay.example.org".parse().expect("a name")]);
//! let (front, mut notices) = Front::open(Settings::new("/var/lib/jaryq/tls".into(), identity))?;
//! // For each connection: what was read of it already, and what is behind the site.
//! front.serve(stream, Vec::new(), Arc::new(NoRooms)).await;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Front::serve`] takes any stream, with the bytes that were read of it already, and is the whole
//!   life of a connection; drop it to end that. It bounds time and memory for each connection; how
//!   many there are, in all and from one source, is the wearer's to bound.
//! - [`Front::serve_plain`] is for a port on which a web server speaks without TLS (80). Rooms are
//!   not asked there: a key must not be sent in clear.
//! - [`Rooms`] is the seam: one value for each connection, asked about every request before the site.
//! - [`Identity`] says where certificates come from; [`Acme::publishes`] is what the volunteer must
//!   be shown before a public one is asked for. Asking begins with [`Front::open`], so for tls-alpn-01
//!   port 443 must be served right after it.
//! - [`Notice`]s are what the volunteer should know.
//!
//! Of people, nothing is kept, logged or passed on; a website behind this one does not learn who
//! visits.
//!
//! | module | what is in it |
//! |---|---|
//! | `tls` | the handshake; proof for certificate authorities before everything else |
//! | `certificates` | which certificate a visitor is shown; files, self-signed ones |
//! | `acme` | public ones: orders, proofs, when to ask again |
//! | `http_server`, `activity` | HTTP and its bounds; what happens on a connection |
//! | `http2` | HTTP/2 itself: windows, bodies, tunnels |
//! | `rooms` | the seam, tunnels |
//! | `forward` | key holders' requests to other servers |
//! | `site` | nothing, files, or a website behind this one; why it looks as it does |
//! | [`pages`] | what a person is shown to set up their apps, as pure functions |
//! | [`look`] | what somebody who comes is shown |
//! | `outgoing` | requests of our own |
//! | `peer` | those to another server of ours |
//! | `neighbours` | what of a message does not go on |
//! | `kept` | what survives a restart |

#![forbid(unsafe_code)]

mod acme;
mod activity;
pub mod body;
mod certificates;
mod forward;
mod http2;
mod http_server;
mod kept;
mod limits;
pub mod look;
mod name;
mod neighbours;
mod notices;
mod outgoing;
pub mod pages;
mod peer;
mod rewound;
mod rooms;
mod site;
mod tls;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

pub use acme::{Acme, Dns, DnsProof, LETS_ENCRYPT, Proof};
pub use body::Body;
pub use certificates::{BadCertificate, Identity};
pub use forward::forward;
pub use kept::Kept;
pub use limits::Limits;
pub use name::{BadName, Name};
pub use notices::{Notice, NoticeReceiver};
pub use peer::{Peer, Trust};
pub use rooms::{NoRooms, Rooms, Tunnel};
pub use site::Site;
/// What keys for updates of a zone look like.
pub use wire::dns_update::TsigKey;

use certificates::{Held, Table, files, self_signed};
use http_server::Behind;
use notices::Notices;
use rewound::Rewound;
use tls::{Spoken, Tls};

/// What a front is to look like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where certificates, keys and the account with an authority are kept; made if it is not there.
    pub state: PathBuf,
    /// Certificates, at least one. Who says a name that none is for sees the first one; who says no
    /// name sees the first one for an address, if there is one.
    pub identities: Vec<Identity>,
    /// The website.
    pub site: Site,
    /// Whether a visitor without TLS is sent to the same place with it, and not served.
    pub redirect: bool,
    /// How much, how many, how long.
    pub limits: Limits,
}

impl Settings {
    /// With this certificate, a bare site and ordinary bounds.
    #[must_use]
    pub fn new(state: PathBuf, identity: Identity) -> Self {
        let identities = vec![identity];
        let (site, limits) = (Site::default(), Limits::default());
        Self { state, identities, site, redirect: false, limits }
    }
}

/// Why a front cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// A certificate is for nothing.
    #[error("a certificate needs at least one name or address")]
    NoNames,
    /// A name with a star can only be proven in DNS.
    #[error("a certificate for {0} can only be proven in DNS")]
    StarNeedsDns(Name),
    /// An address has no zone.
    #[error("a certificate for {0} cannot be proven in DNS, only on port 443")]
    AddressNeedsTls(Name),
    /// The URL of an authority's directory is none.
    #[error("'{0}' is no URL of a certificate authority's directory: it begins with https://")]
    NoDirectory(String),
    /// A site's directory cannot be read.
    #[error("the site's directory {0} cannot be read: {1}")]
    NoSite(String, io::Error),
    /// A website behind this one has no proper address.
    #[error("'{0}' is no website: give http://HOST or https://HOST, without a password")]
    NoUpstream(String),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// What is kept cannot be read or written.
    #[error("certificates cannot be kept: {0}")]
    Kept(#[from] io::Error),
}

/// A public face at work. Dropped, with its clones, it renews nothing any more.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

/// What all connections share.
pub(crate) struct Shared {
    tls: Tls,
    site: site::Open,
    redirect: bool,
    limits: Limits,
    /// Room for answers of the site.
    answers: Arc<Semaphore>,
    /// Room for what key holders send.
    windows: Arc<http2::Windows>,
    stop: watch::Sender<bool>,
    fingerprints: Vec<[u8; 32]>,
    /// How many public certificates were not issued yet.
    awaited: Arc<AtomicUsize>,
    keepers: Vec<AbortHandle>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        for keeper in &self.keepers {
            keeper.abort();
        }
    }
}

impl Front {
    /// Reads or makes certificates, opens the site, and begins to keep public certificates valid.
    /// What it has to tell comes out of the receiver.
    ///
    /// # Errors
    /// When what was set cannot be used; each says what to do.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn open(settings: Settings) -> Result<(Self, NoticeReceiver), Error> {
        let Settings { state, identities, site, redirect, limits } = settings;
        let (notices, receiver) = Notices::new();
        let kept = Kept::open(&state)?;
        let site = site::Open::new(site, &limits, notices.clone())?;

        let mut shown = Vec::new();
        let mut fingerprints = Vec::new();
        let mut is_public = Vec::new();
        for identity in &identities {
            let (held, public) = match identity {
                Identity::Public(acme) => {
                    acme.check()?;
                    acme.kept(&kept)?
                }
                Identity::Files { certificate, key } => {
                    (Held::from_files(certificate, key)?, false)
                }
                Identity::SelfSigned(names) => {
                    let held = self_signed::keep(names, &kept)?;
                    fingerprints.push(held.fingerprint());
                    (held, false)
                }
            };
            held.judge(&notices);
            if let (Identity::Public(_), false) = (identity, public) {
                notices.say(Notice::Awaited { names: held.names() });
            }
            shown.push(Arc::new(held));
            is_public.push(public);
        }
        if shown.is_empty() {
            return Err(Error::NoNames);
        }
        let table = Arc::new(Table::new(shown.clone()));
        let tls = Tls::new(Arc::clone(&table))?;

        let mut keepers = Vec::new();
        let awaited = Arc::<AtomicUsize>::default();
        for (place, identity) in identities.into_iter().enumerate() {
            let (table, notices) = (Arc::clone(&table), notices.clone());
            let held = Arc::clone(&shown[place]);
            match identity {
                Identity::Public(acme) => {
                    let (kept, awaited) = (kept.clone(), Arc::clone(&awaited));
                    let keeper = acme::Keeper { acme, place, table, kept, notices, awaited };
                    let held = is_public[place].then_some(held);
                    keeper.awaited.fetch_add(usize::from(held.is_none()), Ordering::Relaxed);
                    keepers.push(tokio::spawn(keeper.keep(held)).abort_handle());
                }
                Identity::Files { certificate, key } => {
                    let following = files::follow(certificate, key, place, table, notices, held);
                    keepers.push(tokio::spawn(following).abort_handle());
                }
                Identity::SelfSigned(_) => {}
            }
        }
        let answers = Arc::new(Semaphore::new(limits.answers));
        let windows = http2::Windows::new(limits.windows);
        let stop = watch::Sender::new(false);
        let shared = Shared {
            tls,
            site,
            redirect,
            limits,
            answers,
            windows,
            stop,
            fingerprints,
            awaited,
            keepers,
        };
        Ok((Self(Arc::new(shared)), receiver))
    }

    /// SHA-256 of each self-signed certificate, for links that can carry one. They never change.
    #[must_use]
    pub fn fingerprints(&self) -> &[[u8; 32]] {
        &self.0.fingerprints
    }

    /// Whether a public certificate was asked for that has not been issued yet: browsers refuse what is
    /// shown in its place.
    #[must_use]
    pub fn awaits_certificate(&self) -> bool {
        self.0.awaited.load(Ordering::Relaxed) > 0
    }

    /// Serves whoever speaks TLS, until they are done or have a tunnel of HTTP/1.1. `first` is what
    /// was read of the stream already. Whoever does not speak it hears what a TLS server says then.
    pub async fn serve<S, R>(&self, stream: S, first: Vec<u8>, rooms: Arc<R>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        R: Rooms,
    {
        let shared = Arc::clone(&self.0);
        let stream = Rewound::new(first, stream);
        // Boxed: a future keeps the size of all that it ever did, and this is the largest part.
        match Box::pin(shared.tls.accept(stream, shared.limits.handshake)).await {
            Some(Spoken::Http1(stream)) => {
                Box::pin(http_server::serve_http1(shared, stream, rooms, Behind::Site)).await;
            }
            Some(Spoken::Http2(stream)) => {
                Box::pin(http_server::serve_http2(shared, stream, rooms)).await;
            }
            None => {}
        }
    }

    /// Serves whoever speaks HTTP/1.1 without TLS: the site, or the way to it. Of the bytes that were
    /// read already, so many came with the first read: whether a head that makes no sense is answered
    /// before it is whole depends on that.
    pub async fn serve_plain<S>(&self, stream: S, first: Vec<u8>, first_piece: usize)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        let behind = if shared.redirect { Behind::Redirect } else { Behind::Site };
        let stream = Rewound::in_pieces(first, first_piece, stream);
        http_server::serve_http1(shared, stream, Arc::new(NoRooms), behind).await;
    }

    /// Asks all connections to end: they finish what is under way, for [`Limits::farewell`] at most.
    /// Key holders' tunnels go on until the wearer ends them.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }
}
