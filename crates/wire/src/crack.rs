//! A crack: a way that still carries traffic, in a network, at an hour.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::cursor::Cursor;
use crate::echo::{Shape, Transport};

/// An hour in UTC, counted from the beginning of 1970. Finer times are nobody's business.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hour(pub u32);

impl Hour {
    /// What three bytes hold: until the year 3883.
    pub const LAST: Self = Self(0xff_ff_ff);

    /// The hour of a moment, in Unix seconds.
    #[must_use]
    pub fn at(unix: u64) -> Self {
        Self(u32::try_from(unix / 3600).unwrap_or(u32::MAX)).min(Self::LAST)
    }

    /// Its first moment, in Unix seconds.
    #[must_use]
    pub fn start(self) -> u64 {
        u64::from(self.0) * 3600
    }

    pub(crate) fn bytes(self) -> [u8; 3] {
        let [_, bytes @ ..] = self.min(Self::LAST).0.to_be_bytes();
        bytes
    }

    pub(crate) fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let [a, b, c] = from.array()?;
        Some(Self(u32::from_be_bytes([0, a, b, c])))
    }
}

/// After how many hours a report of a crack counts half. In January 2022 the country was let out for 3.5
/// to 7.5 hours at a time.
pub const HALF_LIFE: f64 = 6.0;

/// How much what was seen then counts now, from 1 down to 0; what is to come counts as of now.
#[must_use]
pub fn freshness(seen: Hour, now: Hour) -> f64 {
    0.5_f64.powf(f64::from(now.0.saturating_sub(seen.0)) / HALF_LIFE)
}

/// The network somebody is in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Network {
    /// Nobody knows.
    Unknown,
    /// By the number of its autonomous system.
    As(u32),
    /// By a name that people have for it.
    Named(NetworkName),
}

/// What people call a network: 1 to 16 small letters, digits and hyphens, not `unknown` and no number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NetworkName(String);

/// The longest name, in bytes.
const LONGEST_NAME: usize = 16;

/// This is no network's number or name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a network is given as AS9198, or by a name of up to 16 letters, digits and hyphens")]
pub struct BadNetwork;

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let text = text.trim().to_ascii_lowercase();
        if text == "unknown" {
            return Ok(Self::Unknown);
        }
        let number = text.strip_prefix("as").unwrap_or(&text);
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return number.parse().map(Self::As).map_err(|_| BadNetwork);
        }
        NetworkName::read(text.as_bytes()).map(Self::Named).ok_or(BadNetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.pad("unknown"),
            Self::As(number) => f.pad(&format!("AS{number}")),
            Self::Named(name) => f.pad(&name.0),
        }
    }
}

impl NetworkName {
    /// Not what [`Network`] reads as something else.
    fn read(bytes: &[u8]) -> Option<Self> {
        let number = bytes.strip_prefix(b"as").unwrap_or(bytes);
        let fits = (1..=LONGEST_NAME).contains(&bytes.len())
            && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && bytes != b"unknown"
            && (number.is_empty() || !number.iter().all(u8::is_ascii_digit));
        if !fits {
            return None;
        }
        String::from_utf8(bytes.to_vec()).ok().map(Self)
    }
}

/// Which way traffic took, through which network.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Passage {
    /// In which network.
    pub network: Network,
    /// By what.
    pub transport: Transport,
    /// To which port.
    pub port: NonZeroU16,
    /// Looking like what.
    pub shape: Shape,
}

/// A way that carries traffic, or did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crack {
    /// Which.
    pub passage: Passage,
    /// When it was last seen to.
    pub seen: Hour,
    /// How many receipts say so, each of another relay or hour.
    pub receipts: u16,
}

impl Passage {
    /// Flags, then the network if it is known, then the port. Bit 0: the transport; 1 and 2: the
    /// shape; 3 and 4: which kind of network. `more` is for bits 5 to 7.
    pub(crate) fn write(&self, more: u8, out: &mut Vec<u8>) {
        let network = match self.network {
            Network::Unknown => 0,
            Network::As(_) => 1,
            Network::Named(_) => 2,
        };
        let (transport, shape) = (self.transport.number(), self.shape.number());
        out.push(transport | shape << 1 | network << 3 | more << 5);
        match &self.network {
            Network::Unknown => {}
            Network::As(number) => out.extend(number.to_be_bytes()),
            Network::Named(name) => {
                out.push(u8::try_from(name.0.len()).unwrap_or(0));
                out.extend(name.0.as_bytes());
            }
        }
        out.extend(self.port.get().to_be_bytes());
    }

    /// The inverse of [`Self::write`], with `more`.
    pub(crate) fn read(from: &mut Cursor<'_>) -> Option<(Self, u8)> {
        let flags = from.byte()?;
        let network = match flags >> 3 & 3 {
            0 => Network::Unknown,
            1 => Network::As(u32::from_be_bytes(from.array()?)),
            2 => {
                let length = from.byte()?;
                Network::Named(NetworkName::read(from.take(length.into())?)?)
            }
            _ => return None,
        };
        let transport = Transport::of(flags & 1)?;
        let shape = Shape::of(flags >> 1 & 3)?;
        let port = NonZeroU16::new(from.short()?)?;
        Some((Self { network, transport, port, shape }, flags >> 5))
    }
}

impl Crack {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.passage.write(0, out);
        out.extend(self.seen.bytes());
        out.extend(self.receipts.to_be_bytes());
    }

    pub(crate) fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let (passage, more) = Passage::read(from)?;
        if more != 0 {
            return None;
        }
        Some(Self { passage, seen: Hour::read(from)?, receipts: from.short()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_as_people_write_it() {
        for (text, shown) in [
            ("AS9198", "AS9198"),
            ("9198", "AS9198"),
            ("Beeline-KZ", "beeline-kz"),
            ("asia", "asia"),
        ] {
            let network: Network = text.parse().expect("a network");
            assert_eq!(network.to_string(), shown);
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        assert_eq!("unknown".parse(), Ok(Network::Unknown));
        for bad in ["", "as4294967296", "two words", "a-name-that-is-too-long", "кселл"] {
            assert_eq!(bad.parse::<Network>(), Err(BadNetwork), "{bad}");
        }
        assert!(NetworkName::read(b"as9198").is_none(), "it would be read as a number");
    }

    #[test]
    fn what_was_seen_six_hours_ago_counts_half() {
        assert_eq!(freshness(Hour(94), Hour(100)), 0.5);
        assert_eq!((freshness(Hour(100), Hour(100)), freshness(Hour(101), Hour(100))), (1.0, 1.0));
    }

    #[test]
    fn an_hour_has_no_minutes() {
        assert_eq!((Hour::at(3599), Hour::at(3600)), (Hour(0), Hour(1)));
        assert_eq!(Hour(1).start(), 3600);
        assert_eq!(Hour::read(&mut Cursor(&Hour::at(u64::MAX).bytes())), Some(Hour::LAST));
    }
}
