//! Who gets a seat where: tests of the least suspect first, an open pool for the rest.

use super::state::{EndpointId, Move, NOWHERE, PersonId, Seats};

impl Seats {
    /// Seats those who wait, as far as there are endpoints; whoever was moved.
    pub fn settle(&mut self, now: f32) -> Vec<Move> {
        self.census(now);
        let mut moves = Vec::new();
        if self.waiting.is_empty() {
            return moves;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        self.chance.shuffle(&mut waiting);
        waiting.sort_by(|&a, &b| self.at(a).total_cmp(&self.at(b)));
        let groups = self.cut(&waiting);
        // Pool: who does not get a test.
        let wanted = groups.len();
        self.make_room(wanted, now, &mut moves);
        let mut free: Vec<u32> = self.free();
        let reserve = self.pool_needs(&waiting, &groups, &free);
        let tests = wanted.min(free.len().saturating_sub(reserve));
        let mut from = 0;
        for &size in groups.iter().take(tests) {
            let Some(relay) = self.take(&mut free, size) else { break };
            let endpoint = self.open(relay, now, false);
            for &id in &waiting[from..from + size] {
                self.sit(id, endpoint, now);
                moves.push(Move { person: id, to: endpoint });
            }
            from += size;
        }
        self.pool(&waiting[from..], &mut free, now, &mut moves);
        moves
    }

    fn at(&self, id: PersonId) -> f32 {
        self.people[id as usize].risk
    }

    /// How many of those in order go into each group.
    fn cut(&self, waiting: &[PersonId]) -> Vec<usize> {
        let most = self.relays.iter().map(|r| r.room).max().unwrap_or(0) as usize;
        let mut sizes = Vec::new();
        let (mut size, mut dose) = (0usize, 0.0f64);
        for &id in waiting {
            let risk = f64::from(self.at(id));
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

    /// Relays with a fresh endpoint, once for each.
    fn free(&mut self) -> Vec<u32> {
        let mut free = Vec::new();
        for (id, relay) in (0..).zip(&self.relays) {
            let count = relay.fresh.min(relay.slots - relay.live);
            free.extend(std::iter::repeat_n(id, count as usize));
        }
        self.chance.shuffle(&mut free);
        free
    }

    /// One whose relay has room.
    fn take(&self, free: &mut Vec<u32>, size: usize) -> Option<u32> {
        let fits = |relay: &u32| {
            let relay = &self.relays[*relay as usize];
            (relay.load as usize) + size <= relay.room as usize
        };
        let place = free.iter().rposition(fits)?;
        Some(free.swap_remove(place))
    }

    /// How many endpoints the pool must have, so that everybody who gets no test is seated at once.
    fn pool_needs(&self, waiting: &[PersonId], groups: &[usize], free: &[u32]) -> usize {
        if groups.len() <= free.len() {
            return 0;
        }
        let mut rooms: Vec<usize> = free.iter().map(|&relay| self.room(relay)).collect();
        rooms.sort_unstable();
        // One endpoint of each relay takes all its room.
        let mut relays = free.to_vec();
        relays.sort_unstable();
        relays.dedup();
        let mut rooms: Vec<usize> = relays.iter().map(|&relay| self.room(relay)).collect();
        rooms.sort_unstable_by(|a, b| b.cmp(a));
        let (mut left, mut needs) = (waiting.len(), 0);
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

    fn room(&self, relay: u32) -> usize {
        let relay = &self.relays[relay as usize];
        (relay.room - relay.load) as usize
    }

    /// Seats the rest together, the most suspect with each other: on fresh endpoints while there are
    /// any, then wherever others sit who were not tested.
    fn pool(&mut self, rest: &[PersonId], free: &mut Vec<u32>, now: f32, moves: &mut Vec<Move>) {
        let mut left = rest;
        let mut open: Vec<EndpointId> = Vec::new();
        free.sort_by_key(|&relay| self.room(relay));
        let mut last = None;
        while !left.is_empty() {
            let fresh = free.iter().rposition(|&relay| Some(relay) != last && self.room(relay) > 0);
            let endpoint = match fresh {
                Some(place) => {
                    let relay = free.remove(place);
                    last = Some(relay);
                    self.open(relay, now, true)
                }
                None => {
                    if open.is_empty() {
                        let is_open = |e: &EndpointId| {
                            let place = &self.endpoints[*e as usize];
                            place.is_open && self.room(place.relay) > 0
                        };
                        open = self.live.iter().copied().filter(is_open).collect();
                    }
                    let Some(endpoint) = open.pop() else { break };
                    endpoint
                }
            };
            let room = self.room(self.endpoints[endpoint as usize].relay);
            let (these, others) = left.split_at(room.min(left.len()));
            for &id in these {
                self.sit(id, endpoint, now);
                moves.push(Move { person: id, to: endpoint });
            }
            left = others;
        }
        self.waiting.extend_from_slice(left);
    }

    /// Puts the cleanest groups of a relay together where it has fresh endpoints and no slot for them.
    fn make_room(&mut self, wanted: usize, now: f32, moves: &mut Vec<Move>) {
        let have: usize =
            self.relays.iter().map(|r| r.fresh.min(r.slots - r.live) as usize).sum();
        let mut short = wanted.saturating_sub(have);
        if short == 0 {
            return;
        }
        let mut by_relay: Vec<Vec<(f64, EndpointId)>> = vec![Vec::new(); self.relays.len()];
        for &e in &self.live {
            let place = &self.endpoints[e as usize];
            if !place.is_open && now - place.since > 1.4 {
                by_relay[place.relay as usize].push((self.dose(e, now), e));
            }
        }
        for (relay, mut clean) in by_relay.into_iter().enumerate() {
            clean.sort_by(|a, b| b.0.total_cmp(&a.0));
            loop {
                let state = &self.relays[relay];
                if short == 0 || state.fresh <= state.slots - state.live {
                    break;
                }
                let (Some(one), Some(two)) = (clean.pop(), clean.pop()) else { break };
                if one.0 + two.0 > self.rule.merged {
                    break;
                }
                let count = self.endpoints[one.1 as usize].members.len();
                self.gone(one.1, now);
                let at = self.waiting.len() - count;
                for id in self.waiting.split_off(at) {
                    self.sit(id, two.1, now);
                    moves.push(Move { person: id, to: two.1 });
                }
                clean.push((one.0 + two.0, two.1));
                short -= 1;
            }
        }
    }

    /// The risk that sits there.
    fn dose(&self, endpoint: EndpointId, now: f32) -> f64 {
        let risk = |&id: &PersonId| {
            let person = &self.people[id as usize];
            let quiet = self.learned.quiet(f64::from(now - person.since));
            super::risk::cleared(person.risk.into(), quiet)
        };
        self.endpoints[endpoint as usize].members.iter().map(risk).sum()
    }

    fn census(&mut self, now: f32) {
        let (mut sum, mut count) = (0.0f64, 0.0f64);
        for person in &self.people {
            if person.is_assessed {
                sum += f64::from(person.risk);
                count += 1.0;
            } else if person.at != NOWHERE && now - person.since > 4.0 {
                count += 1.0;
                sum += f64::from(person.risk) * self.rule.sleepers;
            }
        }
        let share = self.rule.share;
        self.learned.census(sum, count, share);
        let share = self.learned.share() as f32;
        for &id in &self.waiting {
            let person = &mut self.people[id as usize];
            if !person.is_assessed {
                person.risk = share;
            }
        }
    }
}
