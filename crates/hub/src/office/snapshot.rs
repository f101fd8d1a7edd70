//! The whole office as bytes, and back.
//!
//! ```text
//! 1  version: 1     people: place, number, network, relay, slot, door, hours
//! 8  opened         relays, owners, invites, doors
//! 8  now            spares, requests' keys, bundles, blocks
//!                   the seats, as they write themselves
//! ```
//!
//! Numbers are big-endian; counts have four bytes. Which seats changed lately is not in it: relays
//! that missed something are told everything.

use std::collections::{BTreeMap, BTreeSet};

use wire::cursor::{Cursor, ip, list, text, write_ip, write_list, write_text};
use wire::derive::{Person, RelayId};
use wire::fleet::{Capacity, Face, Posture, Standing};
use wire::receipt;
use wire::tally::Day;

use super::changes::Changes;
use super::event::{LONGEST_NAME, Scope, read_word, write_word};
use super::people::{People, Record};
use super::relays::Relay;
use super::views::BlockView;
use super::{Bundle, Door, Invite, Moment, Office, Requests, Spare};
use crate::seats::{Seats, Status};

const VERSION: u8 = 1;

/// This is no snapshot of an office that this version wrote.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unreadable {
    /// It is damaged.
    #[error("the hub's snapshot is damaged")]
    Damaged,
    /// A newer version has made it.
    #[error("the hub's snapshot was written by a newer version of jaryq (format {0})")]
    Newer(u8),
}

impl Office {
    /// All that decides what becomes of later events.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        // At once: growing by doubling would need three times the room.
        let person = Record::SIZE + Seats::SIZE;
        let mut out = Vec::with_capacity(person * self.people.len() + (1 << 20));
        out.push(VERSION);
        for number in [self.opened.0, self.now.0, self.swept, self.settled.0.0] {
            out.extend(number.to_be_bytes());
        }
        count(self.settled.1, &mut out);
        out.extend(self.changes.last().to_be_bytes());
        out.extend(self.prefixes.to_be_bytes());
        count(self.people.len(), &mut out);
        for (id, record) in self.people.iter() {
            out.extend_from_slice(&id.to_be_bytes());
            record.write(&mut out);
        }
        all(&self.relays, &mut out, Relay::write);
        all(&self.owners, &mut out, |owner, out| write_text(out, owner, LONGEST_NAME));
        all(&self.doors, &mut out, |door, out| {
            write_text(out, &door.name, LONGEST_NAME);
            out.extend(door.token);
        });
        all(&self.invites, &mut out, |(token, invite), out| {
            out.extend(*token);
            out.extend(invite.until.0.to_be_bytes());
            out.extend(invite.owner.to_be_bytes());
        });
        all(&self.spares, &mut out, |(id, spare), out| {
            out.extend(id.to_be_bytes());
            out.extend(spare.endpoint.to_be_bytes());
            out.extend(spare.relay.to_be_bytes());
            out.extend(spare.slot.to_be_bytes());
        });
        all(&self.requests.order, &mut out, |(request, person), out| {
            out.extend(request.to_be_bytes());
            out.extend(person.0.to_be_bytes());
        });
        all(&self.bundles, &mut out, |(id, bundle), out| {
            out.extend(*id);
            all(&bundle.relays, out, |relay, out| out.extend(relay.to_be_bytes()));
            out.extend(bundle.expires.0.to_be_bytes());
        });
        all(&self.blocks, &mut out, BlockView::write);
        all(&self.receipts, &mut out, |receipt, out| {
            write_list(out, receipt, receipt::LONGEST, |byte, out| out.push(*byte));
        });
        self.seats.snapshot(&mut out);
        out
    }

    /// The inverse of [`Self::write`].
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Self::fields(&mut Cursor(rest)).ok_or(Unreadable::Damaged),
            None | Some((0, _)) => Err(Unreadable::Damaged),
            Some((newer, _)) => Err(Unreadable::Newer(*newer)),
        }
    }

    fn fields(from: &mut Cursor<'_>) -> Option<Self> {
        let (opened, now) = (Moment(from.long()?), Moment(from.long()?));
        let (swept, settled) = (from.long()?, Moment(from.long()?));
        let settled = (settled, usize::try_from(from.word()?).ok()?);
        let (changes, prefixes) = (Changes::after(from.long()?), from.word()?);
        let mut people = People::default();
        let count = from.word()? as usize;
        people.reserve(count.min(super::MOST_PEOPLE));
        for _ in 0..count {
            // Places are used again, so that there are no more of them than people at a time.
            let id = from.word().filter(|id| (*id as usize) < super::MOST_PEOPLE)?;
            people.add(id, Record::read(from)?);
        }
        let relays = several(from, Relay::read)?;
        let owners = several(from, |from| text(from, LONGEST_NAME))?;
        let doors = several(from, |from| {
            Some(Door { name: text(from, LONGEST_NAME)?, token: from.array()? })
        })?;
        let invites = several(from, |from| {
            let (token, until) = (from.array()?, Moment(from.long()?));
            Some((token, Invite { until, owner: from.short()? }))
        })?;
        let spares = several(from, |from| {
            let (id, endpoint) = (from.word()?, from.word()?);
            Some((id, Spare { endpoint, relay: from.short()?, slot: from.short()? }))
        })?;
        let mut requests = Requests::default();
        for (request, person) in several(from, |from| Some((from.long()?, Person(from.long()?))))? {
            requests.add(request, person);
        }
        let bundles = several(from, |from| {
            let (id, relays) = (from.array()?, several(from, Cursor::short)?);
            let expires = Day(i64::from_be_bytes(from.array()?));
            Some((id, Bundle { relays, expires }))
        })?;
        let blocks = several(from, BlockView::read)?;
        let receipt = |from: &mut Cursor<'_>| list(from, receipt::LONGEST, Cursor::byte);
        let receipts = several(from, receipt)?;
        let seats = Seats::restore(from.0)?;
        let relay_ids = (0..).zip(&relays).map(|(place, relay): (_, &Relay)| (relay.id.0, place));
        Some(Self {
            opened,
            now,
            seats,
            people,
            relay_ids: relay_ids.collect(),
            relays,
            owners,
            prefixes,
            invites: BTreeMap::from_iter(invites),
            doors,
            changes,
            spares: BTreeMap::from_iter(spares),
            requests,
            bundles: BTreeMap::from_iter(bundles),
            blocks: blocks.into(),
            receipts: BTreeSet::from_iter(receipts),
            swept,
            settled,
            news: BTreeSet::new(),
        })
    }
}

/// There are never 2^32 of anything here.
fn count(many: usize, out: &mut Vec<u8>) {
    out.extend(u32::try_from(many).unwrap_or(u32::MAX).to_be_bytes());
}

fn all<I: IntoIterator<IntoIter: ExactSizeIterator>>(
    these: I,
    out: &mut Vec<u8>,
    mut one: impl FnMut(I::Item, &mut Vec<u8>),
) {
    let these = these.into_iter();
    count(these.len(), out);
    these.for_each(|each| one(each, out));
}

fn several<'a, T>(
    from: &mut Cursor<'a>,
    mut one: impl FnMut(&mut Cursor<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = from.word()?;
    (0..count).map(|_| one(from)).collect()
}

impl Relay {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.id.0);
        out.extend(self.joined.0.to_be_bytes());
        write_ip(&self.address, out);
        self.capacity.write(out);
        self.face.write(out);
        out.push(self.standing.number());
        let reached = match self.is_reached {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        let status = match self.status {
            Status::Working => 0,
            Status::Paused => 1,
            Status::Gone => 2,
        };
        out.extend([(self.posture == Posture::All).into(), self.is_vouched.into(), reached]);
        out.extend([self.is_blocked.into(), self.is_gone.into(), status]);
        for number in [self.helped, self.prefix, self.opened] {
            out.extend(number.to_be_bytes());
        }
        out.extend(self.owner.to_be_bytes());
        out.extend(self.token);
        out.extend(self.attempt);
        out.extend(self.whole.to_be_bytes());
    }

    fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let (id, joined, address) = (RelayId(from.array()?), Moment(from.long()?), ip(from)?);
        let (capacity, face) = (Capacity::read(from)?, Face::read(from)?);
        let standing = Standing::of(from.byte()?)?;
        let posture = if from.flag()? { Posture::All } else { Posture::Quiet };
        let is_vouched = from.flag()?;
        let is_reached = match from.byte()? {
            0 => None,
            1 => Some(false),
            2 => Some(true),
            _ => return None,
        };
        let (is_blocked, is_gone) = (from.flag()?, from.flag()?);
        let status = match from.byte()? {
            0 => Status::Working,
            1 => Status::Paused,
            2 => Status::Gone,
            _ => return None,
        };
        let (helped, prefix, opened) = (from.word()?, from.word()?, from.word()?);
        let (owner, token, attempt) = (from.short()?, from.array()?, from.array()?);
        Some(Self {
            id,
            joined,
            address,
            capacity,
            face,
            standing,
            posture,
            is_vouched,
            is_reached,
            is_blocked,
            is_gone,
            helped,
            owner,
            prefix,
            token,
            attempt,
            status,
            opened,
            whole: from.long()?,
        })
    }
}

impl BlockView {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.moment.0.to_be_bytes());
        all(&self.relays, out, |relay, out| out.extend(relay.0));
        count(self.endpoints, out);
        out.push((self.scope == Scope::Addresses).into());
        write_word(self.word, out);
        write_text(out, &self.cause, LONGEST_NAME);
        count(self.people, out);
    }

    fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let moment = Moment(from.long()?);
        let relays = several(from, |from| Some(RelayId(from.array()?)))?;
        let endpoints = usize::try_from(from.word()?).ok()?;
        let scope = if from.flag()? { Scope::Addresses } else { Scope::Ports };
        let (word, cause) = (read_word(from)?, text(from, LONGEST_NAME)?);
        let people = usize::try_from(from.word()?).ok()?;
        Some(Self { moment, relays, endpoints, scope, word, cause, people })
    }
}
