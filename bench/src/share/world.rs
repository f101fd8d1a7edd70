//! The world: people come, sit where an office seats them, and are cut off; half an hour at a time.
//!
//! It keeps its own book of who sits where, from what the office says alone.

#[cfg(test)]
mod count;

use std::time::Duration;

use hub::seats::{Chance, EndpointId, Hours, Move, PersonId, RelayId};

use super::cell::{Cell, Hardship};
use super::censor::Censor;
use super::office::{MOST_SEATS, Office, Relay};
use super::outcome::Outcome;
use crate::process;

/// How long a step is.
pub(super) const STEP: Hours = 0.5;
pub(super) const DAYS: usize = 5;
pub(super) const STEPS_A_DAY: usize = 48;
pub(super) const STEPS: usize = DAYS * STEPS_A_DAY;
/// The hour in which most people come, and the one by which all have.
const PEAK: f64 = 6.0;
const LAST: f64 = 48.0;
/// How many people relays can carry, for each that there is.
const ROOM: f64 = 1.6;
/// The share of honest people who log in from abroad, once a day.
const TRAVELLERS: f64 = 0.05;
/// How many relays share a prefix, and how many of its endpoints are blocked one by one within a day.
const NEIGHBOURS: u32 = 3;
const ONE_BY_ONE: usize = 4;

const NOWHERE: EndpointId = EndpointId::MAX;

#[derive(Clone, Copy)]
struct Person {
    held: [EndpointId; MOST_SEATS],
    informs: bool,
    travels: bool,
    /// Whether they come from an endpoint that the censor knew.
    is_from_known: bool,
    /// Whether a relay of the censor's has seen their address.
    is_seen: bool,
}

impl Person {
    fn holds(&self) -> impl Iterator<Item = EndpointId> + '_ {
        self.held.iter().copied().filter(|&endpoint| endpoint != NOWHERE)
    }

    fn is_seated(&self) -> bool {
        self.holds().next().is_some()
    }
}

/// An endpoint that somebody was given.
#[derive(Clone, Default)]
struct Endpoint {
    relay: RelayId,
    /// Who ever was. Some have gone elsewhere since.
    holders: Vec<PersonId>,
}

/// Honest people's days and cuts.
#[derive(Default)]
struct Toll {
    people: f64,
    days: f64,
    cuts: f64,
}

impl Toll {
    fn a_day(&self) -> f64 {
        if self.days > 0.0 { self.cuts / self.days } else { 0.0 }
    }
}

pub(super) struct World<'a> {
    cell: &'a Cell,
    office: &'a mut dyn Office,
    /// When each comes, in order.
    arrivals: Vec<f64>,
    /// Those who have come.
    people: Vec<Person>,
    endpoints: Vec<Endpoint>,
    /// Those that somebody was given, and that were open a while ago.
    in_use: Vec<EndpointId>,
    informers: Vec<PersonId>,
    /// What informers know and have not said.
    secrets: Vec<EndpointId>,
    /// Parts of endpoints that relays have already, by relay.
    tokens: Vec<f64>,
    censor: Censor,
    chance: Chance,
    /// Lately blocked one by one, by prefix.
    lately: Vec<Vec<Hours>>,
    /// Honest people who have a seat.
    online: f64,
    /// Travellers', and others'.
    tolls: [Toll; 2],
    moves: f64,
    used: usize,
    burned: usize,
    cpu: Duration,
}

impl<'a> World<'a> {
    pub(super) fn new(cell: &'a Cell, office: &'a mut dyn Office, seed: u64) -> Self {
        let Cell { fleet, habit, reaction, hardship, .. } = *cell;
        let mut chance = Chance::new(seed);
        let mut arrivals: Vec<f64> = (0..fleet.people).map(|_| arrival(chance.unit())).collect();
        arrivals.sort_by(f64::total_cmp);
        let room = whole(fleet.people as f64 / f64::from(fleet.relays) * ROOM);
        for relay in 0..fleet.relays {
            let prefix = if hardship == Hardship::Prefixes { relay / NEIGHBOURS } else { relay };
            office.relay(Relay { slots: fleet.slots, room, prefix });
        }
        Self {
            cell,
            office,
            arrivals,
            people: Vec::with_capacity(fleet.people),
            endpoints: Vec::new(),
            in_use: Vec::new(),
            informers: Vec::new(),
            secrets: Vec::new(),
            tokens: vec![0.0; fleet.relays as usize],
            censor: Censor::new(habit, reaction, chance.draw()),
            chance,
            lately: vec![Vec::new(); fleet.relays.div_ceil(NEIGHBOURS) as usize],
            online: 0.0,
            tolls: Default::default(),
            moves: 0.0,
            used: 0,
            burned: 0,
            cpu: Duration::ZERO,
        }
    }

    /// Five days.
    pub(super) fn run(mut self) -> lab::Result<Outcome> {
        let mut online = Vec::with_capacity(STEPS);
        for step in 0..STEPS {
            self.step(step as Hours * STEP)?;
            let honest: f64 = self.tolls.iter().map(|toll| toll.people).sum();
            online.push((honest > 0.0).then(|| self.online / honest));
        }
        Ok(self.outcome(online))
    }

    /// Whoever is cut off asks again in the next step: half an hour later, at the earliest.
    fn step(&mut self, now: Hours) -> lab::Result {
        let start = process::thread_cpu()?;
        for relay in 0..self.cell.fleet.relays {
            let tokens = &mut self.tokens[relay as usize];
            *tokens += self.cell.fleet.fresh * f64::from(STEP);
            let count = whole(*tokens);
            *tokens -= f64::from(count);
            self.office.fresh(relay, count);
        }
        self.arrivals(now);
        self.claims(now);
        let moves = self.office.settle(now);
        self.cpu += process::thread_cpu()? - start;
        for step in moves {
            self.seat(step, now);
        }
        self.give_up();
        self.reports(now);
        let start = process::thread_cpu()?;
        for endpoint in self.censor.blocks(now) {
            self.block(endpoint, now);
        }
        self.cpu += process::thread_cpu()? - start;
        for toll in &mut self.tolls {
            toll.days += toll.people / STEPS_A_DAY as f64;
        }
        Ok(())
    }

    fn arrivals(&mut self, now: Hours) {
        let Cell { share, hardship, .. } = *self.cell;
        while self.arrivals.get(self.people.len()).is_some_and(|at| *at <= f64::from(now)) {
            let informs = self.chance.unit() < share;
            let travels = self.chance.unit() < TRAVELLERS && !informs && hardship.has_travellers();
            let held = [NOWHERE; MOST_SEATS];
            let person = Person { held, informs, travels, is_from_known: false, is_seen: false };
            if informs {
                self.informers.extend(u32::try_from(self.people.len()));
            } else {
                self.tolls[usize::from(travels)].people += 1.0;
            }
            self.people.push(person);
            self.office.arrive(now);
        }
    }

    /// What relays say of log-ins.
    fn claims(&mut self, now: Hours) {
        let hardship = self.cell.hardship;
        if !hardship.has_travellers() {
            return;
        }
        for (id, person) in (0..).zip(&self.people) {
            let Some(at) = person.holds().next() else { continue };
            let relay = self.endpoints[at as usize].relay;
            let is_lie = hardship == Hardship::LiesOfLogins && relay == 0;
            let is_abroad = person.travels && self.chance.unit() * (STEPS_A_DAY as f64) < 1.0;
            if is_lie || is_abroad {
                self.office.remote_login(relay, id, now);
            }
        }
    }

    fn block(&mut self, endpoint: EndpointId, now: Hours) {
        let Some(relay) = self.office.relay_of(endpoint) else { return };
        self.burn(&[endpoint], now);
        if self.cell.hardship == Hardship::Prefixes {
            let prefix = relay / NEIGHBOURS;
            let lately = &mut self.lately[prefix as usize];
            lately.retain(|at| now - at < 24.0);
            lately.push(now);
            if lately.len() >= ONE_BY_ONE {
                lately.clear();
                let all = (0..).zip(&self.endpoints).map(|(id, _)| id);
                let is_there = |&id: &EndpointId| {
                    self.office.relay_of(id).is_some_and(|relay| relay / NEIGHBOURS == prefix)
                };
                let all: Vec<EndpointId> = all.filter(is_there).collect();
                self.burn(&all, now);
            }
        }
    }

    fn burn(&mut self, endpoints: &[EndpointId], now: Hours) {
        self.burned += endpoints.len();
        self.office.blocked(endpoints, now);
        endpoints.iter().for_each(|&endpoint| self.cut_off(endpoint));
    }

    /// Those who are still there when an endpoint that the office has closed without a block is gone.
    fn give_up(&mut self) {
        let (open, closed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.in_use)
            .into_iter()
            .partition(|&endpoint| self.office.relay_of(endpoint).is_some());
        self.in_use = open;
        closed.into_iter().for_each(|endpoint| self.cut_off(endpoint));
    }

    fn cut_off(&mut self, endpoint: EndpointId) {
        let book = self.endpoints.get_mut(endpoint as usize);
        for id in book.map(|book| std::mem::take(&mut book.holders)).unwrap_or_default() {
            let person = &mut self.people[id as usize];
            let Some(held) = person.held.iter_mut().find(|held| **held == endpoint) else {
                continue;
            };
            *held = NOWHERE;
            person.is_from_known = self.censor.knows(endpoint);
            if !person.informs && !person.is_seated() {
                self.tolls[usize::from(person.travels)].cuts += 1.0;
                self.online -= 1.0;
            }
        }
    }

    fn seat(&mut self, Move { person: id, to }: Move, now: Hours) {
        let hardship = self.cell.hardship;
        let place = to as usize;
        if self.endpoints.len() <= place {
            self.endpoints.resize_with(place + 1, Endpoint::default);
        }
        let endpoint = &mut self.endpoints[place];
        if endpoint.holders.is_empty() {
            endpoint.relay = self.office.relay_of(to).unwrap_or_default();
            self.used += 1;
            self.in_use.push(to);
        }
        endpoint.holders.push(id);
        let is_moles = hardship.has_moles() && endpoint.relay < self.cell.fleet.relays.div_ceil(10);

        let most = self.office.seats_each().min(MOST_SEATS);
        let person = &mut self.people[id as usize];
        let was_seated = person.is_seated();
        let seat = person.held[..most].iter().position(|held| *held == NOWHERE).unwrap_or(0);
        let from = std::mem::replace(&mut person.held[seat], to);
        if !person.informs {
            self.online += f64::from(u8::from(!was_seated));
            self.moves += f64::from(u8::from(from != NOWHERE));
        }
        if person.informs && !self.censor.knows(to) {
            self.secrets.push(to);
        }
        let is_from_known = std::mem::take(&mut person.is_from_known) || self.censor.knows(from);
        let is_watched = person.is_seen && hardship == Hardship::WatchesItsOwn;
        person.is_seen |= is_moles;
        let is_given_away = is_moles && hardship == Hardship::BlocksItsOwn;
        if is_given_away || self.censor.follows(is_from_known, is_watched) {
            self.censor.learn(to, now);
        }
    }

    /// What informers say.
    fn reports(&mut self, now: Hours) {
        for &id in &self.informers {
            self.secrets.extend(self.office.told(id));
        }
        self.secrets.retain(|&endpoint| {
            let is_told = self.censor.is_told(now);
            if is_told {
                self.censor.learn(endpoint, now);
            }
            !is_told
        });
    }

    fn outcome(self, online: Vec<Option<f64>>) -> Outcome {
        let honest = || (0..).zip(&self.people).filter(|(_, person)| !person.informs);
        let mut neighbours = vec![0u32; self.endpoints.len()];
        for endpoint in honest().flat_map(|(_, person)| person.holds()) {
            neighbours[endpoint as usize] += 1;
        }
        let is_alone =
            |person: &&Person| person.holds().all(|endpoint| neighbours[endpoint as usize] == 0);
        let informers = self.people.iter().filter(|person| person.informs && person.is_seated());
        let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        let isolated = share(informers.clone().filter(is_alone).count(), informers.count());
        let people = honest().count();
        let banned = honest().filter(|&(id, _)| self.office.has_refused(id)).count();
        let seen = honest().filter(|(_, person)| person.is_seen).count();
        let [others, travellers] = &self.tolls;
        let days = others.days + travellers.days;
        Outcome {
            online,
            cuts: if days > 0.0 { (others.cuts + travellers.cuts) / days } else { 0.0 },
            moves: if days > 0.0 { self.moves / days } else { 0.0 },
            used: self.used,
            burned: self.burned,
            banned: share(banned, people).unwrap_or_default(),
            travellers: (travellers.people > 0.0 && others.cuts > 0.0)
                .then(|| travellers.a_day() / others.a_day()),
            isolated,
            seen: share(seen, people).unwrap_or_default(),
            cpu: self.cpu,
        }
    }
}

/// The number without what comes after its point; none below 0.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn whole(number: f64) -> u32 {
    number as u32
}

/// When somebody comes: most at [`PEAK`], fewer and fewer until [`LAST`] (a triangle).
fn arrival(chance: f64) -> f64 {
    let peak = PEAK / LAST;
    let part = if chance < peak {
        (chance * peak).sqrt()
    } else {
        1.0 - ((1.0 - chance) * (1.0 - peak)).sqrt()
    };
    LAST * part
}
