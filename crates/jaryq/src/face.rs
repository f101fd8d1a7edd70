//! What the world sees of a relay, and the links that follow from it.

use std::num::NonZeroU16;

use anyhow::Context;
use relay::Mask;
use serde::{Deserialize, Serialize};
use store::{Identity, Key, Store};
use wire::derive::{Buckets, KeyId, RelayKey};
use wire::mtproto::{ProxyLink, ProxySecret, ServerName};

/// How the relay was last started: left in the state by `up`, so that the other commands print the
/// same links.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Face {
    /// Addresses or names, the one for the links first.
    pub addresses: Vec<String>,
    /// Ports that answer, the one for the links first.
    pub ports: Vec<u16>,
    pub mask: Option<String>,
}

const NOTE: &str = "face";

impl Face {
    pub(crate) async fn save(&self, store: &Store) -> anyhow::Result<()> {
        Ok(store.set_note(NOTE, &serde_json::to_string(self)?).await?)
    }

    /// As it was saved, if the relay was ever started.
    pub(crate) async fn load(store: &Store) -> anyhow::Result<Option<Self>> {
        let text = store.note(NOTE).await?;
        text.map(|text| serde_json::from_str(&text).context("the state is damaged")).transpose()
    }
}

/// One link in its two spellings.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct Link {
    pub tg: String,
    pub https: String,
}

/// A key's links, one of each form.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct Links {
    /// The name of the form to send.
    pub best: &'static str,
    pub dd: Link,
    pub ee: Link,
    pub plain: Link,
    /// What is to be said about a form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ee_is: Option<&'static str>,
}

impl Links {
    pub(crate) fn best(&self) -> &Link {
        if self.best == "ee" { &self.ee } else { &self.dd }
    }
}

/// Makes the links of any key of a relay.
pub(crate) struct LinkMaker {
    face: Face,
    key: RelayKey,
    identity: Identity,
    mask: Option<Mask>,
    buckets: Buckets,
}

/// Well-known names for fake-TLS links of relays without a mask. They convince nobody who looks
/// twice, which is why such links are called weak; a relay always uses the same one.
const FAMILIAR: [&str; 8] = [
    "www.wikipedia.org",
    "www.google.com",
    "www.microsoft.com",
    "www.apple.com",
    "www.cloudflare.com",
    "www.mozilla.org",
    "www.github.com",
    "www.ubuntu.com",
];

impl LinkMaker {
    pub(crate) fn new(face: Face, identity: &Identity) -> anyhow::Result<Self> {
        let key = identity.relay_key();
        let mask = face.mask.as_deref().map(str::parse).transpose()?;
        let buckets = Buckets::new(&key, identity.epoch());
        Ok(Self { face, key, identity: identity.clone(), mask, buckets })
    }

    pub(crate) fn face(&self) -> &Face {
        &self.face
    }

    pub(crate) fn links(&self, key: &Key) -> anyhow::Result<Links> {
        let server = self.face.addresses.first().context("the relay has no address yet")?;
        let port = self.face.ports.first().copied().and_then(NonZeroU16::new);
        let port = port.context("the relay answers on no port yet")?;
        let secret = self.key.secret(key.form, key.id, self.identity.epoch());
        let link = |secret| {
            let link = ProxyLink { server: server.clone(), port, secret };
            Link { tg: link.tg(), https: link.https() }
        };
        let (best, ee_is) = match &self.mask {
            Some(_) => ("ee", None),
            None => ("dd", Some("weak without --mask")),
        };
        Ok(Links {
            best,
            dd: link(ProxySecret::Padded(secret)),
            ee: link(ProxySecret::FakeTls(secret, self.server_name(key.id)?)),
            plain: link(ProxySecret::Plain(secret)),
            ee_is,
        })
    }

    /// The name that a key's fake-TLS link shows to whoever watches the line.
    fn server_name(&self, id: KeyId) -> anyhow::Result<ServerName> {
        let named = |mask: &Mask| mask.server_name().map(|name| (name.clone(), mask.is_wildcard()));
        if let Some((name, wildcard)) = self.mask.as_ref().and_then(named) {
            if !wildcard {
                return Ok(name);
            }
            return Ok(format!("{}.{name}", self.buckets.label(self.buckets.of(id))).parse()?);
        }
        let own =
            self.face.addresses.first().and_then(|address| address.parse::<ServerName>().ok());
        let own = own.filter(|name| name.as_str().bytes().any(|b| b.is_ascii_alphabetic()));
        let familiar = FAMILIAR[self.key.constant("familiar name", FAMILIAR.len())];
        own.map_or_else(|| Ok(familiar.parse()?), Ok)
    }
}
