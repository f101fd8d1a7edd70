//! A censor: what stands on the border of a network and harms what passes.
//!
//! It is a row of pieces. The first stands nearest to the inside: what goes out passes them in their
//! order, what comes in passes them the other way round, and what a piece sends itself starts from
//! where it stands. So a delay before a box that lies is the way to that box, and a delay behind it
//! is the way from there to the world.
//!
//! ```no_run
//! use std::time::Duration;
//! use lab::censor::{Censor, Delay, Loss, Only, Transport};
//! use lab::country;
//!
//! fn a_few_ports_are_left_and_far_away() -> lab::Result {
//!     country(|lab| {
//!         let inside = lab.network("inside")?;
//!         let censor = Censor::on(&inside)
//!             .piece(Only::tcp([179, 646]).udp([53]))
//!             .piece(Delay::of(Duration::from_millis(100)))
//!             .start()?;
//!         // ... somebody inside looks for a way out, and then:
//!         assert!(censor.witness().heard(Transport::Tcp).values().all(|&knocks| knocks == 1));
//!         // The censor thinks of something else.
//!         censor.replace(0, Loss::of(0.3))
//!     })
//! }
//! ```
//!
//! Any piece can be narrowed: [`Piece::when`] shows it only some packets, [`Piece::during`] and
//! [`Piece::except`] have it at work only at some hours of a [`Clock`](crate::Clock).
//!
//! Packets are real: they were made by the kernels of the lab, and go on to them. To write a new piece,
//! implement [`Piece`]; `pieces/loss.rs` is a short one.
//!
//! What it cannot do: two censors on one network (put all pieces into one row, or one network into
//! another); address translation on the very router that it stands on; and fragments, which it passes
//! through its pieces as packets of no transport.

mod chance;
mod checksum;
mod flows;
pub mod forge;
mod gate;
mod packet;
mod piece;
mod pieces;
mod row;
mod witness;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub use flows::Flows;
pub use packet::{ACK, FIN, Flow, Packet, RST, SYN, Segment, Transport, Way};
pub use piece::{Border, Piece, Verdict};
pub use pieces::*;
pub use witness::{Count, Knock, Traffic, Witness};

use crate::error::{Doing, Error, Result};
use crate::network::Network;
use crate::node::Node;
use row::Row;

/// A censor that is not at work yet.
#[derive(Debug)]
pub struct Plan {
    router: Arc<Node>,
    pieces: Vec<Box<dyn Piece>>,
    seed: u64,
}

impl Plan {
    /// Puts one more piece between the others and the world.
    #[must_use]
    pub fn piece(mut self, piece: impl Piece) -> Self {
        self.pieces.push(Box::new(piece));
        self
    }

    /// Puts more pieces there.
    #[must_use]
    pub fn pieces(mut self, pieces: impl IntoIterator<Item = Box<dyn Piece>>) -> Self {
        self.pieces.extend(pieces);
        self
    }

    /// Lets the dice fall differently, 1 being the default. As long as the packets of a way come in
    /// the same order, the same seed harms the same ones.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Lets it go to work, at once.
    ///
    /// # Errors
    /// [`Error::Missing`] without `/dev/net/tun`; when the network has a censor already, or is the
    /// outermost one; and when the system refuses.
    pub fn start(self) -> Result<Censor> {
        if self.router.router().is_none() {
            return Err(Error::Unexpected("the outermost network has no border".to_owned()));
        }
        if !Path::new("/dev/net/tun").exists() {
            return Err(Error::Missing("no /dev/net/tun".to_owned()));
        }
        let row = Arc::new(Mutex::new(Row::new(self.pieces, self.seed)));
        let (end, ended) = oneshot::channel();
        let (opened, wait) = mpsc::channel();
        let judged = row.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing("building a runtime")?;
        let thread = self.router.namespace().thread("censor", move || {
            runtime.block_on(async {
                match gate::open() {
                    Ok(links) => {
                        let _ = opened.send(Ok(()));
                        gate::stand(judged, links, ended).await;
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            });
        })?;
        let opened = wait.recv().expect("the thread answers before it ends");
        opened.doing("opening the links of a censor")?;
        let censor = Censor { row, router: self.router, end: Some(end), thread: Some(thread) };
        gate::lead(&censor.router)?;
        Ok(censor)
    }
}

/// A censor at work. Dropped, it goes with what it held, and everything passes.
pub struct Censor {
    row: Arc<Mutex<Row>>,
    router: Arc<Node>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Censor {
    /// A censor for the border between this network, with all that is in it, and the rest of the world.
    #[must_use]
    pub fn on(network: &Network) -> Plan {
        Plan { router: network.router().clone(), pieces: Vec::new(), seed: 1 }
    }

    /// Puts another piece into a place, the first being 0. The old one is forgotten, with its counts;
    /// what it held goes on. The dice begin anew.
    ///
    /// # Errors
    /// When there is no such place.
    pub fn replace(&self, place: usize, piece: impl Piece) -> Result {
        match self.row().replace(place, Box::new(piece)) {
            true => Ok(()),
            false => Err(Error::Unexpected(format!("the censor has no piece {place}"))),
        }
    }

    /// Puts other pieces, as many as wanted, into the place of all.
    pub fn replace_all(&self, pieces: impl IntoIterator<Item = Box<dyn Piece>>) {
        let pieces = pieces.into_iter().collect();
        self.row().set(pieces);
    }

    /// What the pieces have done so far, in their order.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        self.row().counts()
    }

    /// What was seen so far.
    #[must_use]
    pub fn witness(&self) -> Witness {
        self.row().witness.clone()
    }

    /// Looks at what was seen so far without copying it; the border stands still meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&Witness) -> T) -> T {
        look(&self.row().witness)
    }

    /// Forgets what was seen so far.
    pub fn forget(&self) {
        self.row().witness = Witness::new();
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Censor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Censor").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Drop for Censor {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
        gate::leave(&self.router);
    }
}
