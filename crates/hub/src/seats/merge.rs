//! Room for new tests: the cleanest groups are put together, and the pool leaves endpoints that are
//! about to be blocked.

use super::Hours;
use super::state::{EndpointId, Move, Seats, Use};

/// A risk with which an endpoint is as good as lost: nobody informs in one of seven such groups.
const LOST: f64 = 2.0;
/// How many targets are tried for a group.
const TRIES: usize = 64;

/// A group that may be put together with others.
struct Group {
    id: EndpointId,
    people: usize,
    dose: f64,
}

impl Seats {
    /// Puts the cleanest groups together until so many endpoints can be opened in all. What they leave
    /// is not blocked, so that it can be used again.
    pub(super) fn make_room(&mut self, wanted: usize, limit: f64, now: Hours) -> Vec<Move> {
        let mut moves = Vec::new();
        let mut short = wanted.saturating_sub(self.usable());
        if short == 0 {
            return moves;
        }
        let tested = self.learned.after(0.5);
        let mut groups: Vec<Group> = (self.endpoints.iter())
            .filter(|(_, at)| at.is_for == Use::Test && now - at.joined > tested)
            .map(|(&id, at)| Group { id, people: at.members.len(), dose: self.dose(at, now) })
            .filter(|group| group.dose <= limit)
            .collect();
        groups.sort_by_key(|group| group.people);
        // The smallest move to the largest.
        let mut from = 0;
        while short > 0 && from < groups.len() {
            let Group { id, people, dose } = groups[from];
            from += 1;
            let has_space = self.relay_at(id).space() + people > 0;
            let fits =
                |to: &Group| to.dose + dose <= limit && self.relay_at(to.id).space() >= people;
            let place = groups[from..].iter().rev().take(TRIES).position(fits);
            let Some(place) = place.filter(|_| has_space) else { continue };
            let target = groups.len() - 1 - place;
            let to = groups[target].id;
            let before = self.usable();
            let members = self.vacate(id, now);
            moves.extend(self.sit(&members, to, now));
            groups[target].dose += dose;
            short = short.saturating_sub(self.usable().saturating_sub(before));
        }
        moves
    }

    /// Those of the pool whose endpoint is about to be blocked wait for another seat, if as many
    /// endpoints come fresh as that uses up. `step` is the time until somebody looks again.
    pub(super) fn leave_in_time(&mut self, step: Hours, now: Hours) {
        let is_late = |since: Hours| {
            let (so_far, then) =
                (self.learned.quiet(now - since), self.learned.quiet(now - since + step));
            then < 0.8 * so_far
        };
        let (mut pools, mut leave) = (0.0, Vec::new());
        for (&id, endpoint) in &self.endpoints {
            if endpoint.is_for == Use::Pool && self.dose(endpoint, now) > LOST {
                pools += 1.0;
                if is_late(endpoint.since) {
                    leave.push(id);
                }
            }
        }
        let last = f64::from((self.learned.after(0.2) - step).max(step));
        if self.supply.an_hour(now) * last < 1.25 * pools {
            return;
        }
        for id in leave {
            let Some(closed) = self.close(id) else { continue };
            for &person in &closed.members {
                // That nothing happened yet says nothing.
                let person = &mut self.people[person as usize];
                (person.at, person.since, person.is_known) = (super::state::NOWHERE, now, true);
            }
            self.waiting.extend(closed.members);
        }
    }
}
