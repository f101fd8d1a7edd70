//! What happens, as a hub writes it down before it does it: the same events in the same order lead to
//! the same seats.

use super::codec::{Written, fields, words};
use super::{EndpointId, Hours, Mode, Move, Origin, PersonId, RelayId, Seats, Status, Terms, Unit};

/// Something that happens. Each is the call of the same name of [`Seats`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    Enrol { terms: Terms },
    Fresh { relay: RelayId, count: u32 },
    Status { relay: RelayId, status: Status, now: Hours },
    Terms { relay: RelayId, terms: Terms, now: Hours },
    Unit { unit: Unit, now: Hours },
    Arrive { now: Hours },
    Seen { person: PersonId, now: Hours },
    Login { person: PersonId, relay: RelayId, origin: Origin, now: Hours },
    Leave { person: PersonId },
    Expire { now: Hours },
    Spare { person: PersonId, now: Hours },
    Blocked { endpoints: Vec<EndpointId>, now: Hours },
    BlockedPerhaps { endpoint: EndpointId, now: Hours },
    Gone { endpoint: EndpointId, now: Hours },
    Settle { now: Hours },
}

/// What comes of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing that anybody must be told.
    Done,
    /// The relay that has joined.
    Relay(RelayId),
    /// Who has come.
    Person(PersonId),
    /// Those who were forgotten: their ids mean somebody else from now on.
    Forgotten(Vec<PersonId>),
    /// The second endpoint that somebody may be shown, if there is one.
    Spare(Option<EndpointId>),
    /// Who has moved, in this order.
    Moves(Vec<Move>),
}

impl Seats {
    /// Lets something happen.
    pub fn apply(&mut self, event: &Event) -> Outcome {
        match *event {
            Event::Enrol { terms } => return Outcome::Relay(self.enrol(terms)),
            Event::Arrive { now } => return Outcome::Person(self.arrive(now)),
            Event::Expire { now } => return Outcome::Forgotten(self.expire(now)),
            Event::Spare { person, now } => return Outcome::Spare(self.spare(person, now)),
            Event::Settle { now } => return Outcome::Moves(self.settle(now)),
            Event::Fresh { relay, count } => self.fresh(relay, count),
            Event::Status { relay, status, now } => self.status(relay, status, now),
            Event::Terms { relay, terms, now } => self.terms(relay, terms, now),
            Event::Unit { unit, now } => self.unit(unit, now),
            Event::Seen { person, now } => self.seen(person, now),
            Event::Login { person, relay, origin, now } => self.login(person, relay, origin, now),
            Event::Leave { person } => self.leave(person),
            Event::Blocked { ref endpoints, now } => self.blocked_together(endpoints, now),
            Event::BlockedPerhaps { endpoint, now } => self.blocked_perhaps(endpoint, now),
            Event::Gone { endpoint, now } => self.gone(endpoint, now),
        }
        Outcome::Done
    }
}

macro_rules! events {
    ($($number:literal $name:ident { $($field:ident),* }),* $(,)?) => {
        impl Event {
            /// As a line of a journal: 5 to 27 bytes, and 4 for each endpoint that was blocked.
            #[must_use]
            pub fn to_bytes(&self) -> Vec<u8> {
                let mut to = Vec::new();
                match self {
                    $(Self::$name { $($field),* } => {
                        to.push($number);
                        $($field.write(&mut to);)*
                    })*
                }
                to
            }

            /// From a line of a journal. `None` if it is none.
            #[must_use]
            pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
                let from = &mut bytes;
                let event = match u8::read(from)? {
                    $($number => Self::$name { $($field: Written::read(from)?),* },)*
                    _ => return None,
                };
                from.is_empty().then_some(event)
            }
        }
    };
}

events! {
    0 Enrol { terms },
    1 Fresh { relay, count },
    2 Status { relay, status, now },
    3 Terms { relay, terms, now },
    4 Unit { unit, now },
    5 Arrive { now },
    6 Seen { person, now },
    7 Login { person, relay, origin, now },
    8 Leave { person },
    9 Expire { now },
    10 Spare { person, now },
    11 Blocked { endpoints, now },
    12 Gone { endpoint, now },
    13 Settle { now },
    14 BlockedPerhaps { endpoint, now },
}

fields!(Terms { owner, prefix, mode, addresses, ports, room });
words!(Mode { Quiet, All });
words!(Unit { Port, Address, Prefix });
words!(Status { Working, Paused, Gone });
words!(Origin { Home, Abroad, Preview });
