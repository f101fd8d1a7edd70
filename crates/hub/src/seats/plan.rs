//! Who of those that wait goes where: the least suspect to tests on fresh endpoints, the others to the
//! open pool, and those who nearly certainly inform to endpoints of their own.

use std::collections::BTreeSet;

use super::Hours;
use super::relays::{Relay, Unit};
use super::risk::cleared;
use super::state::{Move, NOWHERE, RelayId, Seats, Use, single};

/// How often what is believed of newcomers is worked out anew.
const CENSUS: Hours = 1.0;
/// Beyond this risk nobody is tested.
const HOPELESS: f64 = 0.9;
/// How far groups are put together where people would have no seat otherwise, in times of what the
/// rule says: one after another.
const CROWDED: [f64; 2] = [1.0, 3.0];
/// How far ahead of a block the pool moves, at least.
const AHEAD: Hours = 0.25;
/// One of so many slots is made free for those who come next.
const AHEAD_OF: usize = 64;
/// For how long some endpoints are kept back.
const RESERVED: Hours = 1.0;
/// Of how many relays the emptiest is taken.
const CHOICES: usize = 4;

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
        let left = self.leave_in_time(passed.clamp(AHEAD, 1.0), now);
        let mut moves = Vec::new();
        if self.waiting.is_empty() {
            return moves;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        self.chance.shuffle(&mut waiting);
        waiting.sort_by_cached_key(|&id| self.rank(id));
        let (waiting, last): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|&id| self.held(id) <= HOPELESS);
        let young = self.young(now);
        let limit = self.limit(&waiting, &young, now);
        let waiting = self.top_up(waiting, &young, limit, now, &mut moves);

        let groups = self.cut(&waiting, limit);
        // Some more for those who come before others are settled again.
        let ahead = (self.slots() / AHEAD_OF).saturating_sub(young.len());
        let wanted = groups.len() + usize::from(!last.is_empty()) + ahead;
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
        let is_ample = plan.tests >= groups.len() && plan.pools.is_empty();
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
        rest.sort_by_cached_key(|&id| self.rank(id));
        free.extend(plan.pools);
        let mut rest = self.pool(&rest, Use::Pool, &mut free, now, &mut moves);
        for limit in CROWDED.map(|times| times * self.rule.crowded) {
            if !rest.is_empty() {
                moves.extend(self.make_relays_room(limit, now));
                free = self.free(now);
                rest = self.pool(&rest, Use::Pool, &mut free, now, &mut moves);
            }
        }
        let last = self.pool(&last, Use::Last, &mut free, now, &mut moves);
        self.waiting = rest;
        self.waiting.extend(last);
        // Where they stay, there may be room for others.
        let has_stayed = self.stay(left);
        let waiting = std::mem::take(&mut self.waiting);
        let mut rest = &waiting[..];
        self.join(&mut rest, Use::Pool, now, &mut moves);
        self.waiting = rest.to_vec();
        self.prepare(limit, free, is_ample && !has_stayed, now);
        moves
    }

    pub(super) fn usable(&self) -> usize {
        self.relays.iter().map(Relay::usable).sum()
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
        if self.supply.unit == Unit::Prefix {
            // One endpoint to a prefix.
            let mut taken: BTreeSet<u32> = (self.endpoints.values())
                .filter(|at| at.is_for != Use::Idle)
                .map(|at| self.relays[at.place.relay as usize].terms.prefix)
                .collect();
            free.retain(|&id| taken.insert(self.relays[id as usize].terms.prefix));
        }
        if self.supply.started.is_none_or(|started| now - started < RESERVED) {
            free.truncate(free.len().saturating_sub(self.reserve()));
        }
        free
    }

    /// How many endpoints are kept back at first: of a single one, none.
    #[allow(clippy::cast_possible_truncation)]
    fn reserve(&self) -> usize {
        let slots = self.slots();
        if slots > 1 { (slots as f64 * self.rule.reserve).ceil() as usize } else { 0 }
    }

    /// Takes one whose relay has room for so many: of some, the emptiest.
    fn take(&mut self, free: &mut Vec<RelayId>, size: usize) -> Option<RelayId> {
        let mut best: Option<(usize, usize)> = None;
        for _ in 0..CHOICES {
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
