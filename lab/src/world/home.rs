//! A home: a few hosts behind one box.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::nat::{Nat, Router};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::network::Network;

/// A home. Its box is a [`Router`].
#[derive(Clone, Debug)]
pub struct Home {
    router: Router,
    /// Where the provider has IPv6, the home's own /64.
    prefix: Option<Ipv6Addr>,
    hosts: Arc<AtomicU8>,
}

impl Home {
    pub(super) fn on(
        network: &Network,
        name: &str,
        address: Ipv4Addr,
        prefix: Option<Ipv6Addr>,
        nat: &Nat,
    ) -> Result<Self> {
        let router = Router::on(network, name, address.into(), nat)?;
        Ok(Self { router, prefix, hosts: Arc::default() })
    }

    /// A machine at home: a private IPv4 address, and a public IPv6 address where the provider has IPv6.
    ///
    /// # Errors
    /// When the system refuses, and after 100 of them.
    pub fn host(&self, name: &str) -> Result<Host> {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        let full = || Error::Unexpected("a home has 100 hosts".to_owned());
        let number = number.checked_add(100).filter(|number| *number < 200).ok_or_else(full)?;
        member(self.below(), name, Ipv4Addr::new(192, 168, 1, number), self.prefix, number)
    }
}

impl Deref for Home {
    type Target = Router;

    fn deref(&self) -> &Router {
        &self.router
    }
}

/// A host with this IPv4 address, and this number in a /64 if there is one.
pub(super) fn member(
    network: &Network,
    name: &str,
    v4: Ipv4Addr,
    prefix: Option<Ipv6Addr>,
    number: u8,
) -> Result<Host> {
    let v6 = prefix.map(|prefix| Ipv6Addr::from_bits(prefix.to_bits() | u128::from(number)));
    let v4 = IpAddr::from(v4).to_string();
    match v6 {
        Some(v6) => network.host(name, &[&v4, &v6.to_string()]),
        None => {
            let host = network.host(name, &[&v4])?;
            // Its apps are told at once that they have no IPv6, and do not wait.
            host.node().ip("route del ::/0 dev eth0")?;
            Ok(host)
        }
    }
}
