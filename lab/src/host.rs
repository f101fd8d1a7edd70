//! A machine on a network.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::error::{Doing, Error, Result};
use crate::node::Node;

/// A machine: what is started here sees this host's addresses and links and no others.
#[derive(Clone, Debug)]
pub struct Host {
    node: Arc<Node>,
    addresses: Vec<IpAddr>,
}

impl Host {
    pub(crate) fn new(node: Node, addresses: &[&str]) -> Result<Self> {
        let parse = |text: &&str| {
            text.parse::<IpAddr>().map_err(|error| Error::Unexpected(format!("{text}: {error}")))
        };
        let addresses = addresses.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let lines = addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => format!("addr add {v4}/32 dev eth0\n"),
            IpAddr::V6(v6) => format!("addr add {v6}/128 dev eth0\n"),
        });
        node.ip(&lines.collect::<String>())?;
        node.settle("eth0")?;
        node.announce(&addresses)?;
        let node = Arc::new(node);
        Ok(Self { node, addresses })
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// What the host is called, in messages only.
    #[must_use]
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// All its addresses, in the order in which they were given.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Its first IPv4 address.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn v4(&self) -> IpAddr {
        let mut all = self.addresses.iter().copied();
        all.find(IpAddr::is_ipv4).expect("the host has IPv4")
    }

    /// Its first IPv6 address.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn v6(&self) -> IpAddr {
        let mut all = self.addresses.iter().copied();
        all.find(IpAddr::is_ipv6).expect("the host has IPv6")
    }

    /// Lets everybody in the lab find this host by a name too.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn call(&self, name: &str) -> Result {
        let line = |address| format!("{address} {name}\n");
        let lines: String = self.addresses.iter().map(line).collect();
        let hosts = OpenOptions::new().append(true).open(self.node.warden().hosts());
        hosts.and_then(|mut hosts| hosts.write_all(lines.as_bytes())).doing("writing a name")
    }

    /// Lets everybody in the lab ask `address` for names that nobody here was given.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn name_server(&self, address: IpAddr) -> Result {
        let path = self.node.warden().resolver();
        std::fs::write(path, format!("nameserver {address}\n")).doing("naming a name server")
    }

    /// A new folder for what is made during a test. It goes when the lab goes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn folder(&self) -> Result<PathBuf> {
        tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(self.node.warden().folder())
            .map(TempDir::keep)
            .doing("making a folder")
    }

    /// Starts a program on this host. The lab ends it when the lab itself ends.
    ///
    /// # Errors
    /// When there is no such program, or the system refuses.
    pub fn spawn(&self, mut command: Command) -> Result<Child> {
        self.node.warden().mark(&mut command);
        self.node.namespace().spawn(command)
    }

    /// Starts a program on this host, as its standard streams are set, and waits for its end.
    ///
    /// # Errors
    /// When there is no such program, or the system refuses.
    pub fn output(&self, command: Command) -> Result<Output> {
        let child = self.spawn(command)?;
        child.wait_with_output().doing("waiting for a program")
    }

    /// Starts async code on this host, on a thread and a runtime of its own.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start<T, F>(&self, code: F) -> Result<Task<T>>
    where
        T: Send + 'static,
        F: AsyncFnOnce() -> Result<T> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing("building a runtime")?;
        let body = move || runtime.block_on(code());
        let thread = self.node.namespace().thread(self.name(), body)?;
        Ok(Task(thread))
    }

    /// Runs async code on this host and waits for what it gives.
    ///
    /// # Errors
    /// Those of the code, and what the system refuses.
    ///
    /// # Panics
    /// When the code panics.
    pub fn run<T, F>(&self, code: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce() -> Result<T> + Send + 'static,
    {
        self.start(code)?.join()
    }

    /// From now on nothing reaches `address`, which is this host's, and nothing says so.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn unplug(&self, address: IpAddr) -> Result {
        self.node.router().map_or(Ok(()), |router| router.swallow(address))
    }

    /// From now on this host's own firewall drops what comes to these TCP ports of its first IPv4
    /// address.
    ///
    /// # Errors
    /// [`Error::Missing`] without nft, and whatever the system refuses.
    pub fn firewall(&self, ports: &[u16]) -> Result {
        self.node.firewall("input", self.v4(), ports)
    }

    /// Undoes [`Host::unplug`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn plug(&self, address: IpAddr) -> Result {
        if let Some(router) = self.node.router() {
            router.forget(address);
        }
        self.node.announce(&[address])
    }
}

/// Async code that runs on a host.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<Result<T>>);

impl<T> Task<T> {
    /// Waits for what it gives.
    ///
    /// # Errors
    /// Those of the code.
    ///
    /// # Panics
    /// When the code panicked.
    pub fn join(self) -> Result<T> {
        match self.0.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
