//! A list of ports, as people write it: `443,80,8000-8010`.

use std::fmt;
use std::str::FromStr;

use wire::port_range::{BadPortRange, PortRange};

/// How many ports a list may hold: each costs two listeners, and a process has only so many files.
const MOST: usize = 1000;

/// Ports in the order in which they were named; the first is the one that links carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortList(Vec<u16>);

impl PortList {
    /// The ports, best first, none of them twice and none of them 0.
    #[must_use]
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

impl<const N: usize> From<[u16; N]> for PortList {
    fn from(ports: [u16; N]) -> Self {
        Self(ports.into())
    }
}

impl From<Vec<u16>> for PortList {
    fn from(ports: Vec<u16>) -> Self {
        Self(ports)
    }
}

/// This is no list of ports.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPortList {
    /// A part of it is neither a port nor a range.
    #[error(transparent)]
    Part(#[from] BadPortRange),
    /// It holds more ports than can be listened on one by one.
    #[error("a list holds at most {MOST} ports")]
    Long,
}

impl FromStr for PortList {
    type Err = BadPortList;

    fn from_str(text: &str) -> Result<Self, BadPortList> {
        let mut ports = Vec::new();
        for part in text.split(',') {
            for port in part.parse::<PortRange>()?.ports() {
                if !ports.contains(&port) {
                    ports.push(port);
                }
                if ports.len() > MOST {
                    return Err(BadPortList::Long);
                }
            }
        }
        Ok(Self(ports))
    }
}

impl fmt::Display for PortList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(u16::to_string).collect();
        f.write_str(&texts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges_keep_their_order_and_come_once() {
        let list: PortList = "443, 80,8000-8002,80".parse().expect("a list");
        assert_eq!(list.as_slice(), [443, 80, 8000, 8001, 8002]);
    }

    #[test]
    fn one_bad_part_makes_the_list_bad() {
        for bad in ["", "80,x", "80,", "443,9-8"] {
            assert!(matches!(bad.parse::<PortList>(), Err(BadPortList::Part(_))), "{bad}");
        }
        assert_eq!("1-65535".parse::<PortList>(), Err(BadPortList::Long));
    }
}
