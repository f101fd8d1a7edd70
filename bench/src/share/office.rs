//! Whoever hands out seats: the hub's own core, or a rival.

use hub::seats::{EndpointId, Hours, Mode, Move, Origin, PersonId, RelayId, Rule, Seats, Terms};

/// How many endpoints somebody has at a time, at most.
pub(super) const MOST_SEATS: usize = 3;

/// A relay, as an office is told of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    /// How many endpoints it can have at a time. Nobody knows them yet.
    pub(super) slots: u32,
    /// How many people it can carry.
    pub(super) room: u32,
    /// In which prefix they are.
    pub(super) prefix: u32,
}

/// What the world tells an office, and asks of it. People and relays have the numbers in which order
/// they came, endpoints those that the office gives them.
pub(super) trait Office {
    fn relay(&mut self, relay: Relay);

    /// A relay has so many more endpoints that nobody knows; it keeps as many as it has slots.
    fn fresh(&mut self, relay: RelayId, count: u32);

    /// Somebody new asks.
    fn arrive(&mut self, now: Hours);

    /// Endpoints were blocked at one stroke. All offices hear of it at once.
    fn blocked(&mut self, endpoints: &[EndpointId], now: Hours);

    /// Who is given which endpoint now: in place of the one they had, or beside others, up to
    /// [`seats_each`](Self::seats_each).
    fn settle(&mut self, now: Hours) -> Vec<Move>;

    /// How many endpoints somebody keeps.
    fn seats_each(&self) -> usize {
        1
    }

    /// On which relay an endpoint is; `None` once it is closed.
    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId>;

    /// What else somebody is told who asks again without need, since the last half hour.
    fn told(&self, _person: PersonId) -> Vec<EndpointId> {
        Vec::new()
    }

    /// Whether somebody is never given anything again.
    fn has_refused(&self, _person: PersonId) -> bool {
        false
    }

    /// Whether it has somebody where the world has them.
    #[cfg(test)]
    fn has_seat(&self, _person: PersonId, endpoint: EndpointId) -> bool {
        self.relay_of(endpoint).is_some()
    }

    /// A relay says that somebody logged in from abroad.
    fn remote_login(&mut self, _relay: RelayId, _person: PersonId, _now: Hours) {}
}

/// What the hub runs, not a copy of it.
pub(super) struct Ours {
    seats: Seats,
    /// How many have joined: each is its own owner's.
    relays: u16,
}

impl Ours {
    pub(super) fn new(seed: u64) -> Self {
        Self { seats: Seats::new(Rule::default(), seed), relays: 0 }
    }
}

impl Office for Ours {
    fn relay(&mut self, Relay { slots, room, prefix }: Relay) {
        let (owner, mode) = (self.relays, Mode::Quiet);
        self.relays += 1;
        self.seats.enrol(Terms { owner, prefix, mode, addresses: slots, ports: 1, room });
    }

    fn fresh(&mut self, relay: RelayId, count: u32) {
        self.seats.fresh(relay, count);
    }

    fn arrive(&mut self, now: Hours) {
        self.seats.arrive(now);
    }

    fn blocked(&mut self, endpoints: &[EndpointId], now: Hours) {
        match *endpoints {
            // Nobody else bears it out.
            [alone] if self.seats.members(alone).len() == 1 => {
                self.seats.blocked_perhaps(alone, now);
            }
            _ => self.seats.blocked_together(endpoints, now),
        }
    }

    fn settle(&mut self, now: Hours) -> Vec<Move> {
        self.seats.settle(now)
    }

    fn relay_of(&self, endpoint: EndpointId) -> Option<RelayId> {
        self.seats.place(endpoint).map(|place| place.relay)
    }

    #[cfg(test)]
    fn has_seat(&self, person: PersonId, endpoint: EndpointId) -> bool {
        self.seats.seat(person) == Some(endpoint)
    }

    fn remote_login(&mut self, relay: RelayId, person: PersonId, now: Hours) {
        self.seats.login(person, relay, Origin::Abroad, now);
    }
}
