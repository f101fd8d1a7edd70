//! Who of those that wait goes where: the least suspect to tests on fresh endpoints, the others to the
//! open pool.

use super::risk::cleared;
use super::state::{EndpointId, Move, PersonId, RelayId, Seats};
use super::Hours;

/// A group younger than this is not merged: its test is not over.
const TEST: Hours = 1.4;
/// How often what is believed of newcomers is worked out anew.
const CENSUS: Hours = 0.25;
/// From where on hours without a block say something of a newcomer.
const SETTLED: Hours = 4.0;

impl Seats {
    /// Seats those who wait, as far as there are endpoints, and puts others together to make room:
    /// everybody who has moved. Whoever still waits had no endpoint to go to.
    pub fn settle(&mut self, now: Hours) -> Vec<Move> {
        self.census(now);
        self.clear_relays(now);
        let mut moves = Vec::new();
        if self.waiting.is_empty() {
            return moves;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        self.chance.shuffle(&mut waiting);
        waiting.sort_by(|&one, &two| self.held(one).total_cmp(&self.held(two)));
        let mut groups = self.cut(&waiting);
        if groups.len() > self.usable() {
            waiting = self.top_up(waiting, now, &mut moves);
            groups = self.cut(&waiting);
        }

        self.make_room(groups.len(), self.rule.merged, now, &mut moves);
        let mut free = self.free();
        let mut reserve = self.for_the_pool(waiting.len(), &groups, &free);
        if reserve > free.len() || free.is_empty() {
            self.make_room(reserve.max(1), self.rule.crowded, now, &mut moves);
            free = self.free();
            reserve = self.for_the_pool(waiting.len(), &groups, &free);
        }

        let mut rest = &waiting[..];
        for &size in groups.iter().take(free.len().saturating_sub(reserve)) {
            let Some(relay) = self.take(&mut free, size) else { break };
            let (these, others) = rest.split_at(size);
            let endpoint = self.open(relay, now, false);
            let is_new = these.iter().all(|&id| !self.people[id as usize].is_known);
            let nobody: f64 = these.iter().map(|&id| 1.0 - f64::from(self.held(id))).product();
            let opened = &mut self.endpoints[endpoint as usize];
            (opened.is_new, opened.odds) = (is_new, 1.0 - nobody);
            self.seat_all(these, endpoint, now, &mut moves);
            rest = others;
        }
        self.pool(rest, free, now, &mut moves);
        moves
    }

    fn held(&self, id: PersonId) -> f32 {
        self.people[id as usize].risk
    }

    fn usable(&self) -> usize {
        self.relays.iter().map(|relay| relay.usable() as usize).sum()
    }

    /// Where endpoints are short, newcomers join others who have not sat for long; who is left.
    fn top_up(
        &mut self,
        waiting: Vec<PersonId>,
        now: Hours,
        moves: &mut Vec<Move>,
    ) -> Vec<PersonId> {
        let (known, mut new): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|&id| self.people[id as usize].is_known);
        let young: Vec<EndpointId> = self
            .live
            .iter()
            .copied()
            .filter(|&id| {
                let endpoint = &self.endpoints[id as usize];
                endpoint.is_new && now - endpoint.since < TEST
            })
            .collect();
        for id in young {
            let mut dose = self.dose(id, self.endpoints[id as usize].since);
            let mut space = self.relays[self.relay_of(id) as usize].space();
            while let Some(&person) = new.last()
                && space > 0
                && dose + f64::from(self.held(person)) <= self.rule.dose
            {
                dose += f64::from(self.held(person));
                space -= 1;
                new.pop();
                self.sit(person, id, now);
                moves.push(Move { person, to: id });
            }
        }
        new.extend(known);
        new.sort_by(|&one, &two| self.held(one).total_cmp(&self.held(two)));
        new
    }

    /// How many of those in order go into each group.
    fn cut(&self, waiting: &[PersonId]) -> Vec<usize> {
        let most = self.relays.iter().map(|relay| relay.room as usize / 2).max().unwrap_or(0).max(1);
        let mut sizes = Vec::new();
        let (mut size, mut dose) = (0, 0.0);
        for &id in waiting {
            let risk = f64::from(self.held(id));
            // Those who have lived through something are never with those who have not.
            if size > 0 && (dose + risk > self.rule.dose || size >= most) {
                sizes.push(size);
                (size, dose) = (0, 0.0);
            }
            size += 1;
            dose += risk;
        }
        if size > 0 {
            sizes.push(size);
        }
        sizes
    }

    /// Relays that can open an endpoint, each as often as it can; but none that is the censor's.
    fn free(&mut self) -> Vec<RelayId> {
        let mut free = Vec::new();
        for (id, relay) in (0..).zip(&self.relays) {
            if relay.space() > 0 && !self.is_foul(id) {
                free.extend(std::iter::repeat_n(id, relay.usable() as usize));
            }
        }
        self.chance.shuffle(&mut free);
        free
    }

    /// Takes one whose relay has room for so many.
    fn take(&self, free: &mut Vec<RelayId>, size: usize) -> Option<RelayId> {
        let fits = |relay: &RelayId| self.relays[*relay as usize].space() >= size;
        let place = free.iter().rposition(fits)?;
        Some(free.swap_remove(place))
    }

    /// How many endpoints the pool must have, so that everybody who gets no test is seated at once.
    fn for_the_pool(&self, waiting: usize, groups: &[usize], free: &[RelayId]) -> usize {
        if groups.len() <= free.len() {
            return 0;
        }
        let mut relays = free.to_vec();
        relays.sort_unstable();
        relays.dedup();
        let mut rooms: Vec<usize> =
            relays.iter().map(|&relay| self.relays[relay as usize].space()).collect();
        rooms.sort_unstable_by(|one, two| two.cmp(one));
        let (mut left, mut needs) = (waiting, 0);
        for room in rooms {
            let tested: usize = groups.iter().take(free.len() - needs).sum();
            if left <= tested {
                break;
            }
            left = left.saturating_sub(room);
            needs += 1;
        }
        needs
    }

    /// Seats the rest together, the most suspect with each other: on fresh endpoints while there are
    /// any, then wherever others of the pool sit.
    fn pool(
        &mut self,
        rest: &[PersonId],
        mut free: Vec<RelayId>,
        now: Hours,
        moves: &mut Vec<Move>,
    ) {
        let mut left = rest;
        free.sort_by_key(|&relay| self.relays[relay as usize].space());
        while !left.is_empty() {
            let Some(relay) = free.pop() else { break };
            let room = self.relays[relay as usize].space().min(left.len());
            if room == 0 {
                continue;
            }
            let (these, others) = left.split_at(room);
            let endpoint = self.open(relay, now, true);
            self.seat_all(these, endpoint, now, moves);
            left = others;
        }
        let is_open = |id: &EndpointId| self.endpoints[*id as usize].is_open;
        let open: Vec<EndpointId> = self.live.iter().copied().filter(is_open).collect();
        for endpoint in open {
            let relay = self.relay_of(endpoint);
            let room = self.relays[relay as usize].space().min(left.len());
            let (these, others) = left.split_at(room);
            self.seat_all(these, endpoint, now, moves);
            left = others;
        }
        self.waiting.extend_from_slice(left);
    }

    fn seat_all(
        &mut self,
        these: &[PersonId],
        endpoint: EndpointId,
        now: Hours,
        moves: &mut Vec<Move>,
    ) {
        for &person in these {
            self.sit(person, endpoint, now);
            moves.push(Move { person, to: endpoint });
        }
    }

    /// Puts the cleanest groups of a relay together, where it has fresh endpoints and no slot for them,
    /// until so many can be opened in all.
    fn make_room(&mut self, wanted: usize, merged: f64, now: Hours, moves: &mut Vec<Move>) {
        let mut short = wanted.saturating_sub(self.usable());
        let is_full = |relay: &super::state::Relay| relay.space() > 0 && relay.fresh > relay.usable();
        if short == 0 || !self.relays.iter().any(is_full) {
            return;
        }
        let mut groups: Vec<Vec<(f64, EndpointId)>> = vec![Vec::new(); self.relays.len()];
        for &id in &self.live {
            let endpoint = &self.endpoints[id as usize];
            let relay = endpoint.relay as usize;
            if !endpoint.is_open && now - endpoint.since > TEST && is_full(&self.relays[relay]) {
                groups[relay].push((self.dose(id, now), id));
            }
        }
        for (relay, groups) in groups.iter_mut().enumerate() {
            groups.sort_by(|one, two| two.0.total_cmp(&one.0));
            while short > 0 && is_full(&self.relays[relay]) {
                let (Some((less, from)), Some((more, to))) = (groups.pop(), groups.pop()) else {
                    break;
                };
                if less + more > merged {
                    break;
                }
                self.join(from, to, now, moves);
                groups.push((less + more, to));
                short -= 1;
            }
        }
        if merged < self.rule.crowded {
            return;
        }
        // Relays that cannot help themselves.
        let mut all: Vec<(f64, EndpointId)> = groups.concat();
        all.sort_by(|one, two| two.0.total_cmp(&one.0));
        let Some((mut sum, mut to)) = all.pop() else { return };
        while let Some((dose, from)) = all.pop() {
            let space = self.relays[self.relay_of(to) as usize].space();
            let is_free = is_full(&self.relays[self.relay_of(from) as usize]);
            if short == 0 || sum + dose > merged {
                return;
            }
            if space < self.members(from).len() || !is_free {
                (sum, to) = (dose, from);
                continue;
            }
            self.join(from, to, now, moves);
            sum += dose;
            short -= 1;
        }
    }

    fn join(&mut self, from: EndpointId, to: EndpointId, now: Hours, moves: &mut Vec<Move>) {
        let members = self.close(from);
        for &id in &members {
            self.stand_up(id, now);
        }
        self.seat_all(&members, to, now, moves);
    }

    /// The risk that sits there.
    fn dose(&self, endpoint: EndpointId, now: Hours) -> f64 {
        let risk = |&id: &PersonId| {
            let person = &self.people[id as usize];
            cleared(person.risk.into(), self.learned.quiet(now - person.since))
        };
        self.endpoints[endpoint as usize].members.iter().map(risk).sum()
    }

    /// Each group that lives on speaks for its relay.
    fn clear_relays(&mut self, now: Hours) {
        let mut spoken = Vec::new();
        for &id in &self.live {
            let endpoint = &mut self.endpoints[id as usize];
            if !endpoint.has_spoken && now - endpoint.since > TEST {
                endpoint.has_spoken = true;
                if !endpoint.is_open {
                    spoken.push((endpoint.relay, endpoint.odds));
                }
            }
        }
        for (relay, odds) in spoken {
            self.speak(relay, odds, false);
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
            let held = f64::from(person.risk);
            if person.is_known {
                risk += held;
                people += 1.0;
            } else if now - person.since > SETTLED {
                risk += held * self.rule.sleepers;
                people += 1.0;
            }
        }
        self.learned.census(risk, people, self.rule.share);
        let share = super::state::single(self.learned.share());
        for &id in &self.waiting {
            let person = &mut self.people[id as usize];
            if !person.is_known {
                person.risk = share;
            }
        }
    }
}
