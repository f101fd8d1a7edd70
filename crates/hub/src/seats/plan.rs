//! Who of those that wait goes where: the least suspect to tests on fresh endpoints, the others to the
//! open pool, and those who nearly certainly inform to endpoints of their own.

use super::people::FILLS;
use super::relays::Status;
use super::state::{EndpointId, Move, NOWHERE, PersonId, RelayId, Seats, Use, single};
use super::{Hours, risk::cleared};

/// How often what is believed of newcomers is worked out anew.
const CENSUS: Hours = 1.0;
/// Beyond this risk nobody is tested.
const HOPELESS: f64 = 0.9;
/// Over how many hours the endpoints in stock are to last.
const STOCK: f64 = 6.0;
/// The smallest risk that a group takes together.
const LEAST_DOSE: f64 = 0.1;
/// Where more than half of all endpoints could be opened at once, this share of them is, so that
/// fewer people sit with somebody who informs; down to groups with this risk.
const PLENTY: f64 = 0.25;
const FINEST_DOSE: f64 = 0.002;
/// Up to which share of the slots that can be filled anew during one test endpoints are scarce.
const SCARCE: f64 = 0.5;
/// How far groups are put together where people would have no seat otherwise, in times of what the
/// rule says: one after another.
const CROWDED: [f64; 2] = [1.0, 3.0];
/// How far ahead of a block the pool moves, at least.
const AHEAD: Hours = 0.25;

/// Those who are to sit on one endpoint.
struct Group {
    people: Vec<PersonId>,
    dose: f64,
    is_new: bool,
}

/// What becomes of the groups.
struct Plan {
    /// So many of them are tested.
    tests: usize,
    /// Where the pool opens endpoints for the others.
    pools: Vec<RelayId>,
    /// Whether everybody finds a seat.
    is_enough: bool,
}

impl Seats {
    /// Seats those who wait, as far as there are endpoints, and puts others together to make room:
    /// everybody who has moved, the last move of each counting. Whoever still waits had no endpoint to
    /// go to.
    pub fn settle(&mut self, now: Hours) -> Vec<Move> {
        let passed = self.settled.map_or(0.0, |settled| (now - settled).max(0.0));
        self.supply.look(passed);
        self.supply.started.get_or_insert(now);
        self.settled = Some(now);
        self.census(now);
        self.watch(now);
        self.leave_in_time(passed.clamp(AHEAD, 1.0), now);
        let mut moves = Vec::new();
        if self.waiting.is_empty() {
            return moves;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        self.chance.shuffle(&mut waiting);
        waiting.sort_by(|&one, &two| self.held(one).total_cmp(&self.held(two)));
        let hopeful = waiting.partition_point(|&id| self.held(id) <= HOPELESS);
        let last = waiting.split_off(hopeful);
        let waiting = self.top_up(waiting, now, &mut moves);

        let groups = self.cut(&waiting, now);
        let wanted = groups.len() + usize::from(!last.is_empty());
        moves.extend(self.make_room(wanted, self.rule.merged, now));
        let mut free = self.free(now);
        let mut plan = self.plan(&groups, &free, last.len(), now);
        for limit in CROWDED.map(|times| times * self.rule.crowded) {
            if !plan.is_enough {
                moves.extend(self.make_relays_room(limit, now));
                free = self.free(now);
                plan = self.plan(&groups, &free, last.len(), now);
            }
        }
        for relay in &plan.pools {
            if let Some(place) = free.iter().position(|id| id == relay) {
                free.swap_remove(place);
            }
        }
        let mut rest = Vec::new();
        for (place, group) in groups.into_iter().enumerate() {
            let endpoint = (place < plan.tests)
                .then(|| self.take(&mut free, group.people.len()))
                .flatten()
                .and_then(|relay| self.open(relay, now, Use::Test));
            let Some(endpoint) = endpoint else {
                rest.extend(group.people);
                continue;
            };
            if let Some(opened) = self.endpoints.get_mut(&endpoint) {
                opened.is_new = group.is_new;
            }
            moves.extend(self.sit(&group.people, endpoint, now));
        }
        rest.sort_by(|&one, &two| self.held(one).total_cmp(&self.held(two)));
        free.extend(plan.pools);
        let mut rest = self.pool(rest, Use::Pool, &mut free, now, &mut moves);
        for limit in CROWDED.map(|times| times * self.rule.crowded) {
            if !rest.is_empty() {
                moves.extend(self.make_relays_room(limit, now));
                free = self.free(now);
                rest = self.pool(rest, Use::Pool, &mut free, now, &mut moves);
            }
        }
        let last = self.pool(last, Use::Last, &mut free, now, &mut moves);
        self.waiting = rest;
        self.waiting.extend(last);
        moves
    }

    pub(super) fn usable(&self) -> usize {
        self.relays.iter().map(super::relays::Relay::usable).sum()
    }

    fn slots(&self) -> usize {
        let works = |relay: &&super::relays::Relay| relay.status == Status::Working;
        self.relays.iter().filter(works).map(|relay| relay.slots as usize).sum()
    }

    /// What share of all slots could be filled anew during one test.
    fn pace(&self, now: Hours) -> f64 {
        let fresh: u32 = self.relays.iter().map(|relay| relay.fresh).sum();
        let an_hour = self.supply.an_hour(now) + f64::from(fresh) / STOCK;
        an_hour * f64::from(self.learned.after(0.75)) / (self.slots() as f64).max(1.0)
    }

    /// Whether tests are to be paid for dearly. Of the first hours nobody knows.
    fn is_scarce(&self, now: Hours) -> bool {
        let hours = now - self.supply.started.unwrap_or(now);
        f64::from(hours) >= STOCK && self.pace(now) < SCARCE
    }

    /// Newcomers join other newcomers who have just sat down; who is left.
    fn top_up(
        &mut self,
        waiting: Vec<PersonId>,
        now: Hours,
        moves: &mut Vec<Move>,
    ) -> Vec<PersonId> {
        let young: Vec<EndpointId> = (self.endpoints.iter().rev())
            .filter(|(_, at)| at.is_for == Use::Test && at.is_new && now - at.since <= FILLS)
            .map(|(&id, _)| id)
            .collect();
        if young.is_empty() {
            return waiting;
        }
        let (known, mut new): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|&id| self.people[id as usize].is_known);
        for id in young {
            let mut dose = self.dose(&self.endpoints[&id], now);
            let mut space = self.relay_at(id).space();
            let mut joins = Vec::new();
            while space > 0
                && let Some(&person) = new.last()
                && dose + self.held(person) <= self.rule.dose
            {
                dose += self.held(person);
                space -= 1;
                joins.push(person);
                new.pop();
            }
            if !joins.is_empty() {
                moves.extend(self.sit(&joins, id, now));
            }
        }
        new.extend(known);
        new.sort_by(|&one, &two| self.held(one).total_cmp(&self.held(two)));
        new
    }

    /// Those in order in groups of bounded risk, newcomers apart: those first that are most worth
    /// testing.
    fn cut(&self, waiting: &[PersonId], now: Hours) -> Vec<Group> {
        let most = self.relays.iter().map(super::relays::Relay::space).max().unwrap_or(0).max(1);
        // So that as many tests fail as endpoints come fresh: 1 - e^-dose = pace.
        let dose = -(1.0 - self.pace(now).min(0.99)).ln();
        let limit = dose.clamp(LEAST_DOSE.min(self.rule.dose), self.rule.dose);
        // Where there are plenty, fewer people sit with somebody who informs.
        let risk: f64 = waiting.iter().map(|&id| self.held(id)).sum();
        let usable = self.usable();
        let plenty = if 2 * usable > self.slots() { usable as f64 * PLENTY } else { 0.0 };
        let limit = limit.min((risk / plenty.max(1e-9)).max(FINEST_DOSE));
        let mut groups = Vec::new();
        for is_new in [true, false] {
            let mut group = Group { people: Vec::new(), dose: 0.0, is_new };
            for &id in waiting {
                if self.people[id as usize].is_known == is_new {
                    continue;
                }
                let risk = self.held(id);
                let is_full = group.dose + risk > limit || group.people.len() >= most;
                if is_full && !group.people.is_empty() {
                    groups.push(std::mem::replace(
                        &mut group,
                        Group { people: Vec::new(), dose: 0.0, is_new },
                    ));
                }
                group.people.push(id);
                group.dose += risk;
            }
            if !group.people.is_empty() {
                groups.push(group);
            }
        }
        groups.sort_by(|one, two| self.worth(two).total_cmp(&self.worth(one)));
        groups
    }

    /// How many hours of people being online are won for each endpoint that a test costs: those of a
    /// group that lives on stay for long, the others until the block.
    fn worth(&self, group: &Group) -> f64 {
        let passes = (-group.dose).exp();
        let soon = f64::from(self.learned.after(0.5));
        group.people.len() as f64 * (passes * self.rule.ahead + soon) / (1.0 - passes).max(1e-6)
    }

    /// Relays that can open an endpoint, each as often as it can; but none that is the censor's.
    pub(super) fn free(&mut self, now: Hours) -> Vec<RelayId> {
        let mut free = Vec::new();
        for (id, relay) in (0..).zip(&self.relays) {
            if !self.is_foul(id) {
                free.extend(std::iter::repeat_n(id, relay.usable()));
            }
        }
        self.chance.shuffle(&mut free);
        if self.supply.unit == super::relays::Unit::Prefix {
            // One endpoint to a prefix.
            let mut taken: std::collections::BTreeSet<u32> = (self.endpoints.values())
                .filter(|at| at.is_for != Use::Idle)
                .map(|at| self.relays[at.place.relay as usize].terms.prefix)
                .collect();
            free.retain(|&id| taken.insert(self.relays[id as usize].terms.prefix));
        }
        if self.supply.started.is_none_or(|started| now - started < 1.0) {
            let kept = (self.slots() as f64 * self.rule.reserve).ceil() as usize;
            free.truncate(free.len().saturating_sub(if self.slots() > 1 { kept } else { 0 }));
        }
        free
    }

    /// Takes one whose relay has room for so many: of some, the emptiest.
    fn take(&mut self, free: &mut Vec<RelayId>, size: usize) -> Option<RelayId> {
        let mut best: Option<(usize, usize)> = None;
        for _ in 0..4 {
            let place = self.chance.below(free.len());
            let space = free.get(place).map_or(0, |&id| self.relays[id as usize].space());
            if space >= size && best.is_none_or(|(_, most)| space > most) {
                best = Some((place, space));
            }
        }
        let fits = |id: &RelayId| self.relays[*id as usize].space() >= size;
        let place = best.map(|(place, _)| place).or_else(|| free.iter().rposition(fits))?;
        Some(free.swap_remove(place))
    }

    /// How many of these groups are tested, and where the pool opens endpoints for everybody else.
    fn plan(&self, groups: &[Group], free: &[RelayId], last: usize, now: Hours) -> Plan {
        let most = free.len().saturating_sub(usize::from(last > 0));
        let mut plan = Plan { tests: groups.len().min(most), pools: Vec::new(), is_enough: true };
        let mut rest: usize = groups[plan.tests..].iter().map(|group| group.people.len()).sum();
        let (mut seated, mut rooms) = self.rooms(free);
        let is_scarce = self.is_scarce(now);
        let soon = f64::from(self.learned.after(0.5));
        while seated < rest {
            let Some(&(room, relay)) = rooms.last() else {
                plan.is_enough = false;
                break;
            };
            if plan.tests + plan.pools.len() < most {
                seated += room;
                plan.pools.push(relay);
                rooms.pop();
                continue;
            }
            // A test makes room for the pool, unless it is worth more.
            let group = plan.tests.checked_sub(1).map(|place| &groups[place]);
            let won = room.min(rest - seated) as f64 * soon;
            let Some(group) = group.filter(|group| !is_scarce || self.worth(group) <= won) else {
                plan.is_enough = false;
                break;
            };
            plan.tests -= 1;
            rest += group.people.len();
        }
        plan
    }

    /// How many people those relays could take where the pool sits already, and, the roomiest last, how
    /// many the others that can open an endpoint.
    pub(super) fn rooms(&self, free: &[RelayId]) -> (usize, Vec<(usize, RelayId)>) {
        let mut open: Vec<RelayId> = (self.endpoints.values())
            .filter(|at| at.is_for == Use::Pool)
            .map(|at| at.place.relay)
            .collect();
        open.sort_unstable();
        open.dedup();
        let space = |&id: &RelayId| self.relays[id as usize].space();
        let seated = open.iter().map(space).sum();
        let mut rooms: Vec<(usize, RelayId)> = (free.iter())
            .filter(|id| open.binary_search(id).is_err())
            .map(|id| (space(id), *id))
            .collect();
        rooms.sort_unstable();
        rooms.dedup();
        (seated, rooms)
    }

    /// Seats these together, the most suspect with each other: where others of the pool sit, then on
    /// fresh endpoints, then wherever there is room at all. Who is left.
    fn pool(
        &mut self,
        these: Vec<PersonId>,
        is_for: Use,
        free: &mut Vec<RelayId>,
        now: Hours,
        moves: &mut Vec<Move>,
    ) -> Vec<PersonId> {
        let mut left = &these[..];
        self.join(&mut left, is_for, now, moves);
        free.sort_by_key(|&relay| self.relays[relay as usize].space());
        while !left.is_empty() {
            let Some(relay) = free.pop() else { break };
            self.open_pool(&mut left, relay, is_for, now, moves);
        }
        let other = if is_for == Use::Pool { Use::Last } else { Use::Pool };
        self.join(&mut left, other, now, moves);
        for relay in 0..super::state::number(self.relays.len()) {
            if !left.is_empty() && self.is_foul(relay) && self.relays[relay as usize].usable() > 0 {
                self.open_pool(&mut left, relay, is_for, now, moves);
            }
        }
        left.to_vec()
    }

    /// Seats as many as there is room for on endpoints that are open for this.
    fn join(&mut self, left: &mut &[PersonId], is_for: Use, now: Hours, moves: &mut Vec<Move>) {
        if left.is_empty() {
            return;
        }
        let open: Vec<EndpointId> = (self.endpoints.iter().rev())
            .filter(|(_, at)| at.is_for == is_for)
            .map(|(&id, _)| id)
            .collect();
        for endpoint in open {
            let (these, others) = left.split_at(self.relay_at(endpoint).space().min(left.len()));
            if !these.is_empty() {
                moves.extend(self.sit(these, endpoint, now));
            }
            *left = others;
        }
    }

    fn open_pool(
        &mut self,
        left: &mut &[PersonId],
        relay: RelayId,
        is_for: Use,
        now: Hours,
        moves: &mut Vec<Move>,
    ) {
        let room = self.relays[relay as usize].space().min(left.len());
        if room > 0
            && let Some(endpoint) = self.open(relay, now, is_for)
        {
            let (these, others) = left.split_at(room);
            moves.extend(self.sit(these, endpoint, now));
            *left = others;
        }
    }

    /// Works out how common informers are, of all of whom something is known.
    fn census(&mut self, now: Hours) {
        if self.counted.is_some_and(|counted| now - counted < CENSUS) {
            return;
        }
        self.counted = Some(now);
        let (mut risk, mut people) = (0.0, 0.0);
        for person in &self.people {
            // Nothing is learned of somebody who waits.
            let sat = if person.at == NOWHERE { 0.0 } else { now - person.since };
            let quiet = self.learned.quiet(sat);
            if person.is_here && (person.is_known || quiet < 0.5) {
                risk += cleared(person.risk.into(), quiet);
                people += 1.0;
            }
        }
        self.learned.census(risk, people, self.rule.share);
        let share = single(self.learned.share);
        for &id in &self.waiting {
            let person = &mut self.people[id as usize];
            if !person.is_known && !person.is_abroad {
                person.risk = share;
            }
        }
    }
}
