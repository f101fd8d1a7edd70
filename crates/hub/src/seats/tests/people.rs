use super::super::blame::CERTAIN;
use super::super::state::NOWHERE;
use super::super::{Hours, Origin};
use super::{come, office, relay_of, seat};

#[test]
fn a_block_raises_the_risk_of_those_who_sat_there_and_of_nobody_else() {
    let mut seats = office(10, 8, 1000);
    let people = come(&mut seats, 100, 0.0);
    let hit = seat(&seats, people[0]);
    let (theirs, others): (Vec<_>, Vec<_>) =
        people.iter().partition(|&&person| seats.seat(person) == Some(hit));
    let before = seats.risk(people[0]);
    seats.blocked(hit, 1.0);
    assert!(theirs.iter().all(|&&person| seats.risk(person) > 1.5 * before));
    assert!(theirs.iter().all(|&&person| seats.seat(person).is_none()));
    assert!(others.iter().all(|&&person| seats.risk(person) <= before));
    assert!(others.iter().all(|&&person| seats.seat(person).is_some()));
}

#[test]
fn who_is_alone_on_a_blocked_endpoint_most_probably_informs() {
    let mut seats = office(6, 4, 10);
    let person = come(&mut seats, 1, 0.0)[0];
    for now in [1.0, 2.0, 3.0, 4.0, 5.0] {
        let before = seats.risk(person);
        seats.blocked(seat(&seats, person), now);
        assert!(seats.risk(person) > before);
        seats.settle(now);
    }
    assert!(seats.risk(person) > 0.5, "{}", seats.risk(person));
    assert!(seats.risk(person) <= CERTAIN);
}

#[test]
fn the_word_of_the_only_one_there_counts_by_a_bounded_factor_and_teaches_nothing_of_others() {
    let mut seats = office(6, 4, 10);
    let person = come(&mut seats, 1, 0.0)[0];
    let (first, learned) = (seats.risk(person), seats.learned.clone());
    for now in 1..8_u8 {
        let (now, before) = (now.into(), seats.risk(person));
        seats.blocked_perhaps(seat(&seats, person), now);
        let after = seats.risk(person);
        assert!(before < after && after < 20.0 * before, "{before}, {after}");
        seats.settle(now);
    }
    assert!(seats.risk(person) > 10.0 * first, "{}", seats.risk(person));
    assert_eq!(seats.learned.blocks, learned.blocks);
    assert!(seats.relays.iter().all(|relay| relay.foul == 0.0), "no relay is worse for it");
}

#[test]
fn an_endpoint_that_is_gone_raises_nobodys_risk() {
    let mut seats = office(4, 4, 1000);
    let people = come(&mut seats, 50, 0.0);
    let before: Vec<f64> = people.iter().map(|&person| seats.risk(person)).collect();
    let hit = seat(&seats, people[0]);
    seats.gone(hit, 0.5);
    assert!(people.iter().zip(before).all(|(&person, before)| seats.risk(person) <= before));
    seats.settle(0.5);
    assert!(people.iter().all(|&person| seats.seat(person).is_some_and(|at| at != hit)));
}

#[test]
fn of_a_prefix_that_is_blocked_one_informer_is_enough() {
    let mut together = office(8, 2, 1000);
    let people = come(&mut together, 4000, 0.0);
    let mut apart = together.clone();
    let (one, two) = (seat(&together, people[0]), seat(&together, people[3999]));
    assert_ne!(one, two);
    together.blocked_together(&[one, two], 1.0);
    apart.blocked(one, 1.0);
    apart.blocked(two, 1.0);
    assert!(together.risk(people[0]) < apart.risk(people[0]));
    assert!(together.risk(people[3999]) < apart.risk(people[3999]));
}

#[test]
fn two_owners_words_double_the_odds_once_and_one_owners_do_nothing() {
    let mut seats = office(4, 4, 1000);
    let person = come(&mut seats, 10, 0.0)[0];
    let risk = seats.risk(person);
    for now in [0.1, 0.2, 0.3] {
        seats.login(person, 0, Origin::Abroad, now);
    }
    assert_eq!(seats.risk(person), risk);
    seats.login(person, 1, Origin::Abroad, 0.4);
    let odds = |risk: f64| risk / (1.0 - risk);
    assert!((odds(seats.risk(person)) / odds(risk) - 2.0).abs() < 1e-3);
    let raised = seats.risk(person);
    for relay in 0..4 {
        seats.login(person, relay, Origin::Abroad, 0.5);
    }
    assert_eq!(seats.risk(person), raised);
}

#[test]
fn two_relays_of_one_owner_are_one_witness() {
    let mut seats = office(0, 0, 0);
    for prefix in 0..2 {
        seats.enrol(super::super::Terms {
            owner: 5,
            prefix,
            mode: super::super::Mode::Quiet,
            addresses: 1,
            ports: 4,
            room: 10,
        });
    }
    let person = come(&mut seats, 1, 0.0)[0];
    let risk = seats.risk(person);
    seats.login(person, 0, Origin::Abroad, 0.1);
    seats.login(person, 1, Origin::Abroad, 0.2);
    assert_eq!(seats.risk(person), risk);
}

#[test]
fn a_preview_says_nothing_of_anybody() {
    let mut seats = office(4, 4, 1000);
    let person = come(&mut seats, 10, 0.0)[0];
    let before = seats.clone();
    for relay in 0..4 {
        seats.login(person, relay, Origin::Preview, 5.0);
    }
    assert!(seats == before);
}

#[test]
fn who_was_not_heard_of_for_a_week_is_forgotten_and_their_place_used_again() {
    let mut seats = office(4, 4, 1000);
    let people = come(&mut seats, 10, 0.0);
    seats.seen(people[3], 100.0);
    seats.leave(people[3]);
    seats.login(people[4], 0, Origin::Home, 100.0);
    assert_eq!(seats.expire(50.0), [people[3]]);
    let left = seats.expire(7.0 * 24.0 + 1.0);
    assert_eq!(left.len(), 8);
    assert!(!left.contains(&people[4]));
    assert!(left.iter().all(|&person| seats.seat(person).is_none()));
    let again: Vec<_> = (0..9).map(|_| seats.arrive(200.0)).collect();
    assert!(again.iter().all(|person| people.contains(person)));
    assert!(!again.contains(&people[4]));
    assert!(seats.is_sound());
}

#[test]
fn a_spare_is_in_another_prefix_and_counts_as_known() {
    let mut seats = office(6, 8, 1000);
    let people = come(&mut seats, 60, 0.0);
    let shown = people.iter().find_map(|&person| seats.spare(person, 0.1).map(|at| (person, at)));
    let (person, spare) = shown.expect("endpoints to spare");
    let on = seats.place(spare).expect("an open endpoint").relay;
    assert_ne!(on, relay_of(&seats, person));
    assert_eq!(seats.spare(person, 0.2), Some(spare));
    let risk = seats.risk(person);
    seats.blocked(spare, 1.0);
    assert!(seats.risk(person) > risk);
    assert!(seats.seat(person).is_some());
}

#[test]
fn what_survivors_sit_on_is_no_spare_for_newcomers() {
    let mut seats = office(6, 8, 1000);
    come(&mut seats, 60, 0.0);
    let newcomer = come(&mut seats, 1, 20.0)[0];
    let own = seat(&seats, newcomer);
    for _ in 0..50 {
        let spare = seats.spare(newcomer, 20.0);
        assert!(spare.is_none_or(|at| at != own && seats.endpoints[&at].since >= 20.0));
    }
}

#[test]
fn a_person_takes_28_bytes() {
    assert!(size_of::<super::super::state::Person>() <= 28);
}

#[test]
fn how_long_informers_wait_is_learned_from_blocks() {
    for wait in [1.0, 6.0f32] {
        let mut seats = office(20, 16, 5000);
        let mut now: Hours = 0.0;
        for _ in 0..12 {
            let people = come(&mut seats, 2000, now);
            let mut hit: Vec<_> = people.iter().map(|&person| seat(&seats, person)).collect();
            hit.sort_unstable();
            hit.dedup();
            hit.truncate(hit.len() / 2);
            now += wait;
            seats.settle(now - 0.1);
            for endpoint in hit {
                seats.blocked(endpoint, now);
            }
            for relay in 0..20 {
                seats.fresh(relay, 16);
            }
        }
        let learned = seats.learned.after(0.5);
        assert!((0.7 * wait..1.3 * wait).contains(&learned), "{learned} h for {wait} h");
    }
}

#[test]
fn whoever_leaves_in_time_and_finds_no_other_seat_stays() {
    let mut seats = office(2, 4, 1000);
    let people = come(&mut seats, 300, 0.0);
    let (id, there) = (seat(&seats, people[0]), seats.members(seat(&seats, people[0])).to_vec());
    let elsewhere = seats.open_endpoints().map(|(id, _)| id).find(|other| *other != id);
    let elsewhere = elsewhere.expect("there are several");
    // Its people leave; half of them are seated elsewhere.
    let closed = seats.close(id).expect("it was open");
    for &person in &there {
        seats.people[person as usize].at = NOWHERE;
    }
    let (moved, left) = there.split_at(there.len() / 2);
    seats.sit(moved, elsewhere, 1.0);
    seats.waiting.extend_from_slice(left);
    assert!(seats.stay(vec![(id, closed)]));
    assert!(!left.is_empty() && left.iter().all(|&person| seat(&seats, person) == id));
    assert!(moved.iter().all(|&person| seat(&seats, person) == elsewhere));
    assert!(moved.iter().all(|person| seats.endpoints[&id].exposed.contains(person)));
    assert!(seats.waiting() == 0 && seats.is_sound());
}
