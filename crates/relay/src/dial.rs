//! A connection to whichever of several addresses answers: a datacentre's, or the mask host's.
//!
//! RFC 8305 ("happy eyeballs"): addresses are tried in order of preference, the next one as soon as
//! the one before it has failed or has kept us waiting for a quarter of a second. The first that
//! answers wins, and whoever was overtaken is asked last for a minute.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an address is waited for before the next one is tried as well.
const STAGGER: Duration = Duration::from_millis(250);
/// How long one address is waited for at all.
const PATIENCE: Duration = Duration::from_secs(10);
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
        let mut waiting = self.order(best_first).into_iter().peekable();
        let mut attempts = JoinSet::new();
        let mut pending = Vec::new();
        loop {
            if let Some(address) = waiting.next() {
                pending.push(address);
                attempts.spawn(async move { (address, connect(address).await) });
            }
            // With nobody left to try, there is nothing to do but wait for those under way.
            let patience = if waiting.peek().is_some() { STAGGER } else { PATIENCE };
            match timeout(patience, attempts.join_next()).await {
                Ok(Some(Ok((address, Some(stream))))) => {
                    pending.retain(|other| *other != address);
                    self.note(address, false);
                    for overtaken in pending {
                        self.note(overtaken, true);
                    }
                    return Some((stream, address));
                }
                Ok(Some(Ok((address, None)))) => {
                    pending.retain(|other| *other != address);
                    self.note(address, true);
                }
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
            if waiting.peek().is_none() && attempts.is_empty() {
                return None;
            }
        }
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

async fn connect(address: SocketAddr) -> Option<TcpStream> {
    timeout(PATIENCE, TcpStream::connect(address)).await.ok()?.ok()
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
            let dialled = timeout(PATIENCE / 2, dialer.dial(nobody)).await;
            assert!(dialled.expect("told in time").is_none());
        }
    }
}
