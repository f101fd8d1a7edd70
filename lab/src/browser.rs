//! Real browsers, which are given a proxy as it was printed.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Value, json};

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
    let arguments = [browser.name(), proxy].into_iter().chain(urls.iter().copied());
    let text = drive(host, browser, "browser.py", arguments)?;
    let page = |line: &str| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        let page = value.and_then(|value| Some(value["page"].as_str()?.to_owned()));
        page.ok_or_else(|| Error::Unexpected(format!("browser.py printed {line}")))
    };
    text.lines().map(page).collect()
}

/// What somebody does who was given an HTTPS proxy.
#[derive(Clone, Debug)]
pub struct ProxyVisit<'a> {
    /// Whether the browser may speak HTTP/2.
    pub http2: bool,
    /// Where the proxy's PAC file is.
    pub pac: &'a str,
    /// Where a browser asks for the password.
    pub log_in: &'a str,
    /// What is typed there.
    pub login: (&'a str, &'a str),
    /// Who vouches for the proxy.
    pub authority: &'a Path,
    /// The proxy's host, on port 443.
    pub relay: &'a str,
    /// The new files of a renewed certificate, and which ones they replace.
    pub renewal: [(&'a Path, &'a Path); 2],
}

/// Opens pages by way of an HTTPS proxy: before the log-in, after it, and when the proxy's certificate
/// has been renewed. What the browser shows, under the words `before`, `log-in`, `after` and `renewed`;
/// how often it asked for the password, under `asked before` and `asked after`.
///
/// # Errors
/// As [`open`].
pub fn open_by_https(
    host: &Host,
    browser: Browser,
    visit: &ProxyVisit<'_>,
    urls: &[&str],
) -> Result<Vec<(String, String)>> {
    let plan = json!({
        "browser": browser.name(),
        "http2": visit.http2,
        "pac": visit.pac,
        "log_in": visit.log_in,
        "user": visit.login.0,
        "password": visit.login.1,
        "authority": visit.authority,
        "relay": (visit.relay, 443),
        "renewal": visit.renewal,
        "urls": urls,
    });
    let text = drive(host, browser, "https_proxy.py", [plan.to_string()])?;
    let step = |line: &str| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        let [step, page] = ["step", "page"].map(|name| value.as_ref()?[name].as_str());
        let step = step.zip(page).map(|(step, page)| (step.to_owned(), page.to_owned()));
        step.ok_or_else(|| Error::Unexpected(format!("https_proxy.py printed {line}")))
    };
    text.lines().map(step).collect()
}

impl Browser {
    fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }
}

/// Runs one of the lab's programs that drive this browser; what it printed.
fn drive(
    host: &Host,
    browser: Browser,
    script: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<String> {
    tools::need(match browser {
        Browser::Chromium => "chromium",
        Browser::Firefox => "firefox-esr",
    })?;
    script::run(host, script, arguments).map_err(|error| match error {
        Error::Command { said, .. } if said.contains("No module named 'marionette_driver'") => {
            Error::Missing("no marionette_driver (pip install marionette_driver)".to_owned())
        }
        Error::Command { command, said } => {
            Error::Command { command: format!("{command} {}", browser.name()), said }
        }
        other => other,
    })
}
