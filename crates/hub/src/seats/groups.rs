//! Who sits together: as many as can be risked at once.

use super::Hours;
use super::relays::{Relay, Status};
use super::state::{EndpointId, Move, PersonId, Seats};

/// Over how many hours the endpoints in stock are to last.
const STOCK: f64 = 6.0;
/// The smallest risk that a group takes together where endpoints are scarce.
const LEAST_DOSE: f64 = 0.1;
/// Of the endpoints that could be opened, beyond the first few, this share is, so that fewer people sit
/// with somebody who informs; down to groups with this risk.
const PLENTY: f64 = 0.25;
const FEW: usize = 32;
const FINEST_DOSE: f64 = 0.002;
/// Up to which share of the slots that can be filled anew during one test endpoints are scarce.
const SCARCE: f64 = 0.5;

/// Those who are to sit on one endpoint.
pub(super) struct Group {
    pub people: Vec<PersonId>,
    pub dose: f64,
    pub is_new: bool,
}

impl Seats {
    pub(super) fn slots(&self) -> usize {
        let works = |relay: &&Relay| relay.status == Status::Working;
        self.relays.iter().filter(works).map(|relay| relay.slots as usize).sum()
    }

    /// What share of all slots could be filled anew during one test.
    fn pace(&self, now: Hours) -> f64 {
        let fresh: u32 = self.relays.iter().map(|relay| relay.fresh).sum();
        let an_hour = self.supply.an_hour(now) + f64::from(fresh) / STOCK;
        an_hour * f64::from(self.learned.after(0.75)) / (self.slots() as f64).max(1.0)
    }

    /// Whether tests are to be paid for dearly. Of the first hours nobody knows.
    pub(super) fn is_scarce(&self, now: Hours) -> bool {
        let hours = now - self.supply.started.unwrap_or(now);
        f64::from(hours) >= STOCK && self.pace(now) < SCARCE
    }

    /// The groups of newcomers that others may still join.
    pub(super) fn young(&self, now: Hours) -> Vec<EndpointId> {
        (self.endpoints.iter().rev())
            .filter(|(_, at)| at.is_young(now))
            .map(|(&id, _)| id)
            .collect()
    }

    /// The risk that a group may ever be, as fast as endpoints come.
    pub(super) fn most(&self, now: Hours) -> f64 {
        // So that as many tests fail as endpoints come fresh: 1 - e^-dose = pace.
        let dose = -(1.0 - self.pace(now).min(0.99)).ln();
        dose.clamp(LEAST_DOSE.min(self.rule.dose), self.rule.dose)
    }

    /// The risk that a group takes together, where these wait and those have just sat down.
    pub(super) fn limit(&self, waiting: &[PersonId], young: &[EndpointId], now: Hours) -> f64 {
        // Where there are plenty, fewer people sit with somebody who informs.
        let waits: f64 = waiting.iter().map(|&id| self.held(id)).sum();
        let sits: f64 = young.iter().map(|id| self.endpoints[id].dose).sum();
        let plenty = (self.usable() + young.len()).saturating_sub(FEW) as f64 * PLENTY;
        self.most(now).min(((waits + sits) / plenty.max(1e-9)).max(FINEST_DOSE))
    }

    /// Newcomers join other newcomers who have just sat down; who is left.
    pub(super) fn top_up(
        &mut self,
        waiting: Vec<PersonId>,
        young: &[EndpointId],
        limit: f64,
        now: Hours,
        moves: &mut Vec<Move>,
    ) -> Vec<PersonId> {
        if young.is_empty() {
            return waiting;
        }
        let (known, mut new): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|&id| self.people[id as usize].is_known);
        for &id in young {
            if new.is_empty() {
                break;
            }
            let mut dose = self.dose(&self.endpoints[&id], now);
            let mut space = self.relay_at(id).space();
            let mut joins = Vec::new();
            while space > 0
                && let Some(&person) = new.last()
                && dose + self.held(person) <= limit
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
        new.sort_by_cached_key(|&id| self.rank(id));
        new
    }

    /// Those in order in groups of bounded risk, newcomers apart: those first that are most worth
    /// testing.
    pub(super) fn cut(&self, waiting: &[PersonId], limit: f64) -> Vec<Group> {
        let most = self.relays.iter().map(Relay::space).max().unwrap_or(0).max(1);
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
    pub(super) fn worth(&self, group: &Group) -> f64 {
        let passes = (-group.dose).exp();
        let soon = f64::from(self.learned.after(0.5));
        group.people.len() as f64 * (passes * self.rule.ahead + soon) / (1.0 - passes).max(1e-6)
    }
}
