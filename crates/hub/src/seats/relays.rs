//! Relays: what they can offer, what becomes of them, and what their tests say of them.

use super::Hours;
use super::state::{Endpoint, EndpointId, RelayId, Seats, Use, number};

/// How often a test fails on a relay of the censor's.
const FOUL: f64 = 0.95;
/// How many times likelier it must be than chance.
const SURE: f64 = 10_000.0;
/// What share of relays is the censor's, as believed before anything has happened.
const FOUL_SHARE: f64 = 0.01;
/// So little is believed at least, so that one that has been sold or seized is found out too.
const LEAST_FOUL: f64 = -3.0;
/// Over how many hours the pace at which fresh endpoints come is taken.
const PACE: f64 = 12.0;

/// What of a relay's addresses and ports answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only those that somebody was given: each can be an endpoint of its own.
    Quiet,
    /// Every port, so that any of them betrays the address, and with it all others.
    All,
}

/// What the censor blocks at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// An address and a port.
    Port,
    /// An address.
    Address,
    /// All addresses that share a prefix.
    Prefix,
}

/// What becomes of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It works.
    Working,
    /// Who sits there stays, and nobody else comes.
    Paused,
    /// It is gone, for now or for good: who sat there needs another seat, and nobody is to blame.
    Gone,
}

/// What a relay offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whose it is: two relays of one owner count as one witness.
    pub owner: u16,
    /// In which prefix it is, as the hub numbers them.
    pub prefix: u32,
    /// What of it answers.
    pub mode: Mode,
    /// How many addresses it has at a time.
    pub addresses: u32,
    /// How many ports of each can be handed out in quiet mode.
    pub ports: u32,
    /// How many people it can carry.
    pub room: u32,
}

impl Terms {
    /// How many endpoints that makes.
    #[must_use]
    pub fn endpoints(&self, unit: Unit) -> u32 {
        match (self.mode, unit) {
            (Mode::Quiet, Unit::Port) => self.addresses.saturating_mul(self.ports),
            _ => self.addresses,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Relay {
    pub terms: Terms,
    pub status: Status,
    /// How many endpoints it can have at a time, and has.
    pub slots: u32,
    pub live: u32,
    /// How many more it could open that nobody knows.
    pub fresh: u32,
    /// How many it ever opened.
    pub opened: u32,
    /// Those of its endpoints where nobody sits.
    pub idle: Vec<EndpointId>,
    pub load: u32,
    /// How much likelier, as a logarithm, it has become that it is the censor's.
    pub foul: f64,
}

impl Relay {
    /// How many endpoints it can open for somebody.
    pub fn usable(&self) -> usize {
        if self.space() == 0 {
            return 0;
        }
        self.idle.len() + self.fresh.min(self.slots.saturating_sub(self.live)) as usize
    }

    /// How many more people it can carry.
    pub fn space(&self) -> usize {
        match self.status {
            Status::Working => self.terms.room.saturating_sub(self.load) as usize,
            Status::Paused | Status::Gone => 0,
        }
    }

    /// How probable it is that it is the censor's, where the middle one of all relays is as foul as
    /// this.
    pub fn risk(&self, middle: f64) -> f64 {
        let odds = FOUL_SHARE / (1.0 - FOUL_SHARE) * (self.foul - middle).min(20.0).exp();
        odds / (1.0 + odds)
    }
}

/// At what pace fresh endpoints come, over all relays, and what is known of tests in general.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Supply {
    pub unit: Unit,
    /// How many have come since the last look.
    pub came: u32,
    /// How many came lately, older ones counting less.
    pub lately: f64,
    /// When the first look was.
    pub started: Option<Hours>,
    /// How many tests were to fail, and did.
    pub expected: f64,
    pub failed: f64,
    /// How foul the middle one of all relays seems: most are nobody's but their owner's.
    pub middle: f64,
}

impl Default for Supply {
    fn default() -> Self {
        Self {
            unit: Unit::Port,
            came: 0,
            lately: 0.0,
            started: None,
            expected: 5.0,
            failed: 5.0,
            middle: 0.0,
        }
    }
}

impl Supply {
    /// Some hours have passed since the last look.
    pub fn look(&mut self, hours: Hours) {
        self.lately = self.lately * (-f64::from(hours) / PACE).exp() + f64::from(self.came);
        self.came = 0;
    }

    /// How many come in an hour.
    pub fn an_hour(&self, now: Hours) -> f64 {
        let age = f64::from(now - self.started.unwrap_or(now)).max(1.0);
        self.lately / (PACE * (1.0 - (-age / PACE).exp()))
    }
}

impl Seats {
    /// A relay joins. Nobody knows its endpoints yet.
    pub fn enrol(&mut self, terms: Terms) -> RelayId {
        let slots = terms.endpoints(self.supply.unit);
        self.relays.push(Relay {
            terms,
            status: Status::Working,
            slots,
            live: 0,
            fresh: slots,
            opened: 0,
            idle: Vec::new(),
            load: 0,
            foul: 0.0,
        });
        number(self.relays.len() - 1)
    }

    /// A relay of an owner and a prefix of its own joins, with so many ports and room for so many
    /// people.
    pub fn relay(&mut self, ports: u32, room: u32) -> RelayId {
        let prefix = number(self.relays.len());
        let owner = u16::try_from(prefix).unwrap_or(u16::MAX);
        self.enrol(Terms { owner, prefix, mode: Mode::Quiet, addresses: 1, ports, room })
    }

    /// A relay has so many more endpoints that nobody knows. It keeps as many as it has slots.
    pub fn fresh(&mut self, relay: RelayId, count: u32) {
        let Some(relay) = self.relays.get_mut(relay as usize) else { return };
        relay.fresh = relay.fresh.saturating_add(count).min(relay.slots);
        self.supply.came = self.supply.came.saturating_add(count);
    }

    /// A relay works, pauses or is gone. One that comes back has the endpoints that [`Self::fresh`]
    /// tells of then: those from before are given up, since people know them.
    pub fn status(&mut self, relay: RelayId, status: Status, now: Hours) {
        let Some(state) = self.relays.get_mut(relay as usize) else { return };
        state.status = status;
        if status == Status::Gone {
            state.fresh = 0;
            for id in self.endpoints_of(relay) {
                self.gone(id, now);
            }
        }
    }

    /// A relay offers something else from now on: other ports, more room, another mode. Where it has
    /// fewer endpoints than groups, the largest keep theirs.
    pub fn terms(&mut self, relay: RelayId, terms: Terms, now: Hours) {
        let Some(state) = self.relays.get_mut(relay as usize) else { return };
        state.terms = terms;
        self.fit(relay, now);
    }

    /// The censor blocks by another unit than was thought. It is [`Unit::Port`] to begin with.
    pub fn unit(&mut self, unit: Unit, now: Hours) {
        self.supply.unit = unit;
        for relay in 0..number(self.relays.len()) {
            self.fit(relay, now);
        }
    }

    /// Whether a relay is most probably the censor's: nearly all its tests fail, where those of others
    /// do not. People who sat there are not to blame for it.
    #[must_use]
    pub fn is_foul(&self, relay: RelayId) -> bool {
        let foul = |relay: &Relay| relay.foul - self.supply.middle > SURE.ln();
        self.relays.get(relay as usize).is_some_and(foul)
    }

    fn endpoints_of(&self, relay: RelayId) -> Vec<EndpointId> {
        let of_relay = |endpoint: &Endpoint| endpoint.place.relay == relay;
        self.endpoints.iter().filter(|(_, at)| of_relay(at)).map(|(&id, _)| id).collect()
    }

    /// Brings a relay's endpoints down to what it offers now.
    fn fit(&mut self, relay: RelayId, now: Hours) {
        let state = &mut self.relays[relay as usize];
        let slots = state.terms.endpoints(self.supply.unit);
        // What is added, nobody knows yet.
        state.fresh = (state.fresh + slots.saturating_sub(state.slots)).min(slots);
        state.slots = slots;
        let mut all = self.endpoints_of(relay);
        // Whole groups, the smallest first.
        all.sort_by_key(|&id| std::cmp::Reverse(self.members(id).len()));
        while let Some(id) = all.pop() {
            let state = &self.relays[relay as usize];
            if state.live <= state.slots && state.load <= state.terms.room {
                break;
            }
            let is_crowded = state.live > state.slots;
            let known = self.members(id).to_vec();
            self.gone(id, now);
            // Their endpoint was part of what is one endpoint now: they know that too.
            if is_crowded && let Some(kept) = all.first().and_then(|id| self.endpoints.get_mut(id))
            {
                self.exposures += known.len();
                kept.exposed.extend(known);
                // Of whom it would be a test, nobody can say any more: it is for everybody.
                if kept.is_for == Use::Test {
                    kept.is_for = Use::Pool;
                }
            }
        }
        let state = &mut self.relays[relay as usize];
        state.fresh = state.fresh.min(state.slots.saturating_sub(state.live));
    }

    /// Each group that was not blocked until now speaks for its relay, and teaches how long informers
    /// keep quiet.
    pub(super) fn watch(&mut self, now: Hours) {
        let over = self.learned.after(0.9);
        // If tests fail more often than was thought everywhere, that is no relay's fault.
        let usual = self.usual();
        let mut lived = Vec::new();
        for endpoint in self.endpoints.values_mut() {
            let age = now - endpoint.joined;
            if endpoint.is_for == Use::Pool && age > over {
                endpoint.is_for = Use::Test;
            }
            if endpoint.is_for != Use::Test || endpoint.told >= now {
                continue;
            }
            let before = endpoint.told - endpoint.joined;
            endpoint.told = now;
            lived.push((endpoint.dose, before, age));
            let odds = odds(endpoint.dose, usual);
            let spoken = 1.0 - self.learned.quiet(age);
            let word = ((1.0 - FOUL * spoken) / (1.0 - odds * spoken)).ln();
            let foul = &mut self.relays[endpoint.place.relay as usize].foul;
            *foul = (*foul + word - endpoint.word).max(LEAST_FOUL);
            endpoint.word = word;
            let more = spoken - (1.0 - self.learned.quiet(before));
            self.supply.expected += (1.0 - (-endpoint.dose).exp()) * more;
        }
        for (dose, before, age) in lived {
            self.learned.lived(dose, before, age);
        }
        self.learned.add_up();
        let mut foul: Vec<f64> = self.relays.iter().map(|relay| relay.foul).collect();
        foul.sort_unstable_by(f64::total_cmp);
        self.supply.middle = foul.get(foul.len() / 2).copied().unwrap_or(0.0);
    }

    /// A test has failed.
    pub(super) fn failed(&mut self, test: &Endpoint, now: Hours) {
        self.learned.lived(test.dose, test.told - test.joined, now - test.joined);
        self.learned.block(now - test.joined);
        self.supply.failed += 1.0;
        if now - test.joined > self.learned.after(0.9) {
            // A relay of the censor's would not have waited for so long.
            return;
        }
        let odds = odds(test.dose, self.usual());
        let foul = &mut self.relays[test.place.relay as usize].foul;
        *foul = (*foul + (FOUL / odds).ln() - test.word).max(LEAST_FOUL);
    }

    /// How many times as often as was thought tests fail.
    fn usual(&self) -> f64 {
        (self.supply.failed / self.supply.expected).clamp(0.2, 5.0)
    }
}

/// How probably a group with so much risk was to be blocked.
fn odds(dose: f64, usual: f64) -> f64 {
    (1.0 - (-dose * usual).exp()).clamp(0.02, 0.9)
}
