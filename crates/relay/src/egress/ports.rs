//! To which ports people are taken.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use wire::port_range::{BadPortRange, PortRange};

/// The port of mail between servers, which is never opened: it is how spam is sent.
const MAIL_BETWEEN_SERVERS: u16 = 25;

/// What people are taken to unless something else is asked for: what phones and browsers use. What
/// is left out is what others would suffer from: mail between servers, remote log-ins, databases,
/// the ports of file sharing.
const DEFAULT: [RangeInclusive<u16>; 26] = [
    // The web, over UDP too.
    80..=80,
    443..=443,
    8080..=8080,
    8443..=8443,
    // Names over TLS: Android's "private DNS".
    853..=853,
    // Mail: handing in, and reading over TLS.
    465..=465,
    587..=587,
    993..=993,
    995..=995,
    // Calls (STUN and TURN, RFC 8489): WhatsApp, Signal, Viber, browsers; 3479 to 3481 Teams.
    3478..=3481,
    5349..=5349,
    19302..=19309,
    // Telegram's calls.
    596..=599,
    1400..=1400,
    // XMPP, WhatsApp, Telegram; 5223 is Apple's push service too.
    5222..=5223,
    // Google's push service, which wakes Android's messengers up.
    5228..=5230,
    // Viber.
    4244..=4244,
    5242..=5243,
    7985..=7985,
    // WhatsApp's calls.
    45395..=45395,
    50318..=50318,
    59234..=59234,
    // Matrix, IRC over TLS, Mumble.
    8448..=8448,
    6697..=6697,
    64738..=64738,
    // Apple's push service where 5223 is closed.
    2197..=2197,
];

/// Ports to which people are taken, the same for connections and datagrams. Port 25 is never among
/// them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EgressPorts(Vec<RangeInclusive<u16>>);

impl Default for EgressPorts {
    fn default() -> Self {
        Self(DEFAULT.to_vec())
    }
}

impl EgressPorts {
    /// Whether people are taken to this port.
    #[must_use]
    pub fn has(&self, port: u16) -> bool {
        port != MAIL_BETWEEN_SERVERS && self.0.iter().any(|range| range.contains(&port))
    }
}

/// As it is read back.
impl fmt::Display for EgressPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.0.strip_prefix(&DEFAULT);
        let default = rest.is_some().then(|| "default".to_owned());
        let ranges =
            rest.unwrap_or(&self.0).iter().map(|range| match (range.start(), range.end()) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first}-{last}"),
            });
        f.write_str(&default.into_iter().chain(ranges).collect::<Vec<_>>().join(","))
    }
}

/// This is no list of ports to go to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadEgressPorts {
    /// A part of it is not understood.
    #[error("{0}, and not 'default'")]
    Part(#[from] BadPortRange),
    /// Port 25 was asked for by name.
    #[error("port 25 is never opened: it is how spam is sent")]
    Mail,
}

/// Ports and ranges with commas; `default` among them stands for those that are open anyway.
impl FromStr for EgressPorts {
    type Err = BadEgressPorts;

    fn from_str(text: &str) -> Result<Self, BadEgressPorts> {
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim) {
            if part == "default" {
                ranges.extend(DEFAULT);
                continue;
            }
            let range = part.parse::<PortRange>()?.ports();
            if range == (MAIL_BETWEEN_SERVERS..=MAIL_BETWEEN_SERVERS) {
                return Err(BadEgressPorts::Mail);
            }
            ranges.push(range);
        }
        Ok(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["default", "default,22", "80,443-445"] {
            let ports: EgressPorts = text.parse().expect("a list");
            assert_eq!(ports.to_string(), text);
        }
        let reordered: EgressPorts = "22,default".parse().expect("a list");
        assert_eq!(reordered.to_string().parse(), Ok(reordered));
    }

    #[test]
    fn what_phones_use_is_open_and_what_others_suffer_from_is_not() {
        let ports = EgressPorts::default();
        for port in [80, 443, 587, 993, 853, 5222, 5228, 3478, 8443] {
            assert!(ports.has(port), "{port}");
        }
        for port in [0, 22, 23, 25, 53, 110, 123, 139, 445, 1900, 3306, 3389, 6881, 11211, 51413] {
            assert!(!ports.has(port), "{port}");
        }
    }

    #[test]
    fn a_list_replaces_the_default_or_adds_to_it_and_never_opens_port_25() {
        let only: EgressPorts = "443, 8000-8001".parse().expect("a list");
        assert!(only.has(443) && only.has(8001) && !only.has(80));
        let more: EgressPorts = "default,22".parse().expect("a list");
        assert!(more.has(22) && more.has(80));
        let all: EgressPorts = "1-65535".parse().expect("a list");
        assert!(all.has(24) && !all.has(25) && all.has(26));
        assert_eq!("443,25".parse::<EgressPorts>(), Err(BadEgressPorts::Mail));
        for bad in ["", "443,x", "default,"] {
            assert!(matches!(bad.parse::<EgressPorts>(), Err(BadEgressPorts::Part(_))), "{bad}");
        }
    }
}
