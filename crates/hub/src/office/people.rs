//! Who has asked, found by their number.

use hashbrown::HashTable;
use wire::cursor::Cursor;
use wire::derive::Person;

use crate::seats::PersonId;

/// Nobody is at this place.
const NOBODY: u16 = u16::MAX;
/// They have no seat.
const NOWHERE: u16 = u16::MAX;

/// What is kept of somebody, besides what the seats know: 24 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub person: Person,
    /// The number of their network, 0 if nobody said.
    pub network: u32,
    relay: u16,
    /// Which endpoint of the relay; counted around after 65,536.
    slot: u16,
    pub door: u16,
    /// The hour, since the office opened, in which they were last heard of.
    pub heard: u16,
    /// The day, since the office opened and counted from 1, on which they were last shown a spare.
    pub spared: u16,
}

impl Record {
    /// How many bytes it is written in.
    pub const SIZE: usize = 22;

    pub fn new(person: Person, network: u32, door: u16, heard: u16) -> Self {
        Self { person, network, relay: NOWHERE, slot: 0, door, heard, spared: 0 }
    }

    /// The relay and its slot where they were seated last.
    pub fn at(&self) -> Option<(u16, u16)> {
        (self.relay != NOWHERE).then_some((self.relay, self.slot))
    }

    /// [`Self::SIZE`] bytes; as slices, since there may be a million of them, and arrays take longer.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.person.0.to_be_bytes());
        out.extend_from_slice(&self.network.to_be_bytes());
        for number in [self.relay, self.slot, self.door, self.heard, self.spared] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    /// The inverse of [`Self::write`].
    pub fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let (person, network) = (Person(from.long()?), from.word()?);
        let (relay, slot, door) = (from.short()?, from.short()?, from.short()?);
        let (heard, spared) = (from.short()?, from.short()?);
        Some(Self { person, network, relay, slot, door, heard, spared })
    }

    pub fn sit(&mut self, at: Option<(u16, u16)>) {
        (self.relay, self.slot) = at.unwrap_or((NOWHERE, 0));
    }
}

/// All of them, at the places that the seats have for them. A number is an HMAC already: it is its own
/// hash, and nobody can choose numbers that collide.
#[derive(Clone, Default, Debug)]
pub(super) struct People {
    records: Vec<Record>,
    index: HashTable<PersonId>,
}

impl People {
    pub fn find(&self, person: Person) -> Option<PersonId> {
        let is_theirs = |&id: &PersonId| self.records[id as usize].person == person;
        self.index.find(person.0, is_theirs).copied()
    }

    /// `None` where nobody is.
    pub fn get(&self, id: PersonId) -> Option<&Record> {
        self.records.get(id as usize).filter(|record| record.door != NOBODY)
    }

    pub fn get_mut(&mut self, id: PersonId) -> Option<&mut Record> {
        self.records.get_mut(id as usize).filter(|record| record.door != NOBODY)
    }

    /// At the place that the seats have given, which is the next one or one that is free.
    pub fn add(&mut self, id: PersonId, record: Record) {
        let nobody = Record::new(Person(0), 0, NOBODY, 0);
        if self.records.len() <= id as usize {
            self.records.resize(id as usize + 1, nobody);
        }
        self.records[id as usize] = record;
        let records = &self.records;
        self.index.insert_unique(record.person.0, id, |&id| records[id as usize].person.0);
    }

    /// Nothing is left of them.
    pub fn remove(&mut self, id: PersonId) -> Option<Record> {
        let record = *self.get(id)?;
        if let Ok(entry) = self.index.find_entry(record.person.0, |&other| other == id) {
            entry.remove();
        }
        self.records[id as usize] = Record::new(Person(0), 0, NOBODY, 0);
        Some(record)
    }

    /// Makes room for so many.
    pub fn reserve(&mut self, count: usize) {
        self.records.reserve(count);
        let records = &self.records;
        self.index.reserve(count, |&id| records[id as usize].person.0);
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// In the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (PersonId, &Record)> {
        (0..).zip(&self.records).filter(|(_, record)| record.door != NOBODY)
    }
}
