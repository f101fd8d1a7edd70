//! What becomes of an event.

use std::net::IpAddr;

use wire::crack::Hour;
use wire::derive::{Person, RelayId};
use wire::echo::BundleId;
use wire::fleet::{Capacity, Face, Posture, Standing};
use wire::receipt::Receipt;
use wire::tally::Day;

use super::changes::Change;
use super::event::{Batch, Event, Scope};
use super::people::Record;
use super::relays::{PORTS, Relay, SLOTS, prefix};
use super::views::BlockView;
use super::{
    Bundle, Door, DoorId, INVITE, Invite, MOST_BLOCKS, MOST_BUNDLES, MOST_BUNDLES_IN_ALL,
    MOST_DOORS, MOST_INVITES, MOST_PEOPLE, MOST_RECEIPTS, MOST_RELAYS, Moment, Office, Spare,
};
use crate::seats::{EndpointId, Move, Origin, PersonId, Status};

/// For how many hours a receipt is kept: by then it counts a 4,000th.
const RECEIPT: u32 = 72;
/// How many ports of a relay that nobody knows come into use in an hour.
const FRESH_AN_HOUR: u32 = 16;
/// While somebody finds no seat, all of them try again after so many milliseconds.
const AGAIN: u64 = 1_000;

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// What it says.
    Done,
    /// The relay at this place has joined, now or in an attempt before.
    Joined(u16),
    /// So many people lost their seats by it.
    Cut(usize),
    /// Nothing.
    Refused(Why),
}

/// Why nothing came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    /// An invite was never given, is used, or is over.
    #[error("this invite is not good, was used already, or is over: ask for another one")]
    Invite,
    /// The office keeps no more of a kind.
    #[error("there are too many {0} already")]
    Full(&'static str),
    /// Nobody of that name or number is known.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The key of a request was another person's.
    #[error("this request's key was used for somebody else")]
    Request,
}

impl Office {
    /// Makes all of it happen, in order, then seats those who wait. One outcome for each event.
    pub fn apply(&mut self, batch: &Batch) -> Vec<Outcome> {
        // A clock that was set back does not make anybody younger.
        self.now = self.now.max(batch.moment);
        let outcomes = batch.events.iter().map(|event| self.happen(event)).collect();
        let is_tick = batch.events.contains(&Event::Tick);
        if is_tick {
            self.sweep();
        }
        let (last, left) = self.settled;
        let is_due = left == 0 || self.now.0 >= last.0.saturating_add(AGAIN);
        if is_tick || (self.seats.waiting() > 0 && is_due) {
            let moves = self.seats.settle(self.hours());
            moves.into_iter().for_each(|each| self.seat(each));
            self.settled = (self.now, self.seats.waiting());
        }
        outcomes
    }

    fn happen(&mut self, event: &Event) -> Outcome {
        match event {
            Event::Asked { person, door, request, network } => {
                self.asked(*person, *door, *request, *network)
            }
            Event::Heard { person } => self.of(*person, Self::heard),
            Event::Spared { person } => self.of(*person, Self::show_spare),
            Event::Door { name, token } => self.door(name, *token),
            Event::Invited { token, owner } => self.invited(*token, owner),
            Event::Enrolled { token, attempt, relay, address, capacity, face } => {
                self.enrolled(*token, *attempt, *relay, *address, *capacity, face)
            }
            Event::Booked { relay, standing, address, capacity, face } => {
                self.booked(*relay, *standing, *address, *capacity, face)
            }
            Event::Reached { relay, is_reached } => self.on(*relay, |relay| {
                relay.is_reached = Some(*is_reached);
                relay.is_gone &= !*is_reached;
            }),
            Event::Vouched { relay, is_vouched } => {
                self.on(*relay, |relay| relay.is_vouched = *is_vouched)
            }
            Event::Posture { relay, posture } => self.posture(*relay, *posture),
            Event::Blocked { endpoints, scope, is_confirmed, cause } => {
                self.blocked(endpoints, *scope, *is_confirmed, cause)
            }
            Event::Gone { relay } => self.on(*relay, |relay| relay.is_gone = true),
            Event::Abroad { relay, people } => self.abroad(*relay, people),
            Event::Bundled { person, bundle, expires } => self.bundled(*person, *bundle, *expires),
            Event::Receipt { bytes } => self.receipt(bytes),
            Event::Tick => Outcome::Done,
        }
    }

    // People.

    fn of(&mut self, person: Person, then: impl FnOnce(&mut Self, PersonId)) -> Outcome {
        match self.people.find(person) {
            Some(id) => {
                then(self, id);
                Outcome::Done
            }
            None => Outcome::Refused(Why::Unknown("person")),
        }
    }

    fn asked(&mut self, person: Person, door: DoorId, request: u64, network: u32) -> Outcome {
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
    fn stamp(&self) -> u16 {
        u16::try_from(self.hour()).unwrap_or(u16::MAX)
    }

    fn heard(&mut self, id: PersonId) {
        let (now, stamp) = (self.hours(), self.stamp());
        self.seats.seen(id, now);
        if let Some(record) = self.people.get_mut(id) {
            record.heard = stamp;
        }
    }

    /// Whoever says that their seat does not work is shown a second one, at most one a day: more would
    /// be a way to learn the fleet. Nobody is moved by what they say themselves.
    fn show_spare(&mut self, id: PersonId) {
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

    fn take_spare(&mut self, id: PersonId) {
        if let Some(spare) = self.spares.remove(&id)
            && let Some(record) = self.people.get(id)
            && record.at().is_none_or(|(relay, _)| relay != spare.relay)
        {
            let person = record.person;
            self.tell(Change { person, relay: spare.relay, slot: None });
        }
    }

    fn tell(&mut self, change: Change) {
        self.news.insert(change.relay);
        self.changes.push(change);
    }

    fn seat(&mut self, Move { person: id, to }: Move) {
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

    fn bundled(&mut self, person: Person, bundle: BundleId, expires: Day) -> Outcome {
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

    fn receipt(&mut self, bytes: &[u8]) -> Outcome {
        if self.receipts.len() < MOST_RECEIPTS && Receipt::parse(bytes).is_ok() {
            self.receipts.insert(bytes.to_vec());
        }
        Outcome::Done
    }

    fn door(&mut self, name: &str, token: [u8; 16]) -> Outcome {
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

    // Relays.

    fn on(&mut self, place: u16, then: impl FnOnce(&mut Relay)) -> Outcome {
        let Some(relay) = self.relays.get_mut(usize::from(place)) else {
            return Outcome::Refused(Why::Unknown("relay"));
        };
        then(relay);
        self.news.insert(place);
        Outcome::Cut(self.follow(place))
    }

    /// Tells the seats what a relay is by now; how many people lose their seats by it.
    fn follow(&mut self, place: u16) -> usize {
        let now = self.hours();
        let relay = &mut self.relays[usize::from(place)];
        let (before, state) = (relay.status, relay.state());
        if before == state {
            return 0;
        }
        relay.status = state;
        let terms = relay.terms();
        let waiting = self.seats.waiting();
        self.seats.status(place.into(), state, now);
        if before == Status::Gone {
            self.seats.fresh(place.into(), terms.ports);
        }
        self.seats.waiting().saturating_sub(waiting)
    }

    fn invited(&mut self, token: [u8; 16], owner: &str) -> Outcome {
        if self.invites.len() >= MOST_INVITES {
            return Outcome::Refused(Why::Full("invites"));
        }
        // Whoever is not named is nobody else.
        let known = self.owners.iter().position(|known| known == owner && !owner.is_empty());
        let owner = known.unwrap_or_else(|| {
            self.owners.push(owner.to_owned());
            self.owners.len() - 1
        });
        let Ok(owner) = u16::try_from(owner) else {
            self.owners.pop();
            return Outcome::Refused(Why::Full("owners"));
        };
        let until = Moment(self.now.0.saturating_add(INVITE));
        self.invites.insert(token, Invite { until, owner });
        Outcome::Done
    }

    fn enrolled(
        &mut self,
        token: [u8; 16],
        attempt: [u8; 16],
        id: RelayId,
        address: IpAddr,
        capacity: Capacity,
        face: &Face,
    ) -> Outcome {
        if let Some(place) = self.joined(token, attempt) {
            return Outcome::Joined(place);
        }
        if self.relays.len() >= MOST_RELAYS {
            return Outcome::Refused(Why::Full("relays"));
        }
        let now = self.now;
        let invite = self.invites.remove(&token).filter(|invite| invite.until >= now);
        let (Some(invite), Ok(place)) = (invite, u16::try_from(self.relays.len())) else {
            return Outcome::Refused(Why::Invite);
        };
        let relay = Relay {
            id,
            joined: now,
            address,
            capacity,
            face: face.clone(),
            standing: Standing::Carrying,
            posture: Posture::Quiet,
            is_vouched: false,
            is_reached: None,
            is_blocked: false,
            is_gone: false,
            helped: 0,
            owner: invite.owner,
            prefix: self.prefix(address),
            token,
            attempt,
            status: Status::Working,
            opened: 0,
            whole: 0,
        };
        self.seats.enrol(relay.terms());
        self.relays.push(relay);
        self.relay_ids.insert(id.0, place);
        self.follow(place);
        Outcome::Joined(place)
    }

    /// The relay that joined with this token in this very attempt, while the invite would be good.
    pub(super) fn joined(&self, token: [u8; 16], attempt: [u8; 16]) -> Option<u16> {
        let is_it = |relay: &Relay| relay.token == token && relay.attempt == attempt;
        let place = self.relays.iter().rposition(is_it)?;
        let until = self.relays[place].joined.0.saturating_add(INVITE);
        (self.now.0 <= until).then(|| u16::try_from(place).ok())?
    }

    fn prefix(&mut self, address: IpAddr) -> u32 {
        let wanted = prefix(address);
        let known = self.relays.iter().find(|relay| prefix(relay.address) == wanted);
        if let Some(relay) = known {
            return relay.prefix;
        }
        self.prefixes += 1;
        self.prefixes
    }

    fn booked(
        &mut self,
        place: u16,
        standing: Standing,
        address: IpAddr,
        capacity: Capacity,
        face: &Face,
    ) -> Outcome {
        let now = self.hours();
        let prefix = self.prefix(address);
        let Some(relay) = self.relays.get_mut(usize::from(place)) else {
            return Outcome::Refused(Why::Unknown("relay"));
        };
        let before = relay.terms();
        let has_moved = relay.address != address;
        (relay.standing, relay.capacity, relay.face) = (standing, capacity, face.clone());
        if has_moved {
            (relay.address, relay.prefix) = (address, prefix);
            // It is to be tried from outside again.
            (relay.is_blocked, relay.is_reached) = (false, None);
        }
        let terms = relay.terms();
        if terms != before {
            self.seats.terms(place.into(), terms, now);
        }
        self.news.insert(place);
        Outcome::Cut(self.follow(place))
    }

    fn posture(&mut self, place: u16, posture: Posture) -> Outcome {
        let now = self.hours();
        let Some(relay) = self.relays.get_mut(usize::from(place)) else {
            return Outcome::Refused(Why::Unknown("relay"));
        };
        if relay.posture == posture {
            return Outcome::Done;
        }
        relay.posture = posture;
        relay.whole = self.changes.step();
        let terms = relay.terms();
        let waiting = self.seats.waiting();
        self.seats.terms(place.into(), terms, now);
        self.news.insert(place);
        Outcome::Cut(self.seats.waiting().saturating_sub(waiting))
    }

    fn abroad(&mut self, place: u16, people: &[Person]) -> Outcome {
        let now = self.hours();
        for person in people {
            if let Some(id) = self.people.find(*person) {
                self.seats.login(id, place.into(), Origin::Abroad, now);
            }
        }
        Outcome::Done
    }

    fn blocked(
        &mut self,
        endpoints: &[EndpointId],
        scope: Scope,
        is_confirmed: bool,
        cause: &str,
    ) -> Outcome {
        let now = self.hours();
        let places = endpoints.iter().filter_map(|&id| self.seats.place(id));
        let mut relays: Vec<u16> = places.map(|place| short(place.relay, place.slot).0).collect();
        let open = relays.len();
        relays.sort_unstable();
        relays.dedup();
        if open == 0 {
            return Outcome::Cut(0);
        }
        let waiting = self.seats.waiting();
        if is_confirmed {
            self.seats.blocked_together(endpoints, now);
        } else {
            endpoints.iter().for_each(|&id| self.seats.gone(id, now));
        }
        if scope == Scope::Addresses {
            for &place in &relays {
                self.relays[usize::from(place)].is_blocked = true;
                self.follow(place);
            }
        }
        let people = self.seats.waiting().saturating_sub(waiting);
        if self.blocks.len() == MOST_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back(BlockView {
            moment: self.now,
            relays: relays.iter().map(|&place| self.relays[usize::from(place)].id).collect(),
            endpoints: open,
            scope,
            is_confirmed,
            cause: cause.to_owned(),
            people,
        });
        self.news.extend(relays);
        Outcome::Cut(people)
    }

    /// What is due each hour.
    fn sweep(&mut self) {
        let hour = self.hour();
        if hour <= self.swept {
            return;
        }
        let passed = u32::try_from(hour - self.swept).unwrap_or(u32::MAX);
        self.swept = hour;
        let over = self.seats.expire(self.hours());
        let is_any = !over.is_empty();
        for id in over {
            self.take_spare(id);
            let Some(record) = self.people.remove(id) else { continue };
            if let Some((relay, _)) = record.at() {
                self.tell(Change { person: record.person, relay, slot: None });
            }
        }
        if is_any {
            self.requests.keep(|person| self.people.find(person).is_some());
        }
        for (place, relay) in (0..).zip(&self.relays) {
            // Some stay for those that are in use when the last has come.
            if relay.has_ports() && relay.opened < SLOTS - PORTS && relay.status == Status::Working
            {
                self.seats.fresh(place, FRESH_AN_HOUR.saturating_mul(passed));
            }
        }
        let oldest = Hour::at(self.now.seconds()).0.saturating_sub(RECEIPT);
        let is_young = |bytes: &Vec<u8>| {
            Receipt::parse(bytes).is_ok_and(|receipt| receipt.statement().hour.0 >= oldest)
        };
        self.receipts.retain(is_young);
        let (now, today) = (self.now, Day::at(self.now.seconds()));
        self.invites.retain(|_, invite| invite.until >= now);
        let bundles = self.bundles.len();
        self.bundles.retain(|_, bundle| bundle.expires >= today);
        if self.bundles.len() < bundles {
            self.news.extend((0..).take(self.relays.len()));
        }
    }
}

/// There are fewer relays than 65,536; slots are counted around.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn short(relay: u32, slot: u32) -> (u16, u16) {
    (relay as u16, slot as u16)
}
