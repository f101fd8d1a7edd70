//! Somewhere that hosts are connected to each other.

use std::net::IpAddr;
use std::sync::Arc;

use crate::error::Result;
use crate::host::Host;
use crate::node::Node;
use crate::warden::Warden;

/// A country, a provider, a data centre: what passes between its hosts and the rest of the world
/// passes its router.
#[derive(Clone, Debug)]
pub struct Network(Arc<Node>);

impl Network {
    pub(crate) fn internet() -> Result<Self> {
        let node = Node::new("internet", None, Arc::new(Warden::new()?))?;
        node.forward()?;
        Ok(Self(Arc::new(node)))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// A network within this one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn network(&self, name: &str) -> Result<Self> {
        let node = Node::below(&self.0, name)?;
        node.forward()?;
        Ok(Self(Arc::new(node)))
    }

    /// A machine on this network, with as many addresses as it is given, IPv4 and IPv6.
    ///
    /// # Errors
    /// When an address is none, or the system refuses.
    pub fn host(&self, name: &str, addresses: &[&str]) -> Result<Host> {
        Host::new(Node::below(&self.0, name)?, addresses)
    }

    /// Drops whatever goes to `address` from or through this network, without a word.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn swallow(&self, address: IpAddr) -> Result {
        self.0.swallow(address)
    }

    /// From now on a firewall drops what goes to these TCP ports of `address` through this network, as
    /// many a provider does.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) without nft, and whatever the system refuses.
    pub fn firewall(&self, address: IpAddr, ports: &[u16]) -> Result {
        self.0.firewall("forward", address, ports)
    }

    /// Its router.
    pub(crate) fn router(&self) -> &Arc<Node> {
        &self.0
    }

    /// Lets through again what it swallowed.
    pub fn carry(&self, address: IpAddr) {
        self.0.forget(address);
    }
}
