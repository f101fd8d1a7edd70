use super::cell::{B, Cell, Fleet, Habit, Hardship, Reaction};
use super::outcome::Outcome;
use super::runs::{self, Who};
use super::world::World;

const SMALL: Fleet = Fleet { people: 1_500, relays: 4, ..B };

fn cell(fleet: Fleet, share: f64, habit: Habit) -> Cell {
    let (reaction, hardship) = (Reaction::After(1.0), Hardship::None);
    Cell { name: "a test", fleet, share, habit, reaction, hardship }
}

fn simulate(cell: &Cell, who: Who, seed: u64) -> Outcome {
    runs::simulate(cell, who, seed).expect("the thread has a clock")
}

#[test]
fn a_censor_to_whom_nobody_says_anything_blocks_nothing() {
    let cell = cell(SMALL, 0.2, Habit::Silent);
    for who in [Who::Ours, Who::Uniform, Who::Nasr, Who::BridgeDb] {
        let outcome = simulate(&cell, who, 1);
        assert_eq!((outcome.burned, outcome.cuts, outcome.banned), (0, 0.0, 0.0), "{who}");
        assert!(outcome.online.iter().flatten().all(|online| *online == 1.0), "{who}");
    }
}

#[test]
fn uniform_where_everything_is_told_is_online_two_half_hours_of_three() {
    // One relay with one endpoint, and another for each that is blocked. With so many informers each is
    // told at once. Seated at t and online at t and t + 1/2, cut at t + 1, seated again at t + 3/2.
    let fleet = Fleet { people: 60, relays: 1, slots: 1, fresh: 2.0, ..B };
    let outcome = simulate(&cell(fleet, 0.5, Habit::Aggressive), Who::Uniform, 1);
    for day in 4..=5 {
        assert!((outcome.day(day) - 2.0 / 3.0).abs() < 1e-9, "{}", outcome.day(day));
    }
    // 16 a day, but for the hours before the first informer comes.
    assert!((75..=80).contains(&outcome.burned), "{}", outcome.burned);
}

#[test]
fn the_same_seed_gives_the_same_and_another_does_not() {
    for who in Who::ALL {
        let cell = cell(SMALL, 0.01, Habit::ZigZag);
        let [one, again, other] = [1, 1, 2]
            .map(|seed| Outcome { cpu: std::time::Duration::ZERO, ..simulate(&cell, who, seed) });
        assert_eq!(one, again, "{who}");
        assert_ne!(one, other, "{who}");
    }
}

#[test]
fn sleepers_harm_nobody_until_they_wake() {
    let outcome = simulate(&cell(SMALL, 0.02, Habit::Sleeper), Who::Uniform, 1);
    // They speak at hour 60, and an hour later it is blocked.
    assert!(outcome.online[..122].iter().flatten().all(|online| *online == 1.0));
    assert!(outcome.online[122].is_some_and(|online| online < 1.0));
}

#[test]
fn a_prefix_costs_its_neighbours_their_endpoints() {
    let one_by_one = cell(Fleet { relays: 6, ..SMALL }, 0.01, Habit::Aggressive);
    let at_once = Cell { hardship: Hardship::Prefixes, ..one_by_one };
    let [alone, together] = [one_by_one, at_once].map(|cell| simulate(&cell, Who::Uniform, 1));
    assert!(together.day(5) < alone.day(5), "{} {}", together.day(5), alone.day(5));
}

#[test]
fn a_relay_of_the_censors_loses_its_endpoints_without_any_informer() {
    let cell = Cell { hardship: Hardship::BlocksItsOwn, ..cell(SMALL, 0.0, Habit::Aggressive) };
    let outcome = simulate(&cell, Who::Uniform, 1);
    assert!(outcome.burned > 0 && outcome.seen > 0.0);
    let cell = Cell { hardship: Hardship::None, ..cell };
    assert_eq!(simulate(&cell, Who::Uniform, 1).burned, 0);
}

#[test]
fn travellers_are_told_from_others_only_where_there_are_any() {
    let plain = cell(SMALL, 0.01, Habit::Aggressive);
    assert_eq!(simulate(&plain, Who::Ours, 1).travellers, None);
    let abroad = Cell { hardship: Hardship::Travellers, ..plain };
    assert!(simulate(&abroad, Who::Uniform, 1).travellers.is_some());
}

#[test]
fn in_every_half_hour_everybody_is_counted_once_and_no_relay_carries_too_many() {
    for who in [Who::Ours, Who::Uniform, Who::Nasr, Who::ByHand] {
        let plain = cell(SMALL, 0.01, Habit::Aggressive);
        let cell = Cell { reaction: Reaction::About(1.0), ..plain };
        let mut office = who.office(1);
        World::new(&cell, &mut *office, 1).check(|count| {
            assert_eq!(count.online, count.seated, "{who}");
            assert_eq!(count.seated + count.waiting, count.honest, "{who}");
            assert_eq!(count.astray, 0, "{who}");
            assert!(count.fullest <= count.room, "{who}: {count:?}");
        });
    }
}
