//! A connection to one of Telegram's datacentres, by whichever of its addresses answers.
//!
//! Addresses race in order of preference; whoever failed or was overtaken is asked last for a minute.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use wire::mtproto::{Datacentre, Datacentres};

use crate::race;

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
        let race::Outcome { winner, failed, overtaken } = race::run(self.order(datacentre)).await;
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
