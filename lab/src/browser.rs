//! Real browsers, which are given a proxy as it was printed.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::{script, tools};

/// A browser of Debian's.
#[derive(Clone, Copy, Debug)]
pub enum Browser {
    /// Package `chromium`. It takes HTTP proxies; for SOCKS5 it knows no password.
    Chromium,
    /// Package `firefox-esr`.
    Firefox,
}

/// Opens pages on this host by way of a proxy with a user name and a password; what the browser
/// shows, in the same order. Certificates are not checked.
///
/// # Errors
/// [`Error::Missing`] without the browser, and when it breaks down. A page that cannot be opened is
/// no error.
pub fn open(host: &Host, browser: Browser, proxy: &str, urls: &[&str]) -> Result<Vec<String>> {
    let (name, program) = match browser {
        Browser::Chromium => ("chromium", "chromium"),
        Browser::Firefox => ("firefox", "firefox-esr"),
    };
    tools::need(program)?;
    let arguments = [name, proxy].into_iter().chain(urls.iter().copied());
    let text = script::run(host, "browser.py", arguments).map_err(|error| match error {
        Error::Command { said, .. } if said.contains("No module named 'marionette_driver'") => {
            Error::Missing("no marionette_driver (pip install marionette_driver)".to_owned())
        }
        Error::Command { command, said } => {
            Error::Command { command: format!("{command} {name}"), said }
        }
        other => other,
    })?;
    let page = |line: &str| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        let page = value.and_then(|value| Some(value["page"].as_str()?.to_owned()));
        page.ok_or_else(|| Error::Unexpected(format!("browser.py printed {line}")))
    };
    text.lines().map(page).collect()
}
