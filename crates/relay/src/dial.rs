//! A connection to one of Telegram's datacentres, by whichever of its addresses answers.
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
use wire::mtproto::{Datacentre, Datacentres};

/// How long an address is waited for before the next one is tried as well.
const STAGGER: Duration = Duration::from_millis(250);
/// How long one address is waited for at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an address that failed is asked last.
const PENANCE: Duration = Duration::from_secs(60);

pub(crate) struct Dialer {
    datacentres: Datacentres,
    /// When an address was last seen to fail.
    failed: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Dialer {
    pub(crate) fn new(datacentres: Datacentres) -> Self {
        Self { datacentres, failed: Mutex::default() }
    }

    /// Connects; `None` when no address of the datacentre answers.
    pub(crate) async fn dial(&self, datacentre: Datacentre) -> Option<(TcpStream, SocketAddr)> {
        let mut waiting = self.order(datacentre).into_iter().peekable();
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
    fn order(&self, datacentre: Datacentre) -> Vec<SocketAddr> {
        let mut endpoints = self.datacentres.endpoints(datacentre);
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.sort_by_key(|at| failed.get(at).is_some_and(|when| when.elapsed() < PENANCE));
        endpoints
    }

    /// Asks this address last for a while: it accepts connections and says nothing on them.
    pub(crate) fn is_silent(&self, address: SocketAddr) {
        self.note(address, true);
    }

    fn note(&self, address: SocketAddr, has_failed: bool) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if has_failed {
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
    use wire::mtproto::datacentre::Host;

    const DC: Datacentre = Datacentre::Main(2);

    fn dialer(addresses: &[SocketAddr]) -> Dialer {
        let mut table = Datacentres::default();
        let host = |at: &SocketAddr| Host { ip: at.ip(), port: Some(at.port()) };
        table.set(DC, addresses.iter().map(host).collect());
        Dialer::new(table)
    }

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
        let dialer = dialer(&[bad, good]);
        assert_eq!(dialer.order(DC), [bad, good]);
        let (stream, address) = dialer.dial(DC).await.expect("the second answers");
        assert_eq!((stream.peer_addr().expect("a peer"), address), (good, good));
        assert_eq!(dialer.order(DC), [good, bad]);
    }

    #[tokio::test]
    async fn nobody_answering_is_told_and_not_waited_for() {
        assert!(dialer(&[closed(), closed()]).dial(DC).await.is_none());
        assert!(dialer(&[]).dial(DC).await.is_none());
    }
}
