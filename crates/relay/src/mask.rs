//! The website that everybody without a key meets.

pub(crate) mod likeness;
pub(crate) mod study;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use wire::mtproto::ServerName;

use crate::names::{Names, NoAddress};

/// Where strangers are carried to: `HOST[:PORT]`, port 443 if none is given.
///
/// `*.example.org` stands for a host with a wildcard certificate and DNS entry: strangers are
/// carried to `example.org`, and each link names a label of its key's bucket before it.
#[derive(Clone, Debug)]
pub struct Mask {
    host: Host,
    port: u16,
    wildcard: bool,
    /// Where its name led the last time.
    known: Arc<Mutex<Vec<IpAddr>>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Host {
    Name(ServerName),
    Address(IpAddr),
}

impl Mask {
    /// The name that fake-TLS links carry; a mask that is a bare address has none.
    #[must_use]
    pub fn server_name(&self) -> Option<&ServerName> {
        match &self.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// Whether a hello with this name asks for the mask host, or for a name below it.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let Host::Name(own) = &self.host else { return false };
        let below = name.split_once('.').map(|(_, rest)| rest).filter(|_| self.wildcard);
        [Some(name), below]
            .into_iter()
            .flatten()
            .any(|name| name.eq_ignore_ascii_case(own.as_str()))
    }

    /// Whether each bucket's links carry a name of their own.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Where the mask host is now; or was, while the name servers do not say.
    ///
    /// # Errors
    /// When its name leads nowhere and never did.
    pub async fn addresses(&self, names: &Names) -> Result<Vec<SocketAddr>, NoAddress> {
        let at = |ips: &[IpAddr]| ips.iter().map(|ip| (*ip, self.port).into()).collect();
        let name = match &self.host {
            Host::Address(ip) => return Ok(at(&[*ip])),
            Host::Name(name) => name,
        };
        let answer = names.addresses(name.as_str()).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(ips) => {
                *known = ips;
                Ok(at(&known))
            }
            Err(_) if !known.is_empty() => Ok(at(&known)),
            Err(reason) => Err(reason),
        }
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.wildcard { "*." } else { "" };
        match &self.host {
            Host::Name(name) => write!(f, "{star}{name}:{}", self.port),
            Host::Address(ip) => write!(f, "{}", SocketAddr::from((*ip, self.port))),
        }
    }
}

/// This is no mask host.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no host to hide behind: give a name or an address, and :PORT if it is not 443")]
pub struct BadMask(String);

impl FromStr for Mask {
    type Err = BadMask;

    fn from_str(text: &str) -> Result<Self, BadMask> {
        let bad = || BadMask(text.chars().take(200).collect());
        let new = |host, port, wildcard| Ok(Self { host, port, wildcard, known: Arc::default() });
        if let Ok(ip) = text.parse() {
            return new(Host::Address(ip), 443, false);
        }
        if let Ok(at) = text.parse::<SocketAddr>() {
            return if at.port() == 0 {
                Err(bad())
            } else {
                new(Host::Address(at.ip()), at.port(), false)
            };
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => {
                (name, port.parse().ok().filter(|&port| port != 0).ok_or_else(bad)?)
            }
            None => (text, 443),
        };
        let (wildcard, name) = match name.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let name: ServerName = name.parse().map_err(|_| bad())?;
        // Telegram's desktop app takes no name below four letters; only digits and dots are a
        // mistyped address.
        let is_name =
            name.as_str().len() >= 4 && name.as_str().bytes().any(|b| b.is_ascii_alphabetic());
        if is_name { new(Host::Name(name), port, wildcard) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, shown, name) in [
            ("example.org", "example.org:443", Some("example.org")),
            ("Example.org:8443", "example.org:8443", Some("example.org")),
            ("*.example.org", "*.example.org:443", Some("example.org")),
            ("192.0.2.1", "192.0.2.1:443", None),
            ("[2001:db8::1]:8443", "[2001:db8::1]:8443", None),
            ("2001:db8::1", "[2001:db8::1]:443", None),
        ] {
            let mask: Mask = text.parse().expect(text);
            assert_eq!(mask.to_string(), shown);
            assert_eq!(mask.server_name().map(ServerName::as_str), name);
        }
        for bad in
            ["", "example.org:0", "https://example.org", "a b", "x:y:z", "192.0.2.300", "x.y"]
        {
            assert!(bad.parse::<Mask>().is_err(), "{bad}");
        }
    }
}
