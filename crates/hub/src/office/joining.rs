//! Relays: they are invited, join, change and are told what to do.

use std::net::IpAddr;

use wire::derive::{Person, RelayId};
use wire::fleet::{Capacity, Face, Posture, Standing};

use super::relays::Relay;
use super::{INVITE, Invite, MOST_INVITES, MOST_RELAYS, Moment, Office, Outcome, Why};
use crate::blocks::Prefix;
use crate::seats::{Origin, Status};

impl Office {
    pub(super) fn on(&mut self, place: u16, then: impl FnOnce(&mut Relay)) -> Outcome {
        let Some(relay) = self.relays.get_mut(usize::from(place)) else {
            return Outcome::Refused(Why::Unknown("relay"));
        };
        then(relay);
        self.news.insert(place);
        Outcome::Cut(self.follow(place))
    }

    /// Tells the seats what a relay is by now; how many people lose their seats by it.
    pub(super) fn follow(&mut self, place: u16) -> usize {
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

    pub(super) fn invited(&mut self, token: [u8; 16], owner: &str) -> Outcome {
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

    pub(super) fn enrolled(
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

    pub(super) fn prefix(&mut self, address: IpAddr) -> u32 {
        let wanted = Prefix::of(address);
        let known = self.relays.iter().find(|relay| Prefix::of(relay.address) == wanted);
        if let Some(relay) = known {
            return relay.prefix;
        }
        self.prefixes += 1;
        self.prefixes
    }

    pub(super) fn booked(
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

    pub(super) fn posture(&mut self, place: u16, posture: Posture) -> Outcome {
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

    pub(super) fn abroad(&mut self, place: u16, people: &[Person]) -> Outcome {
        let now = self.hours();
        for person in people {
            if let Some(id) = self.people.find(*person) {
                self.seats.login(id, place.into(), Origin::Abroad, now);
            }
        }
        Outcome::Done
    }
}
