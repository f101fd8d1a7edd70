//! What is in requests and answers.

use std::borrow::Cow;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use wire::crack::Network;
use wire::mtproto::ProxyLink;

use crate::clerk::{Handout, Refused, RequestKey};

/// Somebody wants a way in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask<'a> {
    /// What the door calls them, always the same. Without it each request is somebody else.
    #[serde(borrow)]
    pub person: Option<Cow<'a, str>>,
    /// 16 bytes in hexadecimal, made by the door: the same again where an answer was lost.
    #[serde(borrow)]
    request: Cow<'a, str>,
    /// Their network, as AS9198.
    #[serde(borrow)]
    network: Option<Cow<'a, str>>,
}

impl Ask<'_> {
    pub fn request(&self) -> Result<RequestKey, Refused> {
        let bytes = HEXLOWER_PERMISSIVE.decode(self.request.as_bytes()).ok();
        let key = bytes.and_then(|bytes| bytes.try_into().ok());
        key.ok_or(Refused::Bad("a request has a key of 16 bytes, in hexadecimal"))
    }

    pub fn network(&self) -> Result<Option<u32>, Refused> {
        let network = self.network.as_ref().map(|text| text.parse()).transpose();
        match network.map_err(|_| Refused::Bad("a network is given by its number, as AS9198"))? {
            Some(Network::As(number)) => Ok(Some(number)),
            // A name that nobody has looked up leads nowhere.
            Some(Network::Named(_) | Network::Unknown) | None => Ok(None),
        }
    }
}

/// Whether it works.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    pub works: bool,
}

/// A way in.
#[derive(Serialize)]
pub(super) struct Seats<'a> {
    ticket: &'a str,
    links: Vec<Link>,
    /// In seconds.
    refresh: u32,
}

#[derive(Serialize)]
struct Link {
    tg: String,
    https: String,
}

impl<'a> Seats<'a> {
    pub fn of(handout: &'a Handout) -> Self {
        let link = |link: &ProxyLink| Link { tg: link.tg(), https: link.https() };
        Self {
            ticket: &handout.ticket,
            links: handout.links.iter().map(link).collect(),
            refresh: handout.refresh,
        }
    }
}

/// How many receipts say something new.
#[derive(Serialize)]
pub(super) struct Counted {
    pub counted: usize,
}

/// Why not.
#[derive(Serialize)]
pub(super) struct Problem {
    pub error: String,
}
