//! What becomes of an event.

use wire::crack::Hour;
use wire::receipt::Receipt;
use wire::tally::Day;

use super::changes::Change;
use super::event::{Batch, Event, Scope};
use super::relays::{PORTS, SLOTS};
use super::views::BlockView;
use super::{MOST_BLOCKS, Office};
use crate::blocks::Word;
use crate::seats::{EndpointId, Status};

/// For how many hours a receipt is kept: by then it counts a 4,000th.
const RECEIPT: u32 = 72;
/// How many ports of a relay that nobody knows come into use in an hour.
const FRESH_AN_HOUR: u32 = 16;
/// For how many milliseconds newcomers are seated by what the last settlement has found out.
const SETTLED: u64 = 20_000;
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
        let since = self.now.0.saturating_sub(last.0);
        if left == 0 && since < SETTLED && !is_tick {
            let moves = self.seats.welcome(self.hours());
            moves.into_iter().for_each(|each| self.seat(each));
        }
        if is_tick || (self.seats.waiting() > 0 && (left == 0 || since >= AGAIN)) {
            // Where nobody waits, nothing is found out for those who come next.
            let when = if self.seats.waiting() > 0 { self.now } else { last };
            let moves = self.seats.settle(self.hours());
            moves.into_iter().for_each(|each| self.seat(each));
            self.settled = (when, self.seats.waiting());
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
            Event::Blocked { endpoints, scope, word, cause } => {
                self.blocked(endpoints, *scope, *word, cause)
            }
            Event::Gone { relay } => self.on(*relay, |relay| relay.is_gone = true),
            Event::Abroad { relay, people } => self.abroad(*relay, people),
            Event::Bundled { person, bundle, expires } => self.bundled(*person, *bundle, *expires),
            Event::Receipt { bytes } => self.receipt(bytes),
            Event::Tick => Outcome::Done,
        }
    }

    fn blocked(
        &mut self,
        endpoints: &[EndpointId],
        scope: Scope,
        word: Word,
        cause: &str,
    ) -> Outcome {
        let now = self.hours();
        let places = endpoints.iter().filter_map(|&id| self.seats.place(id));
        let mut relays: Vec<u16> = places.map(|place| short(place.relay, place.slot).0).collect();
        let open = relays.len();
        relays.sort_unstable();
        relays.dedup();
        // Without any it is a country's cut, or a provider's fault.
        if open == 0 && !endpoints.is_empty() {
            return Outcome::Cut(0);
        }
        let waiting = self.seats.waiting();
        match word {
            Word::Several => self.seats.blocked_together(endpoints, now),
            Word::One => endpoints.iter().for_each(|&id| self.seats.blocked_perhaps(id, now)),
            Word::Relay => endpoints.iter().for_each(|&id| self.seats.gone(id, now)),
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
            word,
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
