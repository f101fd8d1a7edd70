//! What happens at the office, as it is journaled.
//!
//! ```text
//! batch   1  version: 1      event   1  its kind
//!         8  moment                  its fields
//!         2  how many events
//!            the events
//! ```
//!
//! Numbers are big-endian. A batch is what is written, or not, as a whole.

use std::net::IpAddr;

use wire::cursor::{Cursor, ip, list, text, write_ip, write_list, write_text};
use wire::derive::{Person, RelayId};
use wire::echo::BundleId;
use wire::fleet::{Capacity, Face, Posture, Standing};
use wire::receipt;
use wire::tally::Day;

use super::{DoorId, Moment};
use crate::blocks::Word;
use crate::seats::EndpointId;

/// How many events a batch has at most.
pub const MOST_EVENTS: usize = 4096;
/// The longest batch that is read, in bytes.
pub const LONGEST_BATCH: usize = 8 * 1024 * 1024;
/// How many endpoints are blocked in one event, and how many keys used abroad.
pub const MOST_LISTED: usize = 60_000;
/// The longest name of an owner or a door, and the longest reason, in bytes.
pub const LONGEST_NAME: usize = 200;

const VERSION: u8 = 1;

/// What the censor blocks with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// These endpoints alone: the relay's other ports still pass.
    Ports,
    /// Their relays' addresses: nobody is seated there until they have others.
    Addresses,
}

/// Something that changes what the office knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Somebody asks for a way in.
    Asked {
        /// Who.
        person: Person,
        /// At which door.
        door: DoorId,
        /// The mark of the request's key.
        request: u64,
        /// The number of their network, 0 if nobody said.
        network: u32,
    },
    /// Somebody who has a seat was heard of.
    Heard {
        /// Who.
        person: Person,
    },
    /// Somebody says that their seat does not work.
    Spared {
        /// Who.
        person: Person,
    },
    /// A door is made, or gets another token.
    Door {
        /// What it is called.
        name: String,
        /// The mark of its token.
        token: [u8; 16],
    },
    /// Somebody is invited to bring a relay.
    Invited {
        /// The mark of the invite's token.
        token: [u8; 16],
        /// Whose relay it will be; empty: nobody else's.
        owner: String,
    },
    /// A relay joins.
    Enrolled {
        /// The mark of the invite's token.
        token: [u8; 16],
        /// The same when it asks again.
        attempt: [u8; 16],
        /// Who it is.
        relay: RelayId,
        /// Where.
        address: IpAddr,
        /// What it can do.
        capacity: Capacity,
        /// How people find it.
        face: Face,
    },
    /// A relay says that something about it has changed.
    Booked {
        /// Its place in the list of relays.
        relay: u16,
        /// What it does.
        standing: Standing,
        /// Where it is.
        address: IpAddr,
        /// What it can do.
        capacity: Capacity,
        /// How people find it.
        face: Face,
    },
    /// The hub has tried a relay from outside, and the result is another one than before.
    Reached {
        /// Its place in the list of relays.
        relay: u16,
        /// Whether it answered.
        is_reached: bool,
    },
    /// An organiser vouches for a relay, or no longer does.
    Vouched {
        /// Its place in the list of relays.
        relay: u16,
        /// Whether.
        is_vouched: bool,
    },
    /// A relay is to answer elsewhere.
    Posture {
        /// Its place in the list of relays.
        relay: u16,
        /// Where.
        posture: Posture,
    },
    /// Endpoints are blocked, for one reason; or none, and there is something else to remember.
    Blocked {
        /// Which.
        endpoints: Vec<EndpointId>,
        /// What else the block takes.
        scope: Scope,
        /// Who says so: on a relay's word alone nobody is to blame.
        word: Word,
        /// In words.
        cause: String,
    },
    /// A relay is gone, and nobody is to blame.
    Gone {
        /// Its place in the list of relays.
        relay: u16,
    },
    /// A relay says that these people's keys were used abroad.
    Abroad {
        /// Its place in the list of relays.
        relay: u16,
        /// Whose.
        people: Vec<Person>,
    },
    /// Somebody has a bundle made.
    Bundled {
        /// Who.
        person: Person,
        /// What the bundle is called.
        bundle: BundleId,
        /// The last day on which it is good.
        expires: Day,
    },
    /// Somebody brought a receipt, which was checked.
    Receipt {
        /// As it was signed.
        bytes: Vec<u8>,
    },
    /// Time has passed.
    Tick,
}

/// Events that are written together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// When.
    pub moment: Moment,
    /// What, in order: at most [`MOST_EVENTS`].
    pub events: Vec<Event>,
}

/// A batch in the journal is none that this version wrote.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unreadable {
    /// It is damaged.
    #[error("the journal is damaged: a batch is none, or not whole")]
    Damaged,
    /// A newer version has made it.
    #[error("the journal was written by a newer version of jaryq (format {0})")]
    Newer(u8),
}

impl Batch {
    /// As it is journaled.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(self.moment.0.to_be_bytes());
        write_list(&mut out, &self.events, MOST_EVENTS, Event::write);
        out
    }

    /// The inverse of [`Self::write`].
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > LONGEST_BATCH {
            return Err(Unreadable::Damaged);
        }
        let mut from = Cursor(bytes);
        match from.byte() {
            Some(VERSION) => {}
            None | Some(0) => return Err(Unreadable::Damaged),
            Some(newer) => return Err(Unreadable::Newer(newer)),
        }
        let moment = from.long().map(Moment).ok_or(Unreadable::Damaged)?;
        let events = list(&mut from, MOST_EVENTS, Event::read).ok_or(Unreadable::Damaged)?;
        if from.0.is_empty() { Ok(Self { moment, events }) } else { Err(Unreadable::Damaged) }
    }
}

impl Event {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Asked { person, door, request, network } => {
                out.push(1);
                out.extend(person.0.to_be_bytes());
                out.extend(door.0.to_be_bytes());
                out.extend(request.to_be_bytes());
                out.extend(network.to_be_bytes());
            }
            Self::Heard { person } => {
                out.push(2);
                out.extend(person.0.to_be_bytes());
            }
            Self::Spared { person } => {
                out.push(3);
                out.extend(person.0.to_be_bytes());
            }
            Self::Door { name, token } => {
                out.push(4);
                write_text(out, name, LONGEST_NAME);
                out.extend(token);
            }
            Self::Invited { token, owner } => {
                out.push(5);
                out.extend(token);
                write_text(out, owner, LONGEST_NAME);
            }
            Self::Enrolled { token, attempt, relay, address, capacity, face } => {
                out.push(6);
                out.extend(token);
                out.extend(attempt);
                out.extend(relay.0);
                write_ip(address, out);
                capacity.write(out);
                face.write(out);
            }
            Self::Booked { relay, standing, address, capacity, face } => {
                out.push(7);
                out.extend(relay.to_be_bytes());
                out.push(standing.number());
                write_ip(address, out);
                capacity.write(out);
                face.write(out);
            }
            Self::Reached { relay, is_reached } => flagged(8, *relay, *is_reached, out),
            Self::Vouched { relay, is_vouched } => flagged(9, *relay, *is_vouched, out),
            Self::Posture { relay, posture } => {
                flagged(10, *relay, *posture == Posture::All, out);
            }
            Self::Blocked { endpoints, scope, word, cause } => {
                out.push(11);
                write_list(out, endpoints, MOST_LISTED, |id, out| out.extend(id.to_be_bytes()));
                out.push((*scope == Scope::Addresses).into());
                write_word(*word, out);
                write_text(out, cause, LONGEST_NAME);
            }
            Self::Gone { relay } => {
                out.push(12);
                out.extend(relay.to_be_bytes());
            }
            Self::Abroad { relay, people } => {
                out.push(13);
                out.extend(relay.to_be_bytes());
                write_list(out, people, MOST_LISTED, |who, out| out.extend(who.0.to_be_bytes()));
            }
            Self::Bundled { person, bundle, expires } => {
                out.push(14);
                out.extend(person.0.to_be_bytes());
                out.extend(bundle.0);
                out.extend(expires.0.to_be_bytes());
            }
            Self::Receipt { bytes } => {
                out.push(15);
                write_list(out, bytes, receipt::LONGEST, |byte, out| out.push(*byte));
            }
            Self::Tick => out.push(16),
        }
    }

    fn read(from: &mut Cursor<'_>) -> Option<Self> {
        Some(match from.byte()? {
            1 => Self::Asked {
                person: person(from)?,
                door: DoorId(from.short()?),
                request: from.long()?,
                network: from.word()?,
            },
            2 => Self::Heard { person: person(from)? },
            3 => Self::Spared { person: person(from)? },
            4 => Self::Door { name: text(from, LONGEST_NAME)?, token: from.array()? },
            5 => Self::Invited { token: from.array()?, owner: text(from, LONGEST_NAME)? },
            6 => Self::Enrolled {
                token: from.array()?,
                attempt: from.array()?,
                relay: RelayId(from.array()?),
                address: ip(from)?,
                capacity: Capacity::read(from)?,
                face: Face::read(from)?,
            },
            7 => Self::Booked {
                relay: from.short()?,
                standing: Standing::of(from.byte()?)?,
                address: ip(from)?,
                capacity: Capacity::read(from)?,
                face: Face::read(from)?,
            },
            8 => Self::Reached { relay: from.short()?, is_reached: from.flag()? },
            9 => Self::Vouched { relay: from.short()?, is_vouched: from.flag()? },
            10 => {
                let (relay, is_all) = (from.short()?, from.flag()?);
                let posture = if is_all { Posture::All } else { Posture::Quiet };
                Self::Posture { relay, posture }
            }
            11 => Self::Blocked {
                endpoints: list(from, MOST_LISTED, Cursor::word)?,
                scope: if from.flag()? { Scope::Addresses } else { Scope::Ports },
                word: read_word(from)?,
                cause: text(from, LONGEST_NAME)?,
            },
            12 => Self::Gone { relay: from.short()? },
            13 => Self::Abroad { relay: from.short()?, people: list(from, MOST_LISTED, person)? },
            14 => Self::Bundled {
                person: person(from)?,
                bundle: BundleId(from.array()?),
                expires: Day(i64::from_be_bytes(from.array()?)),
            },
            15 => Self::Receipt { bytes: list(from, receipt::LONGEST, Cursor::byte)? },
            16 => Self::Tick,
            _ => return None,
        })
    }
}

pub(super) fn write_word(word: Word, out: &mut Vec<u8>) {
    out.push(match word {
        Word::Relay => 0,
        Word::Several => 1,
        Word::One => 2,
    });
}

pub(super) fn read_word(from: &mut Cursor<'_>) -> Option<Word> {
    [Word::Relay, Word::Several, Word::One].get(usize::from(from.byte()?)).copied()
}

fn flagged(kind: u8, relay: u16, is: bool, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend(relay.to_be_bytes());
    out.push(is.into());
}

fn person(from: &mut Cursor<'_>) -> Option<Person> {
    from.long().map(Person)
}
