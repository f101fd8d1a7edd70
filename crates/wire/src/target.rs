//! Where somebody wants to go: a host and a port, as SOCKS5 and HTTP proxies are told.

use std::fmt;
use std::net::IpAddr;

/// The longest host name that is taken, in bytes (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

/// A host and a port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// Whom.
    pub host: Host,
    /// On which port; 0 only where a protocol lets somebody leave it open.
    pub port: u16,
}

/// A host by its address or by its name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Host {
    /// An address, which needs no resolution.
    Address(IpAddr),
    /// A name in small letters, which is still to be resolved.
    Name(String),
}

impl Host {
    /// Reads what stands where a host is named: an address, or 1 to 253 letters, digits, hyphens,
    /// underscores and dots. Whoever writes an address in an old fashion (`127.1`, `0x7f000001`)
    /// gets a name that nobody has.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let bare = text.strip_suffix('.').unwrap_or(text);
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_name = (1..=MAX_NAME).contains(&bare.len())
            && bare.bytes().all(good)
            && bare.split('.').all(|label| (1..=63).contains(&label.len()));
        is_name.then(|| Self::Name(bare.to_ascii_lowercase()))
    }
}

impl Target {
    /// Reads `host:port`, an IPv6 address in brackets; without a port it is `default`.
    #[must_use]
    pub fn read(text: &str, default: Option<u16>) -> Option<Self> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (inside, rest) = bracketed.split_once(']')?;
                (Host::Address(IpAddr::V6(inside.parse().ok()?)), rest)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                (Host::read(&text[..end])?, &text[end..])
            }
        };
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => default?,
            Some("") => default?,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            _ => return None,
        };
        (port != 0).then_some(Self { host, port })
    }
}

/// As it stands in a URL.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(six)) => write!(f, "[{six}]:{}", self.port),
            Host::Address(four) => write!(f, "{four}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_read_and_written_alike() {
        for text in ["example.org:443", "192.0.2.1:80", "[2001:db8::1]:8443", "_x.a-b.org:1"] {
            assert_eq!(Target::read(text, None).expect(text).to_string(), text);
        }
        let defaulted = Target::read("EXAMPLE.org.", Some(80)).expect("a target");
        assert_eq!(defaulted.to_string(), "example.org:80");
    }

    #[test]
    fn what_is_no_host_or_no_port_is_refused() {
        for bad in [
            "",
            ":443",
            "example.org",
            "example.org:0",
            "example.org:65536",
            "example.org:+1",
            "a..b:1",
            "[::1:1",
            "[::1]1",
            "::1:1",
            "a b:1",
            "user@host:1",
            "[1.2.3.4]:1",
            "a/b:1",
            "[fe80::1%eth0]:1",
        ] {
            assert_eq!(Target::read(bad, None), None, "{bad}");
        }
        let label = format!("{}.org:1", "x".repeat(64));
        assert_eq!(Target::read(&label, None), None);
    }
}
