//! Ports as people write them: `443`, or `8000-8010`.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// A port, or all from one to another; never port 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortRange(RangeInclusive<u16>);

impl PortRange {
    /// The ports, the lowest first.
    #[must_use]
    pub fn ports(self) -> RangeInclusive<u16> {
        self.0
    }
}

/// This is neither a port nor a range of them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no port from 1 to 65535, and no range such as 8000-8010")]
pub struct BadPortRange(String);

impl FromStr for PortRange {
    type Err = BadPortRange;

    fn from_str(text: &str) -> Result<Self, BadPortRange> {
        let text = text.trim();
        let bad = || BadPortRange(text.chars().take(20).collect());
        let port = |text: &str| text.parse().ok().filter(|&port| port != 0).ok_or_else(bad);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (u16, u16) = (port(first)?, port(last)?);
        if first > last { Err(bad()) } else { Ok(Self(first..=last)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_ends_and_a_port_is_a_range_of_one() {
        for (text, ports) in [("443", 443..=443), (" 1-65535 ", 1..=65_535), ("80-80", 80..=80)] {
            assert_eq!(text.parse::<PortRange>().expect(text).ports(), ports);
        }
    }

    #[test]
    fn what_is_no_port_is_named_in_the_error() {
        for bad in ["", "0", "0-9", "65536", "9-8", "x", "-1", "1-", "1-2-3"] {
            assert_eq!(bad.parse::<PortRange>(), Err(BadPortRange(bad.to_owned())), "{bad}");
        }
    }
}
