//! An access key, as a relay prints it.

use std::net::SocketAddr;

use serde_json::Value;
use wire::derive::Secret;
use wire::mtproto::{ProxyLink, ProxySecret};

use crate::error::{Error, Result};

/// A key and every link that was printed for it.
#[derive(Clone, Debug)]
pub struct Key {
    /// What commands call it.
    pub id: String,
    /// In the order in which they were printed.
    pub links: Vec<String>,
}

/// A key for browsers and other apps, as it was printed.
#[derive(Clone, Debug)]
pub struct WebKey {
    /// What commands call it.
    pub id: String,
    /// `tg://socks?..`
    pub tg: String,
    /// `https://t.me/socks?..`
    pub https: String,
    /// `socks5://user:password@server:port`
    pub socks5: String,
    /// `http://user:password@server:port`
    pub http: String,
}

impl WebKey {
    pub(super) fn in_object(printed: &Value) -> Option<Self> {
        let key = printed.get("key")?;
        let link = |name| key["links"][name].as_str().map(str::to_owned);
        Some(Self {
            id: key["id"].as_str()?.to_owned(),
            tg: link("tg")?,
            https: link("https")?,
            socks5: link("socks5")?,
            http: link("http")?,
        })
    }
}

/// How a link's traffic is dressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// 16 bytes.
    Plain,
    /// `dd`.
    Padded,
    /// `ee`.
    FakeTls,
}

impl Form {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Padded, Self::FakeTls];

    fn of(link: &str) -> Option<Self> {
        match link.parse::<ProxyLink>().ok()?.secret {
            ProxySecret::Plain(_) => Some(Self::Plain),
            ProxySecret::Padded(_) => Some(Self::Padded),
            ProxySecret::FakeTls(..) => Some(Self::FakeTls),
        }
    }
}

impl Key {
    /// Every key in what a relay printed: whatever has an id and links, however deep.
    pub(super) fn all_in(printed: &Value) -> Vec<Self> {
        let Value::Object(object) = printed else {
            let inner = printed.as_array().into_iter().flatten();
            return inner.flat_map(Self::all_in).collect();
        };
        match (object.get("id"), object.get("links")) {
            (Some(Value::String(id)), Some(printed)) => {
                let mut links = Vec::new();
                collect(printed, &mut links);
                vec![Self { id: id.clone(), links }]
            }
            _ => object.values().flat_map(Self::all_in).collect(),
        }
    }

    /// The first link of this form.
    ///
    /// # Errors
    /// When none was printed.
    pub fn link(&self, form: Form) -> Result<&str> {
        self.links
            .iter()
            .find(|link| Form::of(link) == Some(form))
            .map(String::as_str)
            .ok_or_else(|| Error::Unexpected(format!("no {form:?} link in {self:?}")))
    }

    /// The same key's link of this form to another address or port than was printed.
    ///
    /// # Errors
    /// When no link of this form was printed.
    pub fn link_to(&self, form: Form, at: SocketAddr) -> Result<String> {
        let query = self.link(form)?.split_once("secret=").expect("a link has a secret").1;
        let (server, port) = (at.ip(), at.port());
        Ok(format!("tg://proxy?server={server}&port={port}&secret={query}"))
    }
}

/// A link like this one, with a secret that opens nothing.
///
/// # Errors
/// When it is no link.
pub fn forged(link: &str) -> Result<String> {
    let link: ProxyLink =
        link.parse().map_err(|error| Error::Unexpected(format!("{link}: {error}")))?;
    let secret = match link.secret {
        ProxySecret::Plain(_) => ProxySecret::Plain(Secret([7; 16])),
        ProxySecret::Padded(_) => ProxySecret::Padded(Secret([7; 16])),
        ProxySecret::FakeTls(_, name) => ProxySecret::FakeTls(Secret([7; 16]), name),
    };
    Ok(ProxyLink { secret, ..link }.tg())
}

/// Every string that is a link.
fn collect(value: &Value, links: &mut Vec<String>) {
    match value {
        Value::String(text) if Form::of(text).is_some() => links.push(text.clone()),
        Value::Array(inner) => inner.iter().for_each(|value| collect(value, links)),
        Value::Object(inner) => inner.values().for_each(|value| collect(value, links)),
        _ => {}
    }
}
