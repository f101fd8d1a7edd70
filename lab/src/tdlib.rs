//! TDLib, the library inside Telegram's own apps: the real client, which takes links as people do.

use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::script;

/// What came of one link.
#[derive(Clone, Debug)]
pub struct Ping {
    /// The link, as it was given.
    pub link: String,
    /// How long a message and its answer took, or what TDLib said instead.
    pub outcome: Result<Duration, String>,
    /// How long it was until TDLib said so, handshake and all.
    pub took: Duration,
}

impl Ping {
    /// Whether Telegram answered.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }
}

/// Opens every link in a fresh TDLib on this host, one after the other, and pings through it.
///
/// # Errors
/// [`Error::Missing`] without TDLib, and when it breaks down. That a ping fails is no error.
pub fn ping(host: &Host, links: impl IntoIterator<Item = impl Into<String>>) -> Result<Vec<Ping>> {
    let links: Vec<String> = links.into_iter().map(Into::into).collect();
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let text = script::run(host, "tdlib_ping.py", links)?;
    text.lines().map(read).collect()
}

/// Opens every link as [`ping`] does; all must work.
///
/// # Errors
/// When one does not, and those of [`ping`].
pub fn ping_all(host: &Host, links: impl IntoIterator<Item = impl Into<String>>) -> Result {
    let pings = ping(host, links)?;
    let failed: Vec<_> = pings.iter().filter(|ping| !ping.is_ok()).collect();
    if failed.is_empty() && !pings.is_empty() {
        return Ok(());
    }
    let (bad, all) = (failed.len(), pings.len());
    Err(Error::Unexpected(format!("{bad} of {all} links do not work: {failed:#?}")))
}

fn read(line: &str) -> Result<Ping> {
    let bad = || Error::Unexpected(format!("tdlib_ping.py printed {line}"));
    let value: Value = serde_json::from_str(line).map_err(|_| bad())?;
    let seconds = |name: &str| value[name].as_f64().map(Duration::from_secs_f64);
    let error = || value["error"].as_str().unwrap_or("no reason").to_owned();
    Ok(Ping {
        link: value["link"].as_str().ok_or_else(bad)?.to_owned(),
        outcome: seconds("seconds").ok_or_else(error),
        took: seconds("took").ok_or_else(bad)?,
    })
}
