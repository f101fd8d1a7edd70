//! Room for new tests: the cleanest groups are put together, and the pool leaves endpoints that are
//! about to be blocked.

use super::Hours;
use super::relays::Relay;
use super::state::{Endpoint, EndpointId, Move, NOWHERE, PersonId, Seats, Use, number};

/// A risk with which an endpoint is as good as lost: nobody informs in one of seven such groups.
const LOST: f64 = 2.0;
/// So much risk that speaks before somebody looks again is not waited for.
const SOON: f64 = 0.2;
/// How many targets are tried for a group.
const TRIES: usize = 64;

/// A group that may be put together with others.
struct Group {
    id: EndpointId,
    people: usize,
    dose: Option<f64>,
}

impl Seats {
    /// Puts the cleanest groups together until so many endpoints can be opened in all. What they leave
    /// is not blocked, so that it can be used again.
    pub(super) fn make_room(&mut self, wanted: usize, limit: f64, now: Hours) -> Vec<Move> {
        let short = wanted.saturating_sub(self.usable());
        if short == 0 {
            Vec::new()
        } else {
            self.merge(short, |relay| relay.space() > 0, limit, now)
        }
    }

    /// The same until every relay that can carry people can open one.
    pub(super) fn make_relays_room(&mut self, limit: f64, now: Hours) -> Vec<Move> {
        let is_shut = |relay: &Relay| relay.usable() == 0 && relay.space() > 0;
        let short = self.relays.iter().filter(|relay| is_shut(relay)).count();
        self.merge(short, is_shut, limit, now)
    }

    fn merge(
        &mut self,
        mut short: usize,
        gains: impl Fn(&Relay) -> bool,
        limit: f64,
        now: Hours,
    ) -> Vec<Move> {
        let mut moves = Vec::new();
        let tested = self.learned.after(0.5);
        let mut groups: Vec<Group> = (self.endpoints.iter())
            .filter(|(_, at)| at.is_for == Use::Test && now - at.joined > tested)
            .map(|(&id, at)| Group { id, people: at.members.len(), dose: None })
            .collect();
        groups.sort_by_key(|group| group.people);
        // The smallest move to the largest.
        let mut from = 0;
        while short > 0 && from + 1 < groups.len() {
            let Group { id, people, .. } = groups[from];
            let is_wanted = gains(self.relay_at(id));
            let dose = if is_wanted { self.weigh(&mut groups[from], now) } else { limit };
            from += 1;
            if dose >= limit {
                continue;
            }
            while let Some(last) = groups[from..].last_mut()
                && (self.relay_at(last.id).space() == 0 || self.weigh(last, now) >= limit)
            {
                groups.pop();
            }
            let fits = |to: &mut Group| {
                !self.is_foul(self.endpoints[&to.id].place.relay)
                    && self.relay_at(to.id).space() >= people
                    && self.weigh(to, now) + dose <= limit
            };
            let Some(to) = groups[from..].iter_mut().rev().take(TRIES).find_map(|to| {
                fits(to).then(|| {
                    to.dose = to.dose.map(|held| held + dose);
                    to.people += people;
                    to.id
                })
            }) else {
                continue;
            };
            let before = self.usable();
            let members = self.vacate(id, now);
            moves.extend(self.sit(&members, to, now));
            short = short.saturating_sub(self.usable().saturating_sub(before));
        }
        moves
    }

    /// What a group's risk is, worked out when it is first asked for.
    fn weigh(&self, group: &mut Group, now: Hours) -> f64 {
        *group.dose.get_or_insert_with(|| self.dose(&self.endpoints[&group.id], now))
    }

    /// Those of the pool whose endpoint is about to be blocked wait for another seat, if as many
    /// endpoints come fresh as that uses up: what they left. `step` is the time until somebody looks
    /// again.
    pub(super) fn leave_in_time(&mut self, step: Hours, now: Hours) -> Vec<(EndpointId, Endpoint)> {
        let spoken = |hours: Hours| 1.0 - self.learned.quiet(hours);
        let (mut an_hour, mut leave) = (0.0, Vec::new());
        for (&id, endpoint) in &self.endpoints {
            let dose = if endpoint.is_for == Use::Pool { self.dose(endpoint, now) } else { 0.0 };
            if dose > LOST {
                let age = now - endpoint.since;
                an_hour += 1.0 / f64::from((self.learned.after(SOON / dose) - step).max(step));
                if dose * (spoken(age + step) - spoken(age)) > SOON {
                    leave.push(id);
                }
            }
        }
        let mut left = Vec::new();
        if self.supply.an_hour(now) < 1.25 * an_hour {
            return left;
        }
        // Nobody stands up for whom there is no other seat.
        let free = self.free(now);
        let mut room: usize = self.rooms(&free).1.iter().map(|(room, _)| room).sum();
        room = room.saturating_sub(self.waiting.len());
        for id in leave {
            let people = self.members(id).len();
            let own = self.relay_at(id).fresh > 0;
            if people > room && !own {
                continue;
            }
            room = room.saturating_sub(if own { 0 } else { people });
            let Some(closed) = self.close(id) else { continue };
            for &person in &closed.members {
                // That nothing happened yet says nothing.
                let person = &mut self.people[person as usize];
                (person.at, person.since, person.is_known) = (NOWHERE, now, true);
            }
            self.waiting.extend_from_slice(&closed.members);
            left.push((id, closed));
        }
        left
    }

    /// Whoever has found no other seat stays where it is: not blocked yet, and better than none. Where
    /// others have taken the place of their endpoint, they wait. Whether anybody stays.
    pub(super) fn stay(&mut self, left: Vec<(EndpointId, Endpoint)>) -> bool {
        let mut has_stayed = false;
        for (id, mut endpoint) in left {
            let waits = |person: &PersonId| self.people[*person as usize].at == NOWHERE;
            let (members, moved): (Vec<_>, Vec<_>) = endpoint.members.into_iter().partition(waits);
            let relay = &mut self.relays[endpoint.place.relay as usize];
            if members.is_empty() || relay.live >= relay.slots || relay.space() < members.len() {
                continue;
            }
            relay.live += 1;
            relay.load += number(members.len());
            for &person in &members {
                self.people[person as usize].at = id;
            }
            self.waiting.retain(|&person| self.people[person as usize].at == NOWHERE);
            endpoint.exposed.extend(moved);
            self.exposures += endpoint.exposed.len();
            endpoint.members = members;
            self.endpoints.insert(id, endpoint);
            has_stayed = true;
        }
        has_stayed
    }
}
