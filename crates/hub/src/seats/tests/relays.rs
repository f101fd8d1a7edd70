use super::super::state::Use;
use super::super::{Mode, Rule, Seats, Status, Terms, Unit};
use super::{come, office, relay_of, seat, used};

const TERMS: Terms =
    Terms { owner: 1, prefix: 1, mode: Mode::Quiet, addresses: 2, ports: 5, room: 1000 };

#[test]
fn what_a_relay_offers_depends_on_what_the_censor_blocks() {
    let all = Terms { mode: Mode::All, ..TERMS };
    assert_eq!(TERMS.endpoints(Unit::Port), 10);
    assert_eq!(TERMS.endpoints(Unit::Address), 2);
    assert_eq!(all.endpoints(Unit::Port), 2);
}

#[test]
fn a_relay_that_dies_is_left_and_nobody_blamed() {
    let mut seats = office(4, 4, 1000);
    let people = come(&mut seats, 200, 0.0);
    let risks: Vec<f64> = people.iter().map(|&person| seats.risk(person)).collect();
    seats.status(0, Status::Gone, 0.5);
    seats.settle(0.5);
    assert!(people.iter().all(|&person| relay_of(&seats, person) != 0));
    assert!(people.iter().zip(risks).all(|(&person, risk)| seats.risk(person) <= risk));
    // It comes back with nothing that anybody knows.
    let opened = seats.relays[0].opened;
    seats.status(0, Status::Working, 1.0);
    seats.fresh(0, 4);
    come(&mut seats, 5000, 1.0);
    let slots: Vec<u32> = (seats.open_endpoints())
        .filter(|(_, place)| place.relay == 0)
        .map(|(_, place)| place.slot)
        .collect();
    assert!(!slots.is_empty() && slots.iter().all(|&slot| slot >= opened));
}

#[test]
fn a_relay_that_pauses_keeps_who_sits_there_and_takes_nobody() {
    let mut seats = office(2, 8, 1000);
    let people = come(&mut seats, 400, 0.0);
    let there: Vec<_> = people.iter().filter(|&&person| relay_of(&seats, person) == 0).collect();
    seats.status(0, Status::Paused, 0.5);
    let new = come(&mut seats, 400, 0.5);
    assert!(there.iter().all(|&&person| relay_of(&seats, person) == 0));
    assert!(new.iter().all(|&person| relay_of(&seats, person) == 1));
}

#[test]
fn a_relay_that_answers_on_every_port_is_one_endpoint() {
    let mut seats = Seats::new(Rule { reserve: 0.0, ..Rule::default() }, 7);
    let one = Terms { addresses: 1, ..TERMS };
    seats.enrol(one);
    let people = come(&mut seats, 900, 0.0);
    assert!(seats.open_endpoints().count() > 1);
    seats.terms(0, Terms { mode: Mode::All, ..one }, 1.0);
    seats.settle(1.0);
    assert_eq!(seats.open_endpoints().count(), 1);
    // Whoever knew a port of it knows the address.
    let (id, _) = seats.open_endpoints().next().expect("one");
    let at = &seats.endpoints[&id];
    let knows = |person| at.members.contains(person) || at.exposed.contains(person);
    assert!(people.iter().all(knows));
    seats.terms(0, one, 2.0);
    assert_eq!(seats.relays[0].slots, 5);
    assert!(seats.is_sound());
}

#[test]
fn a_relay_with_less_room_than_people_lets_some_go() {
    let mut seats = office(1, 8, 1000);
    come(&mut seats, 1000, 0.0);
    let less = Terms { room: 300, ..seats.relays[0].terms };
    seats.terms(0, less, 1.0);
    assert!(seats.relays[0].load <= 300);
    seats.settle(1.0);
    assert!(seats.relays[0].load <= 300);
    assert!(seats.waiting() >= 700);
}

#[test]
fn not_everything_is_handed_out_in_the_first_hour() {
    let mut seats = Seats::new(Rule::default(), 7);
    for _ in 0..10 {
        seats.relay(2, 100_000);
    }
    come(&mut seats, 100_000, 0.0);
    assert_eq!(seats.waiting(), 0);
    assert!(seats.usable() >= 2);
    come(&mut seats, 1000, 1.5);
    assert_eq!(seats.usable(), 0);
}

#[test]
fn where_a_prefix_is_blocked_at_once_it_is_one_endpoint() {
    let mut seats = Seats::new(Rule { reserve: 0.0, ..Rule::default() }, 7);
    for prefix in [1, 1, 1, 2, 2] {
        seats.enrol(Terms { prefix, ..TERMS });
    }
    seats.unit(Unit::Prefix, 0.0);
    come(&mut seats, 1500, 0.0);
    assert_eq!(seats.open_endpoints().count(), 2);
}

#[test]
fn a_relay_whose_tests_all_fail_is_found_out_and_its_people_are_not_to_blame() {
    let mut seats = office(10, 4, 2000);
    let mut now = 0.0;
    let mut people = come(&mut seats, 1000, now);
    for _ in 0..60 {
        now += 1.0;
        let on_it: Vec<_> = (seats.open_endpoints())
            .filter(|(id, place)| place.relay == 3 && !seats.members(*id).is_empty())
            .map(|(id, _)| id)
            .collect();
        for endpoint in on_it {
            seats.blocked(endpoint, now);
        }
        people.extend(come(&mut seats, 100, now));
        for relay in 0..10 {
            seats.fresh(relay, 2);
        }
    }
    let foul: Vec<u32> = (0..10).filter(|&relay| seats.is_foul(relay)).collect();
    assert_eq!(foul, [3]);
    assert!(people.iter().all(|&person| seats.risk(person) < 0.5));
}

#[test]
fn an_endpoint_that_is_left_unblocked_is_used_again() {
    let mut seats = office(3, 1, 5000);
    come(&mut seats, 30, 0.0);
    come(&mut seats, 30, 0.5);
    come(&mut seats, 30, 1.0);
    assert_eq!(used(&seats, Use::Idle).len(), 0);
    // All three are taken: two groups that lived on make room for newcomers.
    let new = come(&mut seats, 30, 12.0);
    assert!(new.iter().all(|&person| seats.endpoints[&seat(&seats, person)].since >= 12.0));
    assert!(seats.relays.iter().all(|relay| relay.opened == 1));
    assert_eq!(seats.waiting(), 0);
}
