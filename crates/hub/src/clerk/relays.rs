//! Relays: invites, enrolment, heartbeats, and what organisers decide of them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant};
use wire::addresses::forbidden;
use wire::derive::{KeyId, Person, RelayId};
use wire::fleet::{Enrolled, Enrolment, Health, Heartbeat, Posture};

use super::orders::Given;
use super::{Clerk, Refused, named};
use crate::office::event::MOST_LISTED;
use crate::office::views::RelayView;
use crate::office::{Event, Moment, Outcome, Relay, Why};

/// How often it is looked up whose keys were used abroad.
const LOOK: Duration = Duration::from_secs(3600);
/// For how many milliseconds a volunteer is told something, and how much.
const TOLD: u64 = 24 * 3600 * 1000;
const MOST_WORDS: usize = 4;
/// How many keys used abroad wait for that, for one relay.
const MOST_ABROAD: usize = 4096;

/// What is known of a relay since the hub started.
#[derive(Default)]
pub(super) struct Heard {
    pub last: Mutex<Last>,
    /// There is something to tell it.
    pub news: Notify,
}

/// The last that was heard of a relay, and told to it.
#[derive(Default)]
pub(super) struct Last {
    number: u64,
    /// Which ports it answers on, by the last order that it has followed.
    posture: Option<Posture>,
    moment: Option<Moment>,
    health: Health,
    version: String,
    abroad: HashSet<KeyId>,
    looked: Option<Instant>,
    /// What its volunteer is told besides, and since when.
    words: Vec<(Moment, String)>,
    pub given: Option<Given>,
}

/// A relay, and how it fares.
#[derive(Clone, PartialEq, Debug)]
pub struct RelayReport {
    /// What the office knows.
    pub view: RelayView,
    /// When it was last heard of, since the hub started.
    pub heard: Option<Moment>,
    /// How it fares, by its own word.
    pub health: Health,
    /// Its version of the program.
    pub version: String,
    /// Whether it answers on those ports that it was told to, by its own word.
    pub is_at_ports: bool,
}

impl Heard {
    /// What its volunteer is told at the moment, besides what all are told.
    pub fn words(&self, now: Moment) -> Vec<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.words.retain(|(since, _)| now.0 < since.0.saturating_add(TOLD));
        last.words.iter().map(|(_, text)| text.clone()).collect()
    }
}

impl Clerk {
    /// Tells a relay's volunteer something, for a day or until the hub is started again; of several
    /// things the last few.
    pub fn tell(&self, relay: RelayId, text: &str) {
        let Ok(place) = self.place(relay) else { return };
        let (heard, now) = (self.heard(place), self.now());
        {
            let mut last = heard.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.words.retain(|(_, said)| said != text);
            last.words.push((now, text.to_owned()));
            let many = last.words.len().saturating_sub(MOST_WORDS);
            last.words.drain(..many);
        }
        heard.news.notify_waiters();
    }

    /// The place of a relay.
    pub(super) fn place(&self, relay: RelayId) -> Result<u16, Refused> {
        self.state().office.place(relay).ok_or(Why::Unknown("relay").into())
    }

    pub(super) fn heard(&self, place: u16) -> Arc<Heard> {
        let mut heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.entry(place).or_default().clone()
    }

    /// Makes a token with which somebody can bring one relay within an hour. Relays of one owner count
    /// as one witness; where nobody is named, it is nobody else's.
    ///
    /// # Errors
    /// When the name is none, too many invites are open, or the hub has stopped.
    pub async fn invite(&self, owner: Option<&str>) -> Result<[u8; 16], Refused> {
        let owner = named(owner.unwrap_or_default())?;
        let secret: [u8; 16] = wire::random();
        let token = self.0.marks.invites.tag(&secret);
        self.happens(Event::Invited { token, owner }).await?;
        Ok(secret)
    }

    /// A relay joins that comes from this address. It is given the same again if it asks again in the
    /// same attempt.
    ///
    /// # Errors
    /// When the invite is not good, its address is not a public one, there are too many relays, or the
    /// hub has stopped.
    pub async fn enrol(&self, wants: &Enrolment, from: IpAddr) -> Result<Enrolled, Refused> {
        let token = self.0.marks.invites.tag(&wants.token);
        let (attempt, capacity) = (wants.attempt, wants.capacity);
        let before = {
            let office = &self.state().office;
            let before = office.has_joined(token, attempt);
            if before.is_none() && !office.is_invited(token) {
                return Err(Why::Invite.into());
            }
            before
        };
        let place = if let Some(place) = before {
            place
        } else {
            let (relay, face) = (RelayId::generate(), wants.face.clone());
            let address = public(&face.address, from)?;
            let event = Event::Enrolled { token, attempt, relay, address, capacity, face };
            match self.happens(event).await? {
                Outcome::Joined(place) => place,
                Outcome::Done | Outcome::Cut(_) | Outcome::Refused(_) => {
                    return Err(Why::Invite.into());
                }
            }
        };
        let id = self.state().office.relay(place).map(|relay| relay.id);
        let id = id.ok_or(Why::Unknown("relay"))?;
        let order = self.first_order(place);
        let order = order.await.ok_or(Why::Unknown("relay"))?;
        Ok(Enrolled { id, seed: self.0.fleet.relay_seed(&id), order })
    }

    /// A relay is heard of, which comes from this address.
    ///
    /// # Errors
    /// When it is no relay of ours, it is not the relay that says this, it was said before, or the hub
    /// has stopped.
    pub async fn heartbeat(&self, bytes: &[u8], from: IpAddr) -> Result<Heartbeat, Refused> {
        let id = Heartbeat::whose(bytes).ok_or(Why::Unknown("relay"))?;
        let (place, keys, relay) = {
            let state = self.state();
            let place = state.office.place(id).ok_or(Why::Unknown("relay"))?;
            let relay = state.office.relay(place).ok_or(Why::Unknown("relay"))?;
            let keys = state.keys.get(usize::from(place)).ok_or(Why::Unknown("relay"))?;
            (place, keys.clone(), relay.clone())
        };
        let beat = Heartbeat::read(bytes, &keys.key)?;
        let heard = self.heard(place);
        {
            let mut last = heard.last.lock().unwrap_or_else(PoisonError::into_inner);
            if beat.number <= last.number {
                return Err(Refused::Old);
            }
            if let Some(given) = last.given.filter(|given| beat.order >= given.number) {
                last.posture = Some(given.posture);
            }
            last.number = beat.number;
            (last.health, last.version) = (beat.health, beat.version.clone());
            last.moment = Some(self.now());
            let room = MOST_ABROAD.saturating_sub(last.abroad.len());
            last.abroad.extend(beat.abroad.iter().take(room));
        }
        // Where it is from now on; if that cannot be, it stays where it was.
        let address = public(&beat.face.address, from).unwrap_or(relay.address);
        let is_new = relay.standing != beat.standing
            || relay.capacity != beat.capacity
            || relay.face != beat.face
            || relay.address != address;
        if is_new {
            let (standing, capacity, face) = (beat.standing, beat.capacity, beat.face.clone());
            let booked = Event::Booked { relay: place, standing, address, capacity, face };
            self.happens(booked).await?;
        }
        if let Some(abroad) = self.whose_abroad(place, &heard, &relay).await {
            self.mentions(Event::Abroad { relay: place, people: abroad });
        }
        Ok(beat)
    }

    /// Whose keys were used abroad, once in a while.
    async fn whose_abroad(&self, place: u16, heard: &Heard, relay: &Relay) -> Option<Vec<Person>> {
        let keys = {
            let mut last = heard.last.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = last.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
            if last.abroad.is_empty() || !is_due {
                return None;
            }
            last.looked = Some(Instant::now());
            std::mem::take(&mut last.abroad)
        };
        let seats = self.state().office.seats_of(place);
        let (fleet, id) = (self.0.fleet.clone(), relay.id);
        // A hundredth of a second for ten thousand people.
        let look = move || {
            let people = seats.into_iter().map(|(person, _)| person);
            let is_abroad = |person: &Person| keys.contains(&fleet.pseudonym(&id, *person));
            people.filter(is_abroad).take(MOST_LISTED).collect()
        };
        tokio::task::spawn_blocking(look).await.ok()
    }

    /// The hub has tried a relay from outside. It gets seats once it has answered.
    ///
    /// # Errors
    /// When there is no such relay, or the hub has stopped.
    pub async fn reached(&self, relay: RelayId, is_reached: bool) -> Result<(), Refused> {
        let place = self.place(relay)?;
        let is_known = {
            let office = &self.state().office;
            office.relay(place).is_some_and(|relay| {
                relay.is_reached == Some(is_reached) && !(is_reached && relay.is_gone)
            })
        };
        if !is_known {
            self.happens(Event::Reached { relay: place, is_reached }).await?;
        }
        Ok(())
    }

    /// An organiser vouches for a relay, or no longer does.
    ///
    /// # Errors
    /// When there is no such relay, or the hub has stopped.
    pub async fn vouch(&self, relay: RelayId, is_vouched: bool) -> Result<(), Refused> {
        let relay = self.place(relay)?;
        self.happens(Event::Vouched { relay, is_vouched }).await.map(drop)
    }

    /// Where a relay is to answer from now on; `None`: all relays.
    ///
    /// # Errors
    /// When there is no such relay, or the hub has stopped.
    pub async fn posture(&self, relay: Option<RelayId>, posture: Posture) -> Result<(), Refused> {
        let places = match relay {
            Some(relay) => vec![self.place(relay)?],
            None => (0..).take(self.state().office.relays().len()).collect(),
        };
        for relay in places {
            self.happens(Event::Posture { relay, posture }).await?;
        }
        Ok(())
    }

    /// All relays that ever joined.
    #[must_use]
    pub fn relays(&self) -> Vec<RelayReport> {
        let views = self.state().office.relay_views();
        let heard: HashMap<u16, Arc<Heard>> =
            self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let report = |(place, view): (u16, RelayView)| {
            let last =
                heard.get(&place).map(|it| it.last.lock().unwrap_or_else(PoisonError::into_inner));
            let posture = last.as_ref().and_then(|last| last.posture);
            RelayReport {
                is_at_ports: posture == Some(view.relay.posture),
                view,
                heard: last.as_ref().and_then(|last| last.moment),
                health: last.as_ref().map(|last| last.health).unwrap_or_default(),
                version: last.map(|last| last.version.clone()).unwrap_or_default(),
            }
        };
        (0..).zip(views).map(report).collect()
    }
}

/// Where people find a relay: where it says, else where it comes from, if that is an address for the public.
fn public(said: &str, from: IpAddr) -> Result<IpAddr, Refused> {
    let address = said.parse().unwrap_or(from).to_canonical();
    match forbidden(address) {
        None => Ok(address),
        Some(_) => Err(Refused::Bad("a relay needs an address that everybody can reach")),
    }
}
