//! The real `jaryq hub`, on a host of the lab.

use std::fs::Permissions;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::error::{Doing, Error, Result};
use crate::host::Host;
use crate::relay::{Owner, Process, jaryq};

/// How long a hub may take to come up: its passphrase is made dear to try.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often it is asked again for what is awaited.
const AGAIN: Duration = Duration::from_millis(200);

/// A running hub; dropped, it is killed.
#[derive(Debug)]
pub struct Hub {
    owner: Owner,
    arguments: Vec<String>,
    process: Process,
    ready: Value,
}

impl Hub {
    /// Starts one on this host, on all its addresses and port 443, with whatever else its command line
    /// is to have.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not built, and when it does not come up.
    pub fn start(host: &Host, arguments: &[&str]) -> Result<Self> {
        let folder = host.folder()?;
        let passphrase = folder.join("passphrase");
        std::fs::write(&passphrase, "apples and pears of Almaty\n")
            .doing("writing a passphrase")?;
        let private = Permissions::from_mode(0o600);
        std::fs::set_permissions(&passphrase, private).doing("keeping a passphrase")?;
        let addresses = host.addresses().iter().map(IpAddr::to_string).collect::<Vec<_>>();
        let mut all = vec!["hub".to_owned(), "--json".to_owned(), "--address".to_owned()];
        all.push(addresses.join(","));
        all.extend(["--passphrase-file".to_owned(), passphrase.display().to_string()]);
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        Self::launch(Owner::of(host, folder.join("hub")), all)
    }

    fn launch(owner: Owner, arguments: Vec<String>) -> Result<Self> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let process = Process::start(owner.host(), jaryq(&[], &words, owner.state())?)?;
        let ready = process.event("ready", PATIENCE)?;
        Ok(Self { owner, arguments, process, ready })
    }

    /// What it said of itself when it came up.
    #[must_use]
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// Where it keeps its journal.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.owner.state()
    }

    /// Runs one of its verbs: what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn verb(&self, arguments: &[&str]) -> Result<Value> {
        verb(&self.owner, arguments)
    }

    /// The same as people see it; everything that it wrote.
    ///
    /// # Errors
    /// When it fails.
    pub fn text(&self, arguments: &[&str]) -> Result<String> {
        self.owner.text(&[&["hub"], arguments].concat())
    }

    /// A line with which one relay can join.
    ///
    /// # Errors
    /// When there is none.
    pub fn invite(&self) -> Result<String> {
        let told = self.verb(&["invite"])?;
        let none = || Error::Unexpected(format!("no invite in {told}"));
        told["invite"].as_str().map(str::to_owned).ok_or_else(none)
    }

    /// The telegram links that it gives to one more person, the best first.
    ///
    /// # Errors
    /// When it gives none.
    pub fn give(&self) -> Result<Vec<String>> {
        let told = self.verb(&["give"])?;
        let links = told["links"].as_array().into_iter().flatten();
        let links: Vec<String> =
            links.filter_map(|link| Some(link["tg"].as_str()?.to_owned())).collect();
        if links.is_empty() {
            return Err(Error::Unexpected(format!("no link in {told}")));
        }
        Ok(links)
    }

    /// Waits until what a verb says is as it should be, and gives that.
    ///
    /// # Errors
    /// When it is not in time, and those of the verb.
    pub fn until(
        &self,
        verb: &[&str],
        limit: Duration,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let end = Instant::now() + limit;
        loop {
            let told = self.verb(verb)?;
            if is_it(&told) {
                return Ok(told);
            }
            if Instant::now() > end {
                return Err(Error::Unexpected(format!("after {limit:?}: {told}")));
            }
            sleep(AGAIN);
        }
    }

    /// Waits until it has reached so many relays from outside.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn until_reached(&self, relays: usize, limit: Duration) -> Result<Value> {
        self.until(&["relays"], limit, |told| {
            let all = told["relays"].as_array().into_iter().flatten();
            all.filter(|relay| relay["is_reached"] == true).count() >= relays
        })
    }

    /// Kills it without a warning.
    #[must_use]
    pub fn crash(self) -> Crashed {
        let Self { owner, arguments, process, .. } = self;
        drop(process);
        Crashed { owner, arguments }
    }

    /// Asks it to stop, and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time, or badly.
    pub fn stop(mut self, limit: Duration) -> Result {
        self.process.signal(Signal::SIGTERM)?;
        let status = self.process.ended(limit)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Unexpected(format!("the hub ended with {status}")))
    }
}

/// What a hub leaves that was killed.
#[derive(Debug)]
pub struct Crashed {
    owner: Owner,
    arguments: Vec<String>,
}

impl Crashed {
    /// Starts it again on the same state.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(self) -> Result<Hub> {
        Hub::launch(self.owner, self.arguments)
    }

    /// Runs a verb although it does not run: what was printed.
    ///
    /// # Errors
    /// When the verb fails.
    pub fn verb(&self, arguments: &[&str]) -> Result<Value> {
        verb(&self.owner, arguments)
    }
}

fn verb(owner: &Owner, arguments: &[&str]) -> Result<Value> {
    let printed = owner.command(&[&["hub"], arguments, &["--json"]].concat())?;
    let nothing = || Error::Unexpected(format!("jaryq hub {arguments:?} printed nothing"));
    printed.into_iter().next().ok_or_else(nothing)
}
