//! All that the hub knows, as what becomes of events: the same events give the same office, to the
//! last bit. There is no clock here, no network and no secret: times are in the events, chance comes
//! from a seed, and people are numbers that only the fleet key leads to.
//!
//! ```text
//! Batch (moment, events) ── apply ──> outcomes, one for each event
//!                                     people seated anew (crate::seats), relays' lists changed
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`event`] | what happens, and how it is written |
//! | [`snapshot`] | all of it as bytes, and back |
//! | [`views`] | what others read |
//! | `apply` | what becomes of an event |
//! | `asking`, `joining` | the same, of people's and of relays' |
//! | `people` | who has asked: 24 bytes each, forgotten a week after they were last heard of |
//! | `relays` | volunteers' servers |
//! | `changes` | how seats changed lately |
//!
//! A person's record is their number, their network if somebody said it, the door, the seat and the
//! hour in which they were last heard of. Nothing else of anybody is kept.

mod apply;
mod asking;
mod changes;
pub mod event;
mod joining;
mod people;
mod relays;
pub mod snapshot;
pub mod views;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wire::derive::{Person, RelayId};
use wire::tally::Day;

use crate::seats::{EndpointId, Hours, PersonId, Rule, Seats};

#[cfg(test)]
mod tests;

pub use apply::{Outcome, Why};
pub use changes::Change;
pub use event::{Batch, Event, Scope};
pub use relays::{Relay, SLOTS};

use changes::Changes;
use people::People;
use views::BlockView;

/// A moment, in Unix milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Moment(pub u64);

impl Moment {
    /// In whole seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// Where people ask.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DoorId(pub u16);

impl DoorId {
    /// The organisers' own: nobody has a token for it.
    pub const OFFICE: Self = Self(0);
}

/// How long an invite is good, in milliseconds.
pub const INVITE: u64 = 3_600_000;
/// How many people there can be.
pub const MOST_PEOPLE: usize = 4_000_000;
/// How many relays there can have been.
pub const MOST_RELAYS: usize = 10_000;
/// How many doors.
pub const MOST_DOORS: usize = 1_000;
/// How many invites can be open at a time.
pub const MOST_INVITES: usize = 10_000;
/// How many bundles of one relay can be good at a time: as many as fit into an order.
pub const MOST_BUNDLES: usize = wire::fleet::order::MOST_BUNDLES - 1;
/// How many of all relays.
const MOST_BUNDLES_IN_ALL: usize = 100_000;
/// How many blocks are remembered.
const MOST_BLOCKS: usize = 1_000;
/// How many receipts: of two megabytes.
const MOST_RECEIPTS: usize = 8_000;
/// How many requests' keys are remembered.
const MOST_REQUESTS: usize = 1 << 16;

/// An invite that nobody has used yet.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Invite {
    until: Moment,
    owner: u16,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Door {
    name: String,
    /// The mark of its token.
    token: [u8; 16],
}

/// A second seat that somebody was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Spare {
    endpoint: EndpointId,
    relay: u16,
    slot: u16,
}

/// A bundle that is good.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Bundle {
    relays: Vec<u16>,
    expires: Day,
}

/// The whole office.
#[derive(Clone, Debug)]
pub struct Office {
    opened: Moment,
    now: Moment,
    seats: Seats,
    people: People,
    relays: Vec<Relay>,
    relay_ids: BTreeMap<[u8; 16], u16>,
    owners: Vec<String>,
    /// How many prefixes were numbered.
    prefixes: u32,
    invites: BTreeMap<[u8; 16], Invite>,
    doors: Vec<Door>,
    changes: Changes,
    spares: BTreeMap<PersonId, Spare>,
    requests: Requests,
    bundles: BTreeMap<[u8; 16], Bundle>,
    blocks: VecDeque<BlockView>,
    /// Receipts, as they were signed: what the map of cracks is made of.
    receipts: BTreeSet<Vec<u8>>,
    /// The last hour in which people were forgotten and ports came fresh.
    swept: u64,
    /// When people were seated last, and how many found no seat.
    settled: (Moment, usize),
    /// Relays that have something to be told since this was asked last.
    news: BTreeSet<u16>,
}

impl Office {
    /// A new one, without anybody. `seed` decides who is seated with whom.
    #[must_use]
    pub fn new(opened: Moment, seed: u64) -> Self {
        Self {
            opened,
            now: opened,
            seats: Seats::new(Rule::default(), seed),
            people: People::default(),
            relays: Vec::new(),
            relay_ids: BTreeMap::new(),
            owners: Vec::new(),
            prefixes: 0,
            invites: BTreeMap::new(),
            doors: vec![Door { name: String::new(), token: [0; 16] }],
            changes: Changes::default(),
            spares: BTreeMap::new(),
            requests: Requests::default(),
            bundles: BTreeMap::new(),
            blocks: VecDeque::new(),
            receipts: BTreeSet::new(),
            swept: 0,
            settled: (opened, 0),
            news: BTreeSet::new(),
        }
    }

    /// Until when it knows what happened.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The hours since it opened.
    fn hours(&self) -> Hours {
        hours(self.now.0.saturating_sub(self.opened.0))
    }

    /// The hours since it opened, whole ones.
    fn hour(&self) -> u64 {
        self.now.0.saturating_sub(self.opened.0) / 3_600_000
    }

    fn relay_place(&self, id: RelayId) -> Option<u16> {
        self.relay_ids.get(&id.0).copied()
    }

    /// The relays that have something to be told since this was asked last, by their places.
    pub fn take_news(&mut self) -> BTreeSet<u16> {
        std::mem::take(&mut self.news)
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn hours(milliseconds: u64) -> Hours {
    (milliseconds as f64 / 3_600_000.0) as Hours
}

/// The keys of the last requests, and whose they were.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Requests {
    order: VecDeque<(u64, Person)>,
    of: BTreeMap<u64, Person>,
}

impl Requests {
    fn add(&mut self, request: u64, person: Person) {
        if self.of.contains_key(&request) {
            return;
        }
        if self.order.len() == MOST_REQUESTS
            && let Some((oldest, _)) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
        self.order.push_back((request, person));
        self.of.insert(request, person);
    }

    /// Keeps those whose person is one of these.
    fn keep(&mut self, is_here: impl Fn(Person) -> bool) {
        self.order.retain(|(_, person)| is_here(*person));
        self.of.retain(|_, person| is_here(*person));
    }
}
