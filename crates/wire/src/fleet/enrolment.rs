//! A volunteer's machine joins.

use super::order::SignedOrder;
use super::{Refused, VERSION, read, text, write_text};
use crate::cursor::Cursor;
use crate::derive::{RelayId, RelaySeed};

const ASKED: &str = "enrolment";
const GIVEN: &str = "answer to an enrolment";
const LONGEST: usize = 1024;
/// An answer with its first order.
const LONGEST_ANSWER: usize = super::order::LONGEST + 256;
const LONGEST_VERSION: usize = 32;
/// An IPv6 address, written out.
const LONGEST_ADDRESS: usize = 45;
/// As TLS has it (RFC 6066).
const LONGEST_NAME: usize = 253;

/// What a machine can do, by its volunteer's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// How many people it can carry at a time.
    pub people: u32,
    /// How many bytes it may carry in a month, both ways; 0 for any number.
    pub monthly: u64,
    /// Whether it can open ports beyond a list: then it has many endpoints.
    pub can_open: bool,
}

/// How people find a relay.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Face {
    /// The address that its volunteer has given, or empty: then it is the one that it comes from.
    pub address: String,
    /// The port for links where any will do.
    pub port: u16,
    /// The server name that its fake TLS links say, or empty: then they are without.
    pub name: String,
}

impl Face {
    /// As it is written into messages.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_text(out, &self.address, LONGEST_ADDRESS);
        out.extend(self.port.to_be_bytes());
        write_text(out, &self.name, LONGEST_NAME);
    }

    /// The inverse of [`Self::write`].
    pub fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let (address, port) = (text(from, LONGEST_ADDRESS)?, from.short()?);
        Some(Self { address, port, name: text(from, LONGEST_NAME)? })
    }
}

/// What a machine says that wants to join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolment {
    /// The invite's.
    pub token: [u8; 16],
    /// The same when it asks again, since an answer was lost.
    pub attempt: [u8; 16],
    /// What it can do.
    pub capacity: Capacity,
    /// How people find it.
    pub face: Face,
    /// Its version of this program.
    pub version: String,
}

impl Enrolment {
    /// As it is sent.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(self.token);
        out.extend(self.attempt);
        self.capacity.write(&mut out);
        self.face.write(&mut out);
        write_text(&mut out, &self.version, LONGEST_VERSION);
        out
    }

    /// Reads what [`Self::write`] writes.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        read(ASKED, bytes, LONGEST, |from| {
            Some(Self {
                token: from.array()?,
                attempt: from.array()?,
                capacity: Capacity::read(from)?,
                face: Face::read(from)?,
                version: text(from, LONGEST_VERSION)?,
            })
        })
    }
}

impl Capacity {
    /// As it is written into messages.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend(self.people.to_be_bytes());
        out.extend(self.monthly.to_be_bytes());
        out.push(self.can_open.into());
    }

    /// The inverse of [`Self::write`].
    pub fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let (people, monthly) = (from.word()?, from.long()?);
        Some(Self { people, monthly, can_open: from.flag()? })
    }
}

/// What it is then: to be kept, and shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Who it is.
    pub id: RelayId,
    /// What its keys follow from.
    pub seed: RelaySeed,
    /// What it is to do first.
    pub order: SignedOrder,
}

impl Enrolled {
    /// As it is sent.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(self.id.0);
        out.extend(self.seed.0);
        out.extend(self.order.bytes());
        out
    }

    /// Reads what [`Self::write`] writes. The order is not checked yet.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        read(GIVEN, bytes, LONGEST_ANSWER, |from| {
            let (id, seed) = (RelayId(from.array()?), RelaySeed(from.array()?));
            let order = SignedOrder::from_bytes(from.take(from.0.len())?.to_vec());
            Some(Self { id, seed, order })
        })
    }
}
