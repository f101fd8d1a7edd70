//! What a block says of those who knew the endpoint.

use super::Hours;
use super::people::raised;
use super::risk::{LATE, blamed, cleared};
use super::state::{Endpoint, EndpointId, NOWHERE, PersonId, RelayId, Seats, Use, single};

/// More is never believed of anybody, so that time can clear them.
pub(super) const CERTAIN: f64 = 0.999;
/// How much of the odds against those who most probably inform is left after each time that their
/// endpoint is blocked: in some days each is tried again.
const FORGIVEN: f64 = 0.9;
/// How probably somebody who sits alone says that it is blocked, and is absent there, although nobody has
/// spoken: a line of their own that is broken. So their word is worth twenty times itself at most.
const DOUBT: f64 = 0.05;

impl Seats {
    /// An endpoint was blocked: somebody who knew it informs, or its relay is the censor's. Those who
    /// sat there wait for another seat. It must also be told of one where nobody sits any more.
    pub fn blocked(&mut self, endpoint: EndpointId, now: Hours) {
        self.blocked_together(&[endpoint], now);
    }

    /// Endpoints were blocked for one reason, as those of an address or of a prefix are: somebody who
    /// knew one of them informs.
    pub fn blocked_together(&mut self, endpoints: &[EndpointId], now: Hours) {
        self.blocked_but_for(endpoints, 0.0, now);
    }

    /// An endpoint seems to be blocked, by the word of the only one who sits there. Whoever knew
    /// it is suspected by a bounded factor, and nothing is learned of the censor or of the relay.
    pub fn blocked_perhaps(&mut self, endpoint: EndpointId, now: Hours) {
        self.blocked_but_for(&[endpoint], DOUBT, now);
    }

    /// With this probability it would have seemed so although nobody has spoken.
    fn blocked_but_for(&mut self, endpoints: &[EndpointId], doubt: f64, now: Hours) {
        let closed: Vec<Endpoint> = endpoints.iter().filter_map(|&id| self.close(id)).collect();
        if doubt == 0.0 {
            self.learn(&closed, now);
        }
        let mut relays: Vec<RelayId> = closed.iter().map(|closed| closed.place.relay).collect();
        relays.sort_unstable();
        relays.dedup();
        let mut known: Vec<PersonId> = closed
            .iter()
            .flat_map(|closed| closed.members.iter().chain(&closed.exposed))
            .copied()
            .collect();
        known.sort_unstable();
        known.dedup();

        // Nobody who knew it has spoken, and no relay has: with what probability?
        let quiet = |&relay: &RelayId| 1.0 - self.relays[relay as usize].risk(self.supply.middle);
        let mut nobody = (1.0 - doubt) * relays.iter().map(quiet).product::<f64>();
        for &id in &known {
            let (before, speaks) = self.spoke(id, now);
            nobody *= 1.0 - cleared(self.held(id), before) * speaks;
        }
        for &id in &known {
            let (before, speaks) = self.spoke(id, now);
            let held = self.held(id);
            let was = cleared(held, before);
            let is = blamed(was, speaks, nobody).min(CERTAIN);
            // What the time at their seat says is added when they stand up.
            let times = is / (1.0 - is) / (was / (1.0 - was)).max(1e-12);
            self.people[id as usize].risk = single(raised(held, times));
        }
        for closed in closed {
            for &id in &closed.members {
                let (before, _) = self.spoke(id, now);
                let is_last = closed.is_for == Use::Last;
                let person = &mut self.people[id as usize];
                let risk = cleared(person.risk.into(), before);
                person.risk = single(if is_last { raised(risk, FORGIVEN) } else { risk });
                (person.at, person.since, person.is_known) = (NOWHERE, now, true);
            }
            self.waiting.extend(closed.members);
        }
    }

    /// An endpoint is gone, and nobody is to blame: its relay died, say. Those who sat there wait for
    /// another seat.
    pub fn gone(&mut self, endpoint: EndpointId, now: Hours) {
        let Some(closed) = self.close(endpoint) else { return };
        for &id in &closed.members {
            self.stand_up(id, now);
        }
        self.waiting.extend(closed.members);
    }

    fn spoke(&self, id: PersonId, now: Hours) -> (f64, f64) {
        let person = &self.people[id as usize];
        if person.at == NOWHERE { (1.0, LATE) } else { self.learned.spoke(now - person.since) }
    }

    /// What a block teaches of the censor's pace, and of the relay.
    fn learn(&mut self, closed: &[Endpoint], now: Hours) {
        // Of several nobody knows which test it was.
        if let [test] = closed
            && test.is_for == Use::Test
            && !test.members.is_empty()
        {
            self.failed(test, now);
        }
    }
}
