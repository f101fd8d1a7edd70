//! Clients of the WEB proxy: a bridge page in a real browser and the app behind it, and an app that
//! needs no browser.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::Value;
use wire::derive::Secret;
use wire::mtproto::obfuscated::{Dial, Tag};
use wire::mtproto::{DcId, frame};
use wire::webproxy::WebLink;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::message::{self, Request};
use crate::{script, tools};

/// How long the header of a frame is in which intermediate messages come.
const FRAME_HEADER: usize = 4;

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
    play(host, way, url, &[])
}

/// Opens a bridge page in Chromium on this host and asks datacentre 2 by one stream whether it is
/// there; what the page said about the connection. Certificates are not checked.
///
/// # Errors
/// [`Error::Missing`] without Chromium, and when another answer comes than the right one, or none.
pub fn ping(host: &Host, way: Way, url: &str, key: &Secret) -> Result<Vec<String>> {
    let Dial { flight, mut to_server, mut from_server } =
        Dial::new(Tag::Intermediate, DcId(2), Some(key));
    let nonce = [7; 16];
    let mut said = frame::put(Tag::Intermediate, &Request::Ping(nonce).to_message(), 0);
    to_server.apply(&mut said);
    let opening = HEXLOWER.encode(&[&flight[..], &said].concat());
    let length = message::res_pq(nonce, 0).len() + FRAME_HEADER;
    let told = play(host, way, url, &[&opening, &length.to_string()])?;
    let mut answer = HEXLOWER
        .decode(told.outcome.as_bytes())
        .map_err(|_| Error::Unexpected(format!("{told:?}")))?;
    from_server.apply(&mut answer);
    let found = frame::first(Tag::Intermediate, &answer).ok().flatten();
    let is_right =
        found.is_some_and(|found| wire::mtproto::message::res_pq(&answer[found], nonce).is_some());
    if !is_right {
        return Err(Error::Unexpected(format!("another answer: {told:?}")));
    }
    Ok(told.states)
}

fn play(host: &Host, way: Way, url: &str, said: &[&str]) -> Result<Told> {
    tools::need("chromium")?;
    let way = match way {
        Way::WebView => "webview",
        Way::Parent => "parent",
    };
    let text = script::run(host, "bridge.py", [&[way, url], said].concat())?;
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
    run_kurigram(host, "web_carrier.py", &[name, secret, &port])
}

/// Asks a datacentre whether it is there, with kurigram's own transport, by a link as it was printed.
/// Certificates that this one does not vouch for are refused.
///
/// # Errors
/// [`Error::Missing`] without kurigram, and when another answer comes than the right one, or none.
pub fn kurigram_pings(host: &Host, link: &str, certificate: &Path, datacentre: i16) -> Result {
    let link: WebLink =
        link.parse().map_err(|error| Error::Unexpected(format!("{link}: {error}")))?;
    let secret = HEXLOWER.encode(&link.secret.to_bytes());
    let (name, certificate) = (link.address.to_string(), certificate.to_string_lossy());
    let datacentre = datacentre.to_string();
    let arguments = [name.as_str(), &secret, &certificate, &datacentre];
    match run_kurigram(host, "web_ping.py", &arguments)?.trim() {
        "pong" => Ok(()),
        other => Err(Error::Unexpected(format!("web_ping.py printed {other}"))),
    }
}

fn run_kurigram(host: &Host, script: &str, arguments: &[&str]) -> Result<String> {
    script::run(host, script, arguments).map_err(|error| match error {
        Error::Command { said, .. } if said.contains("No module named 'pyrogram'") => {
            Error::Missing("no kurigram (pip install kurigram)".to_owned())
        }
        other => other,
    })
}
