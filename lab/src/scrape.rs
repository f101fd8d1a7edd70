//! What a relay tells Prometheus, read as Prometheus' own Python client reads it.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::script;

/// The samples at a URL, by their names and labels, the labels in alphabetical order.
///
/// # Errors
/// When there are none, or none that are well-formed.
pub fn scrape(host: &Host, url: &str) -> Result<BTreeMap<String, f64>> {
    let text = script::run(host, "scrape.py", [url])?;
    serde_json::from_str(&text).map_err(|_| Error::Unexpected(format!("scrape.py printed {text}")))
}
