//! People: they ask, are heard of, are seated, and doors are made for them.

use wire::derive::Person;
use wire::echo::BundleId;
use wire::receipt::Receipt;
use wire::tally::Day;

use super::apply::short;
use super::changes::Change;
use super::people::Record;
use super::{
    Bundle, Door, DoorId, MOST_BUNDLES, MOST_BUNDLES_IN_ALL, MOST_DOORS, MOST_PEOPLE,
    MOST_RECEIPTS, Office, Outcome, Spare, Why,
};
use crate::seats::{Move, PersonId};

impl Office {
    pub(super) fn of(&mut self, person: Person, then: impl FnOnce(&mut Self, PersonId)) -> Outcome {
        match self.people.find(person) {
            Some(id) => {
                then(self, id);
                Outcome::Done
            }
            None => Outcome::Refused(Why::Unknown("person")),
        }
    }

    pub(super) fn asked(
        &mut self,
        person: Person,
        door: DoorId,
        request: u64,
        network: u32,
    ) -> Outcome {
        if self.requests.of.get(&request).is_some_and(|whose| *whose != person) {
            return Outcome::Refused(Why::Request);
        }
        if let Some(id) = self.people.find(person) {
            self.heard(id);
            if let Some(record) = self.people.get_mut(id).filter(|_| network != 0) {
                record.network = network;
            }
        } else if self.people.len() < MOST_PEOPLE {
            let id = self.seats.arrive(self.hours());
            let heard = self.stamp();
            self.people.add(id, Record::new(person, network, door.0, heard));
        } else {
            return Outcome::Refused(Why::Full("people"));
        }
        self.requests.add(request, person);
        Outcome::Done
    }

    /// This hour, as it is kept: for seven years.
    pub(super) fn stamp(&self) -> u16 {
        u16::try_from(self.hour()).unwrap_or(u16::MAX)
    }

    pub(super) fn heard(&mut self, id: PersonId) {
        let (now, stamp) = (self.hours(), self.stamp());
        self.seats.seen(id, now);
        if let Some(record) = self.people.get_mut(id) {
            record.heard = stamp;
        }
    }

    /// Whoever says that their seat does not work is shown a second one, at most one a day: more would
    /// be a way to learn the fleet. Nobody is moved by what they say themselves.
    pub(super) fn show_spare(&mut self, id: PersonId) {
        self.heard(id);
        let (now, today) = (self.hours(), self.stamp() / 24 + 1);
        let is_shown =
            self.spares.get(&id).is_some_and(|spare| self.seats.place(spare.endpoint).is_some());
        if is_shown || self.people.get(id).is_none_or(|record| record.spared == today) {
            return;
        }
        let Some(endpoint) = self.seats.spare(id, now) else { return };
        let Some(place) = self.seats.place(endpoint) else { return };
        let Some(record) = self.people.get_mut(id) else { return };
        record.spared = today;
        let person = record.person;
        let (relay, slot) = short(place.relay, place.slot);
        self.take_spare(id);
        self.spares.insert(id, Spare { endpoint, relay, slot });
        self.tell(Change { person, relay, slot: Some(slot) });
    }

    pub(super) fn take_spare(&mut self, id: PersonId) {
        if let Some(spare) = self.spares.remove(&id)
            && let Some(record) = self.people.get(id)
            && record.at().is_none_or(|(relay, _)| relay != spare.relay)
        {
            let person = record.person;
            self.tell(Change { person, relay: spare.relay, slot: None });
        }
    }

    pub(super) fn tell(&mut self, change: Change) {
        self.news.insert(change.relay);
        self.changes.push(change);
    }

    pub(super) fn seat(&mut self, Move { person: id, to }: Move) {
        let Some(place) = self.seats.place(to) else { return };
        let (relay, slot) = short(place.relay, place.slot);
        let Some(record) = self.people.get_mut(id) else { return };
        let (before, person) = (record.at(), record.person);
        record.sit(Some((relay, slot)));
        if self.spares.get(&id).is_some_and(|spare| spare.relay == relay) {
            self.spares.remove(&id);
        }
        let is_new = before.is_none_or(|(before, _)| before != relay);
        if let Some((before, _)) = before.filter(|_| is_new) {
            self.tell(Change { person, relay: before, slot: None });
        }
        self.tell(Change { person, relay, slot: Some(slot) });
        if let Some(state) = self.relays.get_mut(usize::from(relay)) {
            state.helped = state.helped.saturating_add(is_new.into());
            state.opened = state.opened.max(place.slot.saturating_add(1));
        }
    }

    pub(super) fn bundled(&mut self, person: Person, bundle: BundleId, expires: Day) -> Outcome {
        let Some(id) = self.people.find(person) else {
            return Outcome::Refused(Why::Unknown("person"));
        };
        let relays: Vec<u16> = self.places_of(id).into_iter().map(|(relay, _)| relay).collect();
        if self.bundles.contains_key(&bundle.0) || relays.is_empty() {
            return Outcome::Done;
        }
        if self.bundles.len() >= MOST_BUNDLES_IN_ALL {
            return Outcome::Refused(Why::Full("bundles"));
        }
        for &relay in &relays {
            let of_relay = self.bundles.values().filter(|other| other.relays.contains(&relay));
            if of_relay.count() >= MOST_BUNDLES {
                return Outcome::Refused(Why::Full("bundles"));
            }
        }
        self.news.extend(&relays);
        self.bundles.insert(bundle.0, Bundle { relays, expires });
        Outcome::Done
    }

    pub(super) fn receipt(&mut self, bytes: &[u8]) -> Outcome {
        if self.receipts.len() < MOST_RECEIPTS && Receipt::parse(bytes).is_ok() {
            self.receipts.insert(bytes.to_vec());
        }
        Outcome::Done
    }

    pub(super) fn door(&mut self, name: &str, token: [u8; 16]) -> Outcome {
        if let Some(door) = self.doors.iter_mut().find(|door| door.name == name) {
            door.token = token;
            return Outcome::Done;
        }
        if self.doors.len() == MOST_DOORS {
            return Outcome::Refused(Why::Full("doors"));
        }
        self.doors.push(Door { name: name.to_owned(), token });
        Outcome::Done
    }
}
