//! Clients of the WEB proxy: a bridge page in a real browser and the app behind it, and an app that
//! needs no browser.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::{script, tools};

/// How the app holds the page.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// As its own browser window, with an object of the app's in it.
    WebView,
    /// In a frame of a page on 127.0.0.1, in the person's own browser.
    Parent,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// `all came back`, or what went wrong.
    pub outcome: String,
    /// What the page said about the connection.
    pub states: Vec<String>,
    /// What the address bar showed in the end.
    pub address: String,
}

/// Opens a bridge page in Chromium on this host and sends more over it than its credit, on several
/// streams, expecting all of it back.
///
/// # Errors
/// [`Error::Missing`] without Chromium, and when it breaks down.
pub fn open(host: &Host, way: Way, url: &str) -> Result<Told> {
    tools::need("chromium")?;
    let way = match way {
        Way::WebView => "webview",
        Way::Parent => "parent",
    };
    let text = script::run(host, "bridge.py", [way, url])?;
    let value: Option<Value> = serde_json::from_str(&text).ok();
    let told = value.and_then(|value| {
        let states = value["states"].as_array()?.iter();
        Some(Told {
            outcome: value["outcome"].as_str()?.to_owned(),
            states: states.filter_map(|state| Some(state.as_str()?.to_owned())).collect(),
            address: value["address"].as_str()?.to_owned(),
        })
    });
    told.ok_or_else(|| Error::Unexpected(format!("bridge.py printed {text}")))
}

/// What kurigram says when it carries more than a stream's credit to a WEB proxy and back, without
/// TLS, on 127.0.0.1.
///
/// # Errors
/// [`Error::Missing`] without kurigram, and when it breaks down.
pub fn kurigram(host: &Host, name: &str, secret: &str, port: u16) -> Result<String> {
    let port = port.to_string();
    let told = script::run(host, "web_carrier.py", [name, secret, &port]);
    told.map_err(|error| match error {
        Error::Command { said, .. } if said.contains("No module named 'pyrogram'") => {
            Error::Missing("no kurigram (pip install kurigram)".to_owned())
        }
        other => other,
    })
}
