//! All that is known, as bytes: so that a hub need not replay its journal from the first day.

use super::Chance;
use super::codec::{Written, fields, words};
use super::relays::{Relay, Supply};
use super::risk::Learned;
use super::state::{Endpoint, EndpointId, NOWHERE, Person, Place, Rule, Seats, Use};
use super::welcome::Welcome;

/// What the first bytes are: the version is the last of them.
const HEAD: &[u8; 6] = b"seats\x02";

impl Seats {
    /// About how many bytes a person takes in a snapshot.
    pub const SIZE: usize = 40;

    /// Adds everything, [`Self::SIZE`] bytes a person. The same events lead to the same seats
    /// after [`Self::restore`].
    pub fn snapshot(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(HEAD);
        self.rule.write(to);
        self.people.write(to);
        self.vacant.write(to);
        super::state::number(self.endpoints.len()).write(to);
        for (id, endpoint) in &self.endpoints {
            id.write(to);
            endpoint.write(to);
        }
        self.opened.write(to);
        self.relays.write(to);
        self.waiting.write(to);
        self.learned.write(to);
        self.chance.write(to);
        self.supply.write(to);
        self.counted.write(to);
        self.settled.write(to);
        self.welcome.write(to);
    }

    /// From the bytes of a snapshot. `None` if they are of another version, cut off, or say what
    /// cannot be.
    #[must_use]
    pub fn restore(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        *from = from.strip_prefix(HEAD)?;
        let mut seats = Self {
            rule: Written::read(from)?,
            people: Written::read(from)?,
            vacant: Written::read(from)?,
            endpoints: {
                let count = u32::read(from)?;
                let pair = |_| Some((u32::read(from)?, Endpoint::read(from)?));
                (0..count).map(pair).collect::<Option<_>>()?
            },
            opened: Written::read(from)?,
            relays: Written::read(from)?,
            waiting: Written::read(from)?,
            learned: Written::read(from)?,
            chance: Written::read(from)?,
            supply: Written::read(from)?,
            counted: Written::read(from)?,
            settled: Written::read(from)?,
            welcome: Written::read(from)?,
            exposures: 0,
        };
        seats.exposures = seats.endpoints.values().map(|at| at.exposed.len()).sum();
        (from.is_empty() && seats.is_sound()).then_some(seats)
    }

    /// Whether everything that is pointed to is there, and everybody is in one place.
    pub(super) fn is_sound(&self) -> bool {
        let mut places = vec![0u8; self.people.len()];
        let mut put = |id: u32, what: u8| match places.get_mut(id as usize) {
            Some(place) if *place == 0 => {
                *place = what;
                true
            }
            _ => false,
        };
        const SITS: u8 = 1;
        const WAITS: u8 = 2;
        const VACANT: u8 = 3;
        let is_person = |id: &u32| (*id as usize) < self.people.len();
        let endpoints = self.endpoints.iter().all(|(id, at)| {
            *id < self.opened
                && (at.place.relay as usize) < self.relays.len()
                && at.exposed.iter().all(is_person)
                && (at.is_for != Use::Idle || at.members.is_empty())
                && at
                    .members
                    .iter()
                    .all(|&person| put(person, SITS) && self.people[person as usize].at == *id)
        });
        let waiting = self.waiting.iter().all(|&id| put(id, WAITS));
        let vacant = self.vacant.iter().all(|&id| put(id, VACANT));
        let people = self.people.iter().zip(&places).all(|(person, place)| {
            let is_placed = match *place {
                SITS => person.at != NOWHERE,
                _ => person.at == NOWHERE,
            };
            is_placed
                && *place != 0
                && person.is_here == (*place != VACANT)
                && (0.0..=1.0).contains(&person.risk)
        });
        let relays = (0..).zip(&self.relays).all(|(id, relay)| {
            let of = |at: &&Endpoint| at.place.relay == id;
            let is_idle = |id: &EndpointId| {
                self.endpoints.get(id).is_some_and(|at| at.is_for == Use::Idle && of(&at))
            };
            relay.idle.iter().all(is_idle)
        });
        let (mut live, mut load) = (vec![0; self.relays.len()], vec![0; self.relays.len()]);
        for at in self.endpoints.values().filter(|_| endpoints) {
            live[at.place.relay as usize] += 1;
            load[at.place.relay as usize] += at.members.len();
        }
        let counts = self
            .relays
            .iter()
            .zip(live)
            .zip(load)
            .all(|((relay, live), load)| relay.live == live && relay.load as usize == load);
        endpoints && waiting && vacant && people && relays && counts
    }
}

fields!(Rule { dose, share, sleepers, merged, crowded, ahead, reserve });
fields!(Place { relay, slot });
fields!(Person { risk, since, seen, at, spare, word, is_abroad, is_known, is_here });
fields!(Welcome { limit, relays, at, dose, young, next, most, pools });
fields!(Endpoint { place, is_for, since, joined, members, exposed, dose, told, word, is_new });
fields!(Relay { terms, status, slots, live, fresh, opened, idle, load, foul });
fields!(Supply { unit, came, lately, started, expected, failed, middle });
words!(Use { Test, Pool, Last, Idle });

impl Written for Chance {
    fn write(&self, to: &mut Vec<u8>) {
        self.0.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        u64::read(from).map(Self)
    }
}

impl Written for Learned {
    fn write(&self, to: &mut Vec<u8>) {
        self.blocks.write(to);
        self.tested.write(to);
        self.sleepers.write(to);
        self.share.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let (blocks, tested) = (Written::read(from)?, Written::read(from)?);
        Self::restore(blocks, tested, Written::read(from)?, Written::read(from)?)
    }
}
