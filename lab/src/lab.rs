//! A lab, and the frame of a test in one.

use std::io::Write;
use std::ops::Deref;

use nix::unistd::geteuid;

use crate::error::{Error, Result};
use crate::network::Network;

/// A world of its own: an internet that every network and host of the lab hangs on, and that leads
/// nowhere else. When it is dropped, or its process killed, nothing of it stays.
#[derive(Debug)]
pub struct Lab(Network);

impl Lab {
    /// An empty world.
    ///
    /// # Errors
    /// [`Error::Missing`] without root, and whatever the system refuses.
    pub fn new() -> Result<Self> {
        if !geteuid().is_root() {
            return Err(Error::Missing("needs root".to_owned()));
        }
        Network::internet().map(Self)
    }
}

impl Deref for Lab {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.0
    }
}

/// Runs a test in a lab. Where the machine lacks something that the test needs, it says so and the
/// test counts as passed, unless `JARYQ_LAB=all` asks for every test to be run.
///
/// # Errors
/// Those of the test.
pub fn country(test: impl FnOnce(&Lab) -> Result) -> Result {
    match Lab::new().and_then(|lab| test(&lab)) {
        Err(Error::Missing(what))
            if std::env::var_os("JARYQ_LAB").is_none_or(|all| all != "all") =>
        {
            // Not by a print macro: of a passed test, nobody would see it.
            let _ = writeln!(std::io::stderr(), "skipped: {what}");
            Ok(())
        }
        done => done,
    }
}
