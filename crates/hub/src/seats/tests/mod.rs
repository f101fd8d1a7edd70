//! What the seats promise.

mod always;
mod people;
mod relays;

use super::state::Use;
use super::{EndpointId, Hours, PersonId, RelayId, Rule, Seats};

/// So many relays with so many endpoints and so much room each.
fn office(relays: u32, ports: u32, room: u32) -> Seats {
    let mut seats = Seats::new(Rule { reserve: 0.0, ..Rule::default() }, 7);
    for _ in 0..relays {
        seats.relay(ports, room);
    }
    seats
}

/// So many people come and are seated.
fn come(seats: &mut Seats, people: usize, now: Hours) -> Vec<PersonId> {
    let come = (0..people).map(|_| seats.arrive(now)).collect();
    seats.settle(now);
    come
}

fn seat(seats: &Seats, person: PersonId) -> EndpointId {
    seats.seat(person).expect("a seat")
}

fn relay_of(seats: &Seats, person: PersonId) -> RelayId {
    seats.place(seat(seats, person)).expect("an open endpoint").relay
}

/// The endpoints that are used for this.
fn used(seats: &Seats, is_for: Use) -> Vec<EndpointId> {
    let of =
        |(&id, at): (&EndpointId, &super::state::Endpoint)| (at.is_for == is_for).then_some(id);
    seats.endpoints.iter().filter_map(of).collect()
}
