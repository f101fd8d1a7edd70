//! What others read of the office.

use wire::derive::{Person, RelayId};
use wire::echo::BundleId;
use wire::fleet::order::MOST_SEATS;

use super::apply::short;
use super::event::Scope;
use super::relays::Relay;
use super::{Change, DoorId, Moment, Office};
use crate::blocks::Word;
use crate::seats::{EndpointId, PersonId};

/// Who was not heard of for so many hours is worth a line in the journal when they are.
const STALE: u64 = 6;

/// Somebody, and where they are seated.
#[derive(Clone, Debug)]
pub struct Seated<'a> {
    /// Who, as the seats number them.
    pub id: PersonId,
    /// Whether it is some hours since they were heard of, by the journal.
    pub is_stale: bool,
    /// The number of their network, 0 if nobody said.
    pub network: u32,
    /// Their endpoint, to count what is heard of it.
    pub endpoint: Option<EndpointId>,
    /// The relay and its slot: their own seat first, then the one that they were shown besides. None
    /// while they wait.
    pub places: Vec<(&'a Relay, u16)>,
}

/// A relay's seats, as they are or as they changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// From which revision on; 0: these are all there are.
    pub from: u64,
    /// To which.
    pub to: u64,
    /// Whose, in order; with `None` nobody's any more.
    pub seats: Vec<(Person, Option<u16>)>,
}

/// Numbers of people, and nothing that is anybody's.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PeopleView {
    /// How many there are.
    pub all: usize,
    /// How many of them have no seat.
    pub waiting: usize,
    /// How many came in at which door.
    pub doors: Vec<(String, usize)>,
}

/// A block, and what was done about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockView {
    /// When the office was told.
    pub moment: Moment,
    /// On which relays.
    pub relays: Vec<RelayId>,
    /// How many endpoints.
    pub endpoints: usize,
    /// What the block takes.
    pub scope: Scope,
    /// Who said so.
    pub word: Word,
    /// In words.
    pub cause: String,
    /// How many people were seated elsewhere.
    pub people: usize,
}

/// A relay, and how many people sit there.
#[derive(Clone, PartialEq, Debug)]
pub struct RelayView {
    /// The relay.
    pub relay: Relay,
    /// Whose it is, if somebody said.
    pub owner: String,
    /// How many people sit there.
    pub people: usize,
    /// How many endpoints it has open.
    pub endpoints: usize,
    /// Whether most of what is tried there fails, as if the censor ran it.
    pub is_foul: bool,
}

/// A door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DoorView {
    /// Which.
    pub id: DoorId,
    /// What it is called.
    pub name: String,
}

impl Office {
    /// Somebody, if they are known.
    #[must_use]
    pub fn person(&self, person: Person) -> Option<Seated<'_>> {
        let id = self.people.find(person)?;
        let record = self.people.get(id)?;
        let endpoint = self.seats.seat(id);
        let places = self.places_of(id);
        let with = |(relay, slot)| Some((self.relays.get(usize::from(relay))?, slot));
        Some(Seated {
            id,
            is_stale: self.hour().saturating_sub(record.heard.into()) >= STALE,
            network: record.network,
            endpoint,
            places: places.into_iter().filter_map(with).collect(),
        })
    }

    /// Whose request this was.
    #[must_use]
    pub fn requested(&self, request: u64) -> Option<Person> {
        self.requests.of.get(&request).copied()
    }

    /// The relays and slots where somebody is seated, their own first.
    pub(super) fn places_of(&self, id: PersonId) -> Vec<(u16, u16)> {
        let mut places = Vec::with_capacity(2);
        if self.seats.seat(id).is_none() {
            return places;
        }
        places.extend(self.people.get(id).and_then(super::people::Record::at));
        let spare = self.spares.get(&id);
        let is_open = |endpoint| self.seats.place(endpoint).is_some();
        places.extend(
            spare.filter(|spare| is_open(spare.endpoint)).map(|spare| (spare.relay, spare.slot)),
        );
        places
    }

    /// A relay's seats: as they changed since it knew them, if that is remembered, else all of them.
    #[must_use]
    pub fn listed(&self, place: u16, known: u64) -> Listed {
        let to = self.changes.last();
        let whole = self.relays.get(usize::from(place)).map_or(0, |relay| relay.whole);
        let since = (known != 0 && known >= whole).then(|| self.changes.since(place, known));
        let since = since.flatten().filter(|changes| changes.len() <= MOST_SEATS);
        if let Some(changes) = since {
            let seats = changes.iter().map(|&Change { person, slot, .. }| (person, slot)).collect();
            return Listed { from: known, to, seats };
        }
        Listed { from: 0, to, seats: self.seats_of(place) }
    }

    /// Everybody who has a seat on a relay, and where.
    #[must_use]
    pub fn seats_of(&self, place: u16) -> Vec<(Person, Option<u16>)> {
        let mut all = Vec::new();
        for (id, at) in self.seats.open_endpoints() {
            let (relay, slot) = short(at.relay, at.slot);
            if relay == place {
                let members = self.seats.members(id).iter();
                let people = members.filter_map(|&person| self.people.get(person));
                all.extend(people.map(|record| (record.person, Some(slot))));
            }
        }
        for (&id, spare) in self.spares.iter().filter(|(_, spare)| spare.relay == place) {
            all.extend(self.people.get(id).map(|record| (record.person, Some(spare.slot))));
        }
        all
    }

    /// The bundles whose questions a relay answers.
    #[must_use]
    pub fn bundles_of(&self, place: u16) -> Vec<BundleId> {
        let with = self.bundles.iter().filter(|(_, bundle)| bundle.relays.contains(&place));
        with.map(|(id, _)| BundleId(*id)).collect()
    }

    /// A relay by its place.
    #[must_use]
    pub fn relay(&self, place: u16) -> Option<&Relay> {
        self.relays.get(usize::from(place))
    }

    /// The place of a relay.
    #[must_use]
    pub fn place(&self, id: RelayId) -> Option<u16> {
        self.relay_place(id)
    }

    /// All relays, in the order of their places.
    #[must_use]
    pub fn relays(&self) -> &[Relay] {
        &self.relays
    }

    /// All relays, with what is to be counted of them.
    #[must_use]
    pub fn relay_views(&self) -> Vec<RelayView> {
        let mut counts = vec![(0, 0); self.relays.len()];
        for (id, at) in self.seats.open_endpoints() {
            if let Some((people, endpoints)) = counts.get_mut(at.relay as usize) {
                *people += self.seats.members(id).len();
                *endpoints += 1;
            }
        }
        let with = |(place, (relay, (people, endpoints))): (u32, (&Relay, (usize, usize)))| {
            let owner = self.owners.get(usize::from(relay.owner)).cloned().unwrap_or_default();
            let is_foul = self.seats.is_foul(place);
            RelayView { relay: relay.clone(), owner, people, endpoints, is_foul }
        };
        (0..).zip(self.relays.iter().zip(counts)).map(with).collect()
    }

    /// The endpoints that are open: where, in which slot, with how many people.
    pub fn endpoints(&self) -> impl Iterator<Item = (EndpointId, &Relay, u16, usize)> {
        self.seats.open_endpoints().filter_map(|(id, at)| {
            let (relay, slot) = short(at.relay, at.slot);
            let relay = self.relays.get(usize::from(relay))?;
            Some((id, relay, slot, self.seats.members(id).len()))
        })
    }

    /// How many people there are. It looks at everybody.
    #[must_use]
    pub fn people_view(&self) -> PeopleView {
        let mut doors: Vec<(String, usize)> =
            self.doors.iter().map(|door| (door.name.clone(), 0)).collect();
        for (_, record) in self.people.iter() {
            if let Some((_, count)) = doors.get_mut(usize::from(record.door)) {
                *count += 1;
            }
        }
        PeopleView { all: self.people.len(), waiting: self.seats.waiting(), doors }
    }

    /// The last blocks, the oldest first.
    pub fn block_views(&self) -> impl Iterator<Item = &BlockView> {
        self.blocks.iter()
    }

    /// The receipts that count.
    pub fn receipts(&self) -> impl Iterator<Item = &[u8]> {
        self.receipts.iter().map(Vec::as_slice)
    }

    /// Whether there is this one among them.
    #[must_use]
    pub fn has_receipt(&self, bytes: &[u8]) -> bool {
        self.receipts.contains(bytes)
    }

    /// All doors but the organisers' own.
    #[must_use]
    pub fn door_views(&self) -> Vec<DoorView> {
        let named = (0..).zip(&self.doors).skip(1);
        named.map(|(id, door)| DoorView { id: DoorId(id), name: door.name.clone() }).collect()
    }

    /// The door whose token has this mark.
    #[must_use]
    pub fn door_of(&self, token: [u8; 16]) -> Option<DoorId> {
        let place = self.doors.iter().skip(1).position(|door| door.token == token)?;
        u16::try_from(place + 1).ok().map(DoorId)
    }

    /// What a door is called.
    #[must_use]
    pub fn door_name(&self, door: DoorId) -> Option<&str> {
        self.doors.get(usize::from(door.0)).map(|door| door.name.as_str())
    }

    /// The relay that joined with this token in this very attempt, not long ago.
    #[must_use]
    pub fn has_joined(&self, token: [u8; 16], attempt: [u8; 16]) -> Option<u16> {
        self.joined(token, attempt)
    }

    /// Whether an invite with this token is open.
    #[must_use]
    pub fn is_invited(&self, token: [u8; 16]) -> bool {
        self.invites.contains_key(&token)
    }
}
