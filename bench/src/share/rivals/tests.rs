use hub::seats::{EndpointId, Move, PersonId};

use super::*;
use crate::share::office::{Office, Relay};

const HOUR: f32 = 1.0;

/// Relays with so many endpoints each, and people who have come.
fn opened(mut office: impl Office, relays: u32, slots: u32, people: usize) -> impl Office {
    for prefix in 0..relays {
        office.relay(Relay { slots, room: 10_000, prefix });
    }
    for _ in 0..people {
        office.arrive(0.0);
    }
    office
}

/// Who was given an endpoint.
fn of(moves: &[Move], endpoint: EndpointId) -> Vec<PersonId> {
    moves.iter().filter(|to| to.to == endpoint).map(|to| to.person).collect()
}

/// Which were given, without those that were given twice.
fn given(moves: &[Move]) -> Vec<EndpointId> {
    let mut all: Vec<EndpointId> = moves.iter().map(|to| to.to).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn uniform_fills_the_emptiest_and_a_blocked_relay_opens_another() {
    let mut office = opened(Uniform::new(1), 2, 1, 10);
    let moves = office.settle(0.0);
    let (cut, others) = (of(&moves, 0), of(&moves, 1));
    assert_eq!((cut.len(), others.len()), (5, 5));
    office.blocked(&[0], HOUR);
    assert_eq!((office.relay_of(0), office.relay_of(1)), (None, Some(1)));
    office.fresh(0, 1);
    let moves = office.settle(HOUR);
    let mut back = of(&moves, 2);
    back.sort_unstable();
    let mut cut = cut;
    cut.sort_unstable();
    assert_eq!(back, cut, "all who were cut, on the new one, and nobody else");
}

#[test]
fn one_answer_by_hand_serves_a_hundred_and_fifty_and_relays_change_once_a_day() {
    let mut office = opened(ByHand::new(1), 1, 1, 10_000);
    // 2,000 answers a day are 41 in half an hour, and two thirds of one.
    assert_eq!(office.settle(0.0).len(), 41 * 150);
    assert_eq!(office.settle(0.5).len(), 10_000 - 41 * 150);
    office.blocked(&[0], HOUR);
    office.fresh(0, 100);
    assert!(office.settle(23.5).is_empty(), "nobody has found the time");
    assert!(!office.settle(24.0).is_empty());
}

#[test]
fn bridgedb_says_the_same_for_three_hours_and_then_something_else() {
    let mut office = opened(BridgeDb::new(1), 1, 200, 50);
    let first = office.settle(0.0);
    assert_eq!(first.len(), 150, "three each of a large ring");
    let told = office.told(7);
    assert_eq!(told, first.iter().filter(|to| to.person == 7).map(|to| to.to).collect::<Vec<_>>());
    office.blocked(&told, HOUR);
    office.fresh(0, 200);
    assert!(
        office.settle(2.5).iter().all(|to| to.person != 7),
        "the same three, and they are blocked"
    );
    let next = office.settle(3.0);
    assert!(next.iter().any(|to| to.person == 7));
    assert_ne!(office.told(7), told);
    for (ring, answer) in [(19, 1), (20, 2), (99, 2), (100, 3)] {
        let mut office = opened(BridgeDb::new(1), 1, ring, 1);
        assert_eq!(office.settle(0.0).len(), answer, "of a ring of {ring}");
    }
}

#[test]
fn lox_gives_a_bridge_to_ten_and_a_hundred_bridges_a_day() {
    let mut office = opened(Lox::default(), 200, 1, 3_000);
    let first = office.settle(0.0);
    assert_eq!(first.len(), 1_000);
    assert!(given(&first).iter().all(|&bridge| of(&first, bridge).len() == 10));
    assert!(office.settle(23.5).is_empty());
    office.blocked(&[0], 23.5);
    let second = office.settle(24.0);
    assert_eq!(second.len(), 1_000);
    assert!(
        !second.iter().any(|to| of(&first, 0).contains(&to.person)),
        "they are last in the queue"
    );
}

#[test]
fn salmon_bans_who_was_on_four_blocked_servers_with_nine_others() {
    let mut office = opened(Salmon::default(), 1, 1, 10);
    for block in 1..=4 {
        let moves = office.settle(0.0);
        assert_eq!(moves.len(), 10);
        assert!(!office.has_refused(0), "before block {block}: 1 - 0.9^3 is less than a third");
        office.blocked(&given(&moves), 0.5);
        office.fresh(0, 1);
    }
    assert!((0..10).all(|person| office.has_refused(person)), "1 - 0.9^4 is more");
    assert!(office.settle(HOUR).is_empty());
}

#[test]
fn salmon_never_seats_newcomers_with_those_of_a_higher_level() {
    let mut office = opened(Salmon::default(), 2, 1, 5);
    assert_eq!(given(&office.settle(0.0)).len(), 1);
    office.arrive(48.0);
    assert_eq!(given(&office.settle(48.0)), [1]);
}

#[test]
fn rbridge_invites_after_a_day_of_three_bridges_and_drops_who_lost_all_before() {
    let mut office = opened(RBridge::new(1), 3, 100, 1_100);
    let first = office.settle(0.0);
    assert!(first.iter().all(|to| to.person < 1_000), "those to begin with");
    let bridges: Vec<EndpointId> =
        first.iter().filter(|to| to.person == 0).map(|to| to.to).collect();
    office.blocked(&bridges, 0.5);
    office.settle(0.5);
    assert!(office.has_refused(0), "nothing was earned that would pay for another");
    let invited = (2..=46).map(|step| office.settle(step as f32 * 0.5));
    assert_eq!(invited.flatten().filter(|to| to.person >= 1_000).count(), 0);
    let invited: Vec<Move> = (47..=60).flat_map(|step| office.settle(step as f32 * 0.5)).collect();
    assert!(invited.iter().any(|to| to.person >= 1_000));
}

#[test]
fn nasr_gives_the_best_person_the_endpoint_that_most_know_and_refuses_the_worst() {
    let mut office = opened(Nasr::new(1), 1, 3, 9);
    let first = office.settle(0.0);
    assert_eq!(given(&first).len(), 1, "all want the proxy that most know");
    office.blocked(&given(&first), HOUR);
    office.fresh(0, 1);
    let mut moves = office.settle(HOUR);
    assert_eq!(given(&moves).len(), 1);
    // An hour online earned 5 - 1, and block and request cost 1 each. Blocks at once earn nothing: 251 of
    // them, with their requests, are just below 500.
    for block in 1..=252 {
        assert!(!office.has_refused(0), "before block {block}");
        office.blocked(&given(&moves), HOUR);
        office.fresh(0, 1);
        moves = office.settle(HOUR);
    }
    assert!(office.has_refused(0));
}
