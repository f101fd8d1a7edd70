//! The search for a key, and questions, without a connection around it, for those who measure it.

use std::net::{Ipv4Addr, SocketAddr};

use wire::classify::{Shape, classify};
use wire::derive::{BUCKETS, KeyId};
use wire::echo::Transport;
use wire::mtproto::{faketls, obfuscated};
use wire::tls::hello::ClientHello;

use crate::search::{Hints, Lock};
use crate::sources::Source;
use crate::{Flow, Relay, datagrams, echo};

/// Not for anybody but benchmarks and tests.
#[doc(hidden)]
impl Relay {
    /// Whose key opens this first flight, as far as it is found without waiting. `peer` counts as seen.
    #[must_use]
    pub fn whose_at_once(&self, peer: SocketAddr, port: u16, first: &[u8]) -> Option<KeyId> {
        let (mut lock, server_name) = lock(first)?;
        let (source, source_port) = (Source::from(peer.ip()), peer.port());
        let hints = Hints { source, source_port, port, server_name };
        let found = self.0.finder.at_once(&hints, &mut lock)?;
        self.0.finder.welcome(source, source_port, found);
        Some(found.entry.id)
    }

    /// Whether this is a bundle's question, on a connection.
    #[must_use]
    pub fn is_asked(&self, first: &[u8]) -> bool {
        echo::asked(&self.0, Transport::Tcp, Ipv4Addr::LOCALHOST.into(), first).is_some()
    }

    /// What is said to a datagram.
    #[must_use]
    pub fn said_to(&self, flow: &Flow, datagram: &[u8]) -> Option<Vec<u8>> {
        datagrams::answer(&self.0, flow, datagram)
    }

    /// Whose key opens it, found by trying all.
    #[must_use]
    pub fn whose_of_all(&self, first: &[u8]) -> Option<KeyId> {
        let (mut lock, _) = lock(first)?;
        let keyring = self.0.finder.keyring.load();
        let all = keyring.try_part(0, BUCKETS.into(), usize::MAX, |secret| lock.fits(secret));
        all.found.map(|entry| entry.id)
    }
}

fn lock(first: &[u8]) -> Option<(Lock, Option<&str>)> {
    match classify(first) {
        Shape::Obfuscated(flight) => Some((Lock::Flight(obfuscated::Trial::new(flight)), None)),
        Shape::Hello(record) => {
            let hello = ClientHello::read(record)?;
            Some((Lock::Hello(faketls::Trial::new(&hello)?), hello.server_name))
        }
        Shape::NeedMore | Shape::Nobody => None,
    }
}
