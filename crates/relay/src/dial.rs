//! A connection to whichever of several addresses answers: a datacentre's, or the mask host's.
//!
//! Addresses race in order of preference; whoever failed or was overtaken is asked last for a minute.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::race;

/// How long an address that failed is asked last.
const PENANCE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Dialer {
    /// When an address was last seen to fail.
    failed: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Dialer {
    /// Connects to one of these, best first; `None` when none of them answers.
    pub(crate) async fn dial(
        &self,
        best_first: Vec<SocketAddr>,
    ) -> Option<(TcpStream, SocketAddr)> {
        let race::Outcome { winner, failed, overtaken } = race::run(self.order(best_first)).await;
        for (address, _) in failed {
            self.note(address, true);
        }
        let (_, address) = winner.as_ref()?;
        self.note(*address, false);
        for address in overtaken {
            self.note(address, true);
        }
        winner
    }

    /// The addresses, those that failed lately after all others.
    fn order(&self, mut endpoints: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.sort_by_key(|at| failed.get(at).is_some_and(|when| when.elapsed() < PENANCE));
        endpoints
    }

    /// Asks this address last for a while: it accepts connections and says nothing on them.
    pub(crate) fn mark_silent(&self, address: SocketAddr) {
        self.note(address, true);
    }

    fn note(&self, address: SocketAddr, has_failed: bool) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if has_failed {
            // A mask host may have any number of addresses over time.
            failed.retain(|_, when| when.elapsed() < PENANCE);
            failed.insert(address, Instant::now());
        } else {
            failed.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn open() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        (listener, address)
    }

    /// An address where nobody listens.
    fn closed() -> SocketAddr {
        open().1
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses_and_is_asked_first_from_then_on() {
        let (_listener, good) = open();
        let bad = closed();
        let dialer = Dialer::default();
        let both = || vec![bad, good];
        assert_eq!(dialer.order(both()), [bad, good]);
        let (stream, address) = dialer.dial(both()).await.expect("the second answers");
        assert_eq!((stream.peer_addr().expect("a peer"), address), (good, good));
        assert_eq!(dialer.order(both()), [good, bad]);
    }

    #[tokio::test]
    async fn nobody_answering_is_told_and_not_waited_for() {
        let dialer = Dialer::default();
        for nobody in [vec![closed(), closed()], vec![]] {
            let soon = Duration::from_secs(5);
            let dialled = tokio::time::timeout(soon, dialer.dial(nobody)).await;
            assert!(dialled.expect("told in time").is_none());
        }
    }
}
