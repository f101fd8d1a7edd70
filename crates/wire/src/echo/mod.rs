//! The echo: how somebody with a bundle proves that a port of one of our relays really is reached,
//! and how much passes through it.
//!
//! ```text
//! question   12 random bytes, 4 that lead to the bundle, 48 sealed: which port and address was
//!            dialled, when, in which shape
//! answer     64 sealed: which port and address the relay saw, and whom it saw asking
//! pieces     768 bytes each, sealed: 86 of them are 64 KiB; both ways, then a receipt
//! ```
//!
//! All of it is noise to whoever has no key, and is dressed in one of four [`Shape`]s. A key is known
//! to one relay and one bundle ([`crate::derive::RelayKey::echo_key`]), so it names no person and is
//! worth nothing elsewhere. Nothing can be answered by anybody but the relay: not by a box that
//! repeats what it hears, nor by one that repeats what it heard before; and one that leads a port to
//! another is found out by what the relay saw.
//!
//! A relay answers a question once (it remembers the nonce), within [`SKEW`] of its own clock, and a
//! datagram never with a longer one. A question that never arrived can be asked by whoever has kept it:
//! only as long as it is of now, and if it names the asker's network ([`Near`]), only from there.
//!
//! | module | what is in it |
//! |---|---|
//! | [`question`] | questions and their answers, sealed and opened |
//! | [`table`] | whose question it is, found among 100,000 bundles by one look |
//! | [`climb`] | what follows on the same connection, or from the same port |
//! | [`dress`] | the shapes |

use std::fmt;
use std::str::FromStr;

pub mod climb;
pub mod dress;
pub mod question;
pub mod table;

pub use climb::{Climb, Kind, Piece, Way};
pub use dress::Dress;
pub use question::{Answer, Asker, Near, Question, Wanted};
pub use table::{Found, Table};

/// How long a question, and an answer, is before it is dressed, in bytes.
pub const LENGTH: usize = 64;
/// How far the asker's clock may be off, in seconds, either way.
pub const SKEW: u32 = 600;

/// What makes one person's bundle another thing than the next one's. Random; it names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BundleId(pub [u8; 16]);

impl BundleId {
    /// A new one, from the machine's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(crate::random())
    }
}

/// What one relay and one bundle share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EchoKey(pub [u8; 16]);

/// What all bundles of one relay share: it hides from others that two questions are of one bundle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MaskKey(pub [u8; 8]);

impl fmt::Debug for EchoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EchoKey(..)")
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(..)")
    }
}

/// What carries a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// A connection of its own.
    Tcp,
    /// A datagram.
    Udp,
}

/// What a question looks like to whoever is in between.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Shape {
    /// Noise from the first byte on, as of obfuscated proxies.
    Random,
    /// Text: an HTTP request; as a datagram, a line of letters.
    Printable,
    /// A TLS hello and records; as a datagram, DTLS.
    Tls,
    /// A DNS query for a name, and a record of it.
    Dns,
}

impl Transport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// `tcp` or `udp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The number that stands for it in questions, bundles and receipts.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 0,
            Self::Udp => 1,
        }
    }

    /// The inverse of [`Self::number`].
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.number() == number)
    }
}

impl Shape {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Random, Self::Printable, Self::Tls, Self::Dns];

    /// `random`, `printable`, `tls` or `dns`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Printable => "printable",
            Self::Tls => "tls",
            Self::Dns => "dns",
        }
    }

    /// The number that stands for it in questions, bundles and receipts.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Random => 0,
            Self::Printable => 1,
            Self::Tls => 2,
            Self::Dns => 3,
        }
    }

    /// The inverse of [`Self::number`].
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.number() == number)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no such transport.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a transport is 'tcp' or 'udp'")]
pub struct BadTransport;

/// There is no such shape.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a shape is 'random', 'printable', 'tls' or 'dns'")]
pub struct BadShape;

impl FromStr for Transport {
    type Err = BadTransport;

    fn from_str(text: &str) -> Result<Self, BadTransport> {
        Self::ALL.into_iter().find(|transport| transport.name() == text).ok_or(BadTransport)
    }
}

impl FromStr for Shape {
    type Err = BadShape;

    fn from_str(text: &str) -> Result<Self, BadShape> {
        Self::ALL.into_iter().find(|shape| shape.name() == text).ok_or(BadShape)
    }
}
