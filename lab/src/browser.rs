//! Real browsers, which are given a proxy as it was printed.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::tools;

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
    let mut command = Command::new(tools::python()?);
    command
        .arg(tools::own("clients/browser.py"))
        .args([name, proxy])
        .args(urls)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = host.output(command)?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("No module named 'marionette_driver'") {
            let hint = "no marionette_driver (pip install marionette_driver)";
            return Err(Error::Missing(hint.to_owned()));
        }
        let command = format!("browser.py {name}");
        return Err(Error::Command { command, said: format!("{}\n{text}{said}", output.status) });
    }
    let page = |line: &str| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        let page = value.and_then(|value| Some(value["page"].as_str()?.to_owned()));
        page.ok_or_else(|| Error::Unexpected(format!("browser.py printed {line}")))
    };
    text.lines().map(page).collect()
}
