//! What a certificate is for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A host name, all names one label below one (`*.example.org`), or a bare address.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Name {
    /// `example.org`, in small letters.
    Host(String),
    /// What stands after `*.`, in small letters.
    Below(String),
    /// An address.
    Address(IpAddr),
}

impl Name {
    /// Whether a certificate for this name is one for that host (RFC 9525: a star is one label).
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name.eq_ignore_ascii_case(host),
            Self::Below(name) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(name)),
            Self::Address(_) => false,
        }
    }

    /// The host at which a certificate authority looks for proof.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Host(name) | Self::Below(name) => name.clone(),
            Self::Address(ip) => ip.to_string(),
        }
    }

    /// The name that a tls-alpn-01 hello carries (RFC 8737; RFC 8738 for addresses, in reverse).
    pub(crate) fn in_hello(&self) -> String {
        match self {
            Self::Host(name) | Self::Below(name) => name.clone(),
            Self::Address(IpAddr::V4(ip)) => {
                let [a, b, c, d] = ip.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            Self::Address(IpAddr::V6(ip)) => {
                let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
                nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Address(ip) => ip.fmt(f),
        }
    }
}

/// This is no name that a certificate can be for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no name for a certificate: give example.org, *.example.org or an address")]
pub struct BadName(String);

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(Self::Address(ip));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let good = name.len() <= 253
            && name.contains('.')
            && name.split('.').all(label)
            && !name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !good {
            return Err(BadName(text.chars().take(200).collect()));
        }
        let name = name.to_ascii_lowercase();
        Ok(if below { Self::Below(name) } else { Self::Host(name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect(text)
    }

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(name("*.Example.org").covers("a.EXAMPLE.org"));
        for host in ["example.org", "a.b.example.org", ".example.org", "a.example.com"] {
            assert!(!name("*.example.org").covers(host), "{host}");
        }
    }

    #[test]
    fn an_address_is_asked_for_in_reverse() {
        assert_eq!(name("192.0.2.1").in_hello(), "1.2.0.192.in-addr.arpa");
        let six = name("[2001:db8::1]").in_hello();
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
        assert_eq!(six.len(), 32 * 2 + 8);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in
            ["", "*", "*.", "localhost", "a b.org", "-a.org", "192.0.2.300", "*.*.org", "a..b"]
        {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
