//! Somebody with a small phone, who sets up their apps by a page, and the proxy that a browser finds
//! by a PAC file.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::{script, tools};

/// What a phone showed.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Which step it was; its picture has that name.
    pub step: String,
    /// The page, as the browser understood it.
    pub page: String,
    /// How wide it is, in pixels of the 360 that there are.
    pub width: u64,
}

/// Opens the link in Chromium on this host, 360 pixels wide, presses its button, changes the
/// language and opens a QR code. Pictures of the steps go into a folder.
///
/// # Errors
/// [`Error::Missing`] without Chromium, and when it breaks down.
pub fn sets_up(host: &Host, scripts: bool, url: &str, pictures: &Path) -> Result<Vec<Shown>> {
    tools::need("chromium")?;
    let scripts = if scripts { "with-scripts" } else { "without-scripts" };
    let folder = pictures.to_string_lossy();
    let text = script::run(host, "setup_page.py", [scripts, url, &folder])?;
    let shown = |line: &str| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        let shown = value.and_then(|value| {
            let text = |name: &str| Some(value[name].as_str()?.to_owned());
            Some(Shown {
                step: text("step")?,
                page: text("page")?,
                width: value["width"].as_u64()?,
            })
        });
        shown.ok_or_else(|| Error::Unexpected(format!("setup_page.py printed {line}")))
    };
    text.lines().map(shown).collect()
}

/// How Chromium would reach each of these hosts by a PAC file.
///
/// # Errors
/// [`Error::Missing`] without Chromium, and when it breaks down.
pub fn finds(host: &Host, pac: &str, hosts: &[&str]) -> Result<Vec<String>> {
    tools::need("chromium")?;
    let arguments = [pac].into_iter().chain(hosts.iter().copied());
    Ok(script::run(host, "pac.py", arguments)?.lines().map(str::to_owned).collect())
}
