//! How a relay fares, and what it has carried: nothing of anybody's address, and of people only what
//! many have in common.

use aws_lc_rs::{constant_time, digest, hmac};

use super::enrolment::{Capacity, Face};
use super::{Refused, VERSION, list, read, text, write_list, write_text};
use crate::cursor::Cursor;
use crate::derive::{KeyId, RelayId, RelayKey};

const WHAT: &str = "heartbeat";
/// The longest one, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// How many counters fit into one.
pub const MOST_COUNTED: usize = 2048;
/// How many keys that were used abroad.
pub const MOST_ABROAD: usize = 256;
const MAC: usize = digest::SHA256_OUTPUT_LEN;

/// What the relay does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It carries.
    Carrying,
    /// Its volunteer has paused it.
    Paused,
    /// What it may carry in this month is carried.
    Spent,
    /// Its volunteer takes it away: for good.
    Leaving,
}

impl Standing {
    const ALL: [Self; 4] = [Self::Carrying, Self::Paused, Self::Spent, Self::Leaving];

    /// The number by which it is written.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Carrying => 0,
            Self::Paused => 1,
            Self::Spent => 2,
            Self::Leaving => 3,
        }
    }

    /// The inverse of [`Self::number`].
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.number() == number)
    }
}

/// How it fares.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Health {
    /// Open connections of people.
    pub connections: u32,
    /// Bytes carried in this month, both ways.
    pub carried: u64,
    /// How many of Telegram's datacentres it reaches, of how many.
    pub datacentres: (u8, u8),
    /// The share of its processors in use, in percent.
    pub busy: u8,
    /// For how many seconds it has run.
    pub up: u32,
}

/// Connections that showed a valid key since the last heartbeat that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// The port they came to.
    pub port: u16,
    /// The number of the network they came from, 0 where nobody knows.
    pub network: u32,
    /// How many.
    pub connections: u32,
}

/// What a relay says again and again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// Which relay.
    pub relay: RelayId,
    /// Grows with each: the milliseconds since 1970 will do.
    pub number: u64,
    /// The last order that it follows.
    pub order: u64,
    /// Up to which revision it knows its seats; 0 if none.
    pub seats: u64,
    /// What it does.
    pub standing: Standing,
    /// What it can do.
    pub capacity: Capacity,
    /// How people find it.
    pub face: Face,
    /// How it fares.
    pub health: Health,
    /// Over how many milliseconds it has counted.
    pub over: u32,
    /// What it has counted.
    pub counted: Vec<Counted>,
    /// Keys that were used from a network outside of those at home: one bit each, no network.
    pub abroad: Vec<KeyId>,
    /// Its version of this program.
    pub version: String,
}

impl Heartbeat {
    /// As it is sent, authenticated by the relay's key.
    #[must_use]
    pub fn write(&self, key: &RelayKey) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(self.relay.0);
        out.extend(self.number.to_be_bytes());
        out.extend(self.order.to_be_bytes());
        out.extend(self.seats.to_be_bytes());
        out.push(self.standing.number());
        self.capacity.write(&mut out);
        self.face.write(&mut out);
        self.health.write(&mut out);
        out.extend(self.over.to_be_bytes());
        write_list(&mut out, &self.counted, MOST_COUNTED, |each, out| {
            out.extend(each.port.to_be_bytes());
            out.extend(each.network.to_be_bytes());
            out.extend(each.connections.to_be_bytes());
        });
        write_list(&mut out, &self.abroad, MOST_ABROAD, |each, out| out.extend(each.0));
        write_text(&mut out, &self.version, 32);
        let mac = hmac::sign(&mac_key(key), &out);
        out.extend(mac.as_ref());
        out
    }

    /// Whose it says it is: not believed yet.
    #[must_use]
    pub fn whose(bytes: &[u8]) -> Option<RelayId> {
        bytes.get(1..)?.first_chunk().copied().map(RelayId)
    }

    /// Reads what [`Self::write`] writes with the same key. Whether its number is new is for the
    /// caller to say.
    ///
    /// # Errors
    /// When it is none, or another's.
    pub fn read(bytes: &[u8], key: &RelayKey) -> Result<Self, Refused> {
        let (said, mac) = bytes.split_last_chunk::<MAC>().ok_or(Refused::Damaged(WHAT))?;
        let right = hmac::sign(&mac_key(key), said);
        if constant_time::verify_slices_are_equal(right.as_ref(), mac).is_err() {
            return Err(Refused::Forged(WHAT));
        }
        read(WHAT, said, LONGEST, |from| {
            Some(Self {
                relay: RelayId(from.array()?),
                number: from.long()?,
                order: from.long()?,
                seats: from.long()?,
                standing: Standing::of(from.byte()?)?,
                capacity: Capacity::read(from)?,
                face: Face::read(from)?,
                health: Health::read(from)?,
                over: from.word()?,
                counted: list(from, MOST_COUNTED, |from| {
                    let (port, network) = (from.short()?, from.word()?);
                    Some(Counted { port, network, connections: from.word()? })
                })?,
                abroad: list(from, MOST_ABROAD, |from| Some(KeyId(from.array()?)))?,
                version: text(from, 32)?,
            })
        })
    }
}

impl Health {
    fn write(self, out: &mut Vec<u8>) {
        out.extend(self.connections.to_be_bytes());
        out.extend(self.carried.to_be_bytes());
        out.extend([self.datacentres.0, self.datacentres.1, self.busy]);
        out.extend(self.up.to_be_bytes());
    }

    fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let (connections, carried) = (from.word()?, from.long()?);
        let (datacentres, busy) = ((from.byte()?, from.byte()?), from.byte()?);
        Some(Self { connections, carried, datacentres, busy, up: from.word()? })
    }
}

fn mac_key(key: &RelayKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &key.hub_key())
}
