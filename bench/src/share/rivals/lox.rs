//! Lox (Tulloch and Goldberg, PETS 2023): open invitations lead to a bridge that ten share; more than
//! that is for those whom it trusts.
//!
//! From lox-library 0.3.0: ten invitations a bridge (`OPENINV_K`), a hundred such bridges a day
//! (`MAX_DAILY_BRIDGES`), the first trust after 30 days, another bridge after a block from the third
//! level of trust on. So within five days there is no trust and no other bridge. Here, whoever is cut
//! off may ask for another invitation, as a newcomer would; relays are as many as the day allows, however
//! large the fleet.

use std::collections::VecDeque;

use hub::seats::{EndpointId, Hours, Move, PersonId, RelayId};

use super::supply::Supply;
use crate::share::office::{Office, Relay};
use crate::share::world::whole;

const OPENINV_K: usize = 10;
const MAX_DAILY_BRIDGES: usize = 100;
const DAY: Hours = 24.0;

#[derive(Default)]
pub(in crate::share) struct Lox {
    supply: Supply,
    waiting: VecDeque<PersonId>,
    people: PersonId,
    day: u32,
    bridges_today: usize,
    /// The bridge that is given out, and how often it was.
    current: Option<(EndpointId, usize)>,
}

impl Lox {
    /// A bridge for one more.
    fn bridge(&mut self) -> Option<EndpointId> {
        if let Some((bridge, count)) = &mut self.current
            && *count < OPENINV_K
            && self.supply.relay_of(*bridge).is_some()
        {
            *count += 1;
            return Some(*bridge);
        }
        if self.bridges_today == MAX_DAILY_BRIDGES {
            return None;
        }
        let bridge = self.supply.open()?;
        self.bridges_today += 1;
        self.current = Some((bridge, 1));
        Some(bridge)
    }
}

impl Office for Lox {
    fn relay(&mut self, relay: Relay) {
        self.supply.relay(relay);
    }

    fn fresh(&mut self, relay: RelayId, count: u32) {
        self.supply.fresh(relay, count);
    }

    fn arrive(&mut self, _: Hours) {
        self.waiting.push_back(self.people);
        self.people += 1;
    }

    fn blocked(&mut self, endpoints: &[EndpointId], _: Hours) {
        self.waiting.extend(self.supply.close(endpoints));
    }

    fn settle(&mut self, now: Hours) -> Vec<Move> {
        let day = whole((now / DAY).into());
        if day != self.day {
            (self.day, self.bridges_today) = (day, 0);
        }
        let mut moves = Vec::new();
        while let Some(&person) = self.waiting.front()
            && let Some(to) = self.bridge()
        {
            self.waiting.pop_front();
            self.supply.sit(person, to);
            moves.push(Move { person, to });
        }
        moves
    }

    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        self.supply.relay_of(endpoint)
    }
}
