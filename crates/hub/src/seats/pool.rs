//! The open pool: seats for everybody for whom there is no test.

use super::Hours;
use super::groups::Group;
use super::state::{EndpointId, Move, PersonId, RelayId, Seats, Use, number};

/// What becomes of the groups.
pub(super) struct Plan {
    /// So many of them are tested.
    pub tests: usize,
    /// Where the pool opens endpoints for the others.
    pub pools: Vec<RelayId>,
    /// Whether everybody finds a seat.
    pub is_enough: bool,
}

impl Seats {
    /// How many of these groups are tested, and where the pool opens endpoints for everybody else.
    pub(super) fn plan(&self, groups: &[Group], free: &[RelayId], last: usize, now: Hours) -> Plan {
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
    pub(super) fn pool(
        &mut self,
        these: &[PersonId],
        is_for: Use,
        free: &mut Vec<RelayId>,
        now: Hours,
        moves: &mut Vec<Move>,
    ) -> Vec<PersonId> {
        let mut left = these;
        self.join(&mut left, is_for, now, moves);
        free.sort_by_key(|&relay| self.relays[relay as usize].space());
        while !left.is_empty() {
            let Some(relay) = free.pop() else { break };
            self.open_pool(&mut left, relay, is_for, now, moves);
        }
        let other = if is_for == Use::Pool { Use::Last } else { Use::Pool };
        self.join(&mut left, other, now, moves);
        for relay in 0..number(self.relays.len()) {
            if !left.is_empty() && self.is_foul(relay) && self.relays[relay as usize].usable() > 0 {
                self.open_pool(&mut left, relay, is_for, now, moves);
            }
        }
        left.to_vec()
    }

    /// Seats as many as there is room for on endpoints that are open for this.
    pub(super) fn join(
        &mut self,
        left: &mut &[PersonId],
        is_for: Use,
        now: Hours,
        moves: &mut Vec<Move>,
    ) {
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
}
