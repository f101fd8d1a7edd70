//! BridgeDB (Tor's until rdsys, which keeps its hash rings): bridges and clients have places on a ring,
//! and a client is given the next few bridges, the same as often as it asks within three hours.
//!
//! From its source: a client's place is HMAC(interval, subnet); the interval of HTTPS and Moat is three
//! hours; an answer has one bridge of fewer than 20, two of fewer than 100, else three
//! (`getNumBridgesPerAnswer`). Here each person is a subnet of their own, as the censor's are: a state
//! has addresses in all of them. The ring is read anew each interval, with the addresses that relays
//! have by then. Informers ask in each interval.

use hub::seats::{Chance, EndpointId, Hours, Move, PersonId, RelayId};

use super::supply::Supply;
use crate::share::office::{MOST_SEATS, Office, Relay};
use crate::share::world::whole;

/// In hours.
const INTERVAL: Hours = 3.0;

pub(in crate::share) struct BridgeDb {
    supply: Supply,
    /// Places on the ring, in order.
    ring: Vec<(u64, EndpointId)>,
    interval: u64,
    /// Whether it began in this half hour.
    is_new: bool,
    waiting: Vec<PersonId>,
    /// How many of the bridges they were given live, by person.
    left: Vec<u8>,
    seed: u64,
}

impl BridgeDb {
    pub(in crate::share) fn new(seed: u64) -> Self {
        Self {
            supply: Supply::default(),
            ring: Vec::new(),
            interval: 0,
            is_new: false,
            waiting: Vec::new(),
            left: Vec::new(),
            seed,
        }
    }

    /// A place on the ring. Nobody here guesses keys: any good mixing will do for the HMAC.
    fn place(&self, what: u64, number: u32) -> u64 {
        Chance::new(self.seed ^ Chance::new(what << 32 | u64::from(number)).draw()).draw()
    }

    fn read(&mut self) {
        self.supply.open_all();
        let live: Vec<EndpointId> = self.supply.live().collect();
        self.ring = live.into_iter().map(|id| (self.place(u64::from(u32::MAX), id), id)).collect();
        self.ring.sort_unstable();
    }

    fn answer(&self, person: PersonId) -> impl Iterator<Item = EndpointId> + '_ {
        let many = match self.ring.len() {
            0..20 => 1,
            20..100 => 2,
            100.. => MOST_SEATS,
        };
        let place = self.place(self.interval, person);
        let next = self.ring.partition_point(|(at, _)| *at < place);
        let around = self.ring[next..].iter().chain(&self.ring[..next]);
        around.take(many).map(|(_, endpoint)| *endpoint)
    }
}

impl Office for BridgeDb {
    fn relay(&mut self, relay: Relay) {
        self.supply.relay(relay);
    }

    fn fresh(&mut self, relay: RelayId, count: u32) {
        self.supply.fresh(relay, count);
    }

    fn arrive(&mut self, _: Hours) {
        self.waiting.extend(u32::try_from(self.left.len()));
        self.left.push(0);
    }

    fn blocked(&mut self, endpoints: &[EndpointId], _: Hours) {
        for person in self.supply.close(endpoints) {
            let left = &mut self.left[person as usize];
            *left -= 1;
            if *left == 0 {
                self.waiting.push(person);
            }
        }
    }

    fn settle(&mut self, now: Hours) -> Vec<Move> {
        let interval = whole((now / INTERVAL).into()).into();
        self.is_new = self.ring.is_empty() || interval != self.interval;
        if self.is_new {
            self.interval = interval;
            self.read();
        }
        let mut moves = Vec::new();
        for person in std::mem::take(&mut self.waiting) {
            let answer = self.answer(person).filter(|&to| self.supply.relay_of(to).is_some());
            let answer: Vec<EndpointId> = answer.collect();
            for to in answer {
                self.supply.sit(person, to);
                self.left[person as usize] += 1;
                moves.push(Move { person, to });
            }
            if self.left[person as usize] == 0 {
                self.waiting.push(person);
            }
        }
        moves
    }

    fn seats_each(&self) -> usize {
        MOST_SEATS
    }

    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        self.supply.relay_of(endpoint)
    }

    fn told(&self, person: PersonId) -> Vec<EndpointId> {
        if self.is_new { self.answer(person).collect() } else { Vec::new() }
    }
}
