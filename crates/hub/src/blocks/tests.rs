use super::replay::{Fault, Fleet, NETWORKS, Size, address};
use super::*;
use crate::seats::EndpointId;

const HOUR: Seconds = 3_600;
/// Courses of chance.
const COURSES: u64 = 8;

/// Relays of as many owners, each with an endpoint of every rate, after a day without a fault, at eight
/// in the evening: as many come then as come on average.
fn fleet(relays: usize, rates: &[f64]) -> Fleet {
    let mut fleet = Fleet::new(&Size { relays, owned: 1, rates: rates.to_vec() }, 7);
    fleet.run(20 * HOUR);
    fleet
}

/// What is said of a fault within so long, in one course of chance.
fn told(fleet: &Fleet, seed: u64, fault: Fault, within: Seconds) -> Vec<Verdict> {
    let mut fleet = fleet.clone();
    fleet.reseed(seed);
    fleet.run(600);
    fleet.faults.push(fault);
    fleet.run(within)
}

/// How long it takes until an endpoint is retired that was blocked, where so many connections a minute
/// are expected at least; `None` if it is not. Chances to look that have fewer are left out.
fn delays(
    fleet: &Fleet,
    endpoint: EndpointId,
    least: f64,
    within: Seconds,
    courses: u64,
) -> Vec<Option<Seconds>> {
    let course = |seed| {
        let mut fleet = fleet.clone();
        fleet.reseed(seed);
        fleet.run(600);
        let began = fleet.now();
        let is_enough = fleet.blocks.expected(endpoint).is_some_and(|expected| expected >= least);
        fleet.faults.push(Fault::Endpoint(endpoint as usize, None));
        is_enough.then(|| {
            let mut said = fleet.run(within).into_iter();
            let of = said.find(|verdict| verdict.endpoints == [endpoint]);
            of.map(|verdict| verdict.noticed - began)
        })
    };
    (0..courses).filter_map(course).collect()
}

#[test]
fn where_thirty_a_minute_are_expected_a_block_is_noticed_within_a_minute() {
    let delays = delays(&fleet(12, &[40.0, 3.0]), 0, 30.0, 60, 300);
    let late = delays.iter().filter(|delay| delay.is_none()).count();
    assert!(delays.len() >= 150 && late * 100 <= delays.len(), "{late} of {}", delays.len());
}

#[test]
fn where_one_a_minute_is_expected_it_takes_some_minutes() {
    let delays = delays(&fleet(12, &[12.0, 1.5]), 1, 1.0, HOUR, 20);
    assert!(delays.len() >= 5);
    for delay in delays {
        let delay = delay.expect("it is noticed");
        assert!((60..=1_800).contains(&delay), "{delay} s");
    }
}

#[test]
fn a_fortnight_without_a_block_has_fewer_false_alarms_than_one_an_endpoint_and_week() {
    let mut fleet = Fleet::new(&Size { relays: 5, owned: 1, rates: vec![30.0, 2.0] }, 3);
    let mut alarms = 0;
    for _ in 0..14 * 24 {
        for verdict in fleet.run(HOUR) {
            alarms += verdict.endpoints.len();
            fleet.replace(&verdict);
        }
    }
    assert!(alarms <= 10 * 2, "{alarms} false alarms");
}

#[test]
fn each_cause_is_told_from_the_others() {
    let fleet = fleet(12, &[20.0, 8.0, 8.0]);
    let all: Vec<EndpointId> = (3..6).collect();
    for seed in 0..COURSES {
        let causes = |fault| told(&fleet, seed, fault, 120);
        let first = |fault| causes(fault).swap_remove(0);
        let blocked = first(Fault::Endpoint(3, None));
        assert_eq!((blocked.cause, blocked.network), (Cause::Endpoint(3), None));
        let address = first(Fault::Address(1));
        assert_eq!(address.cause, Cause::Address(self::address(1)));
        // One of them may have been retired by chance before.
        assert!(address.endpoints.len() > 1 && address.endpoints.iter().all(|id| all.contains(id)));
        let prefix = first(Fault::Prefix(1));
        assert_eq!(prefix.cause, Cause::Prefix(Prefix::of(self::address(1))));
        assert!(prefix.is_block() && prefix.endpoints.len() >= 5);
        let dead = first(Fault::Death(1));
        assert_eq!((dead.cause, dead.is_block()), (Cause::Died(1), false));
        let (network, _) = NETWORKS[1];
        for (fault, cause) in [
            (Fault::Provider(1), Cause::Provider(network)),
            (Fault::Country, Cause::Country),
            (Fault::Deaf, Cause::Hub),
        ] {
            let said = causes(fault);
            let [one] = &said[..] else { panic!("{fault:?}: {said:?}") };
            assert_eq!((one.cause, &one.endpoints[..]), (cause, &[][..]));
        }
    }
}

#[test]
fn a_block_in_one_network_alone_is_of_that_network() {
    let fleet = fleet(12, &[30.0]);
    for seed in 0..COURSES {
        let said = told(&fleet, seed, Fault::Endpoint(3, Some(0)), 300).swap_remove(0);
        assert_eq!((said.cause, said.network), (Cause::Endpoint(3), Some(NETWORKS[0].0)));
    }
}

#[test]
fn a_lone_relay_that_lies_retires_its_own_endpoints_and_marks_nobody() {
    let fleet = fleet(12, &[20.0, 8.0, 8.0]);
    let mut others = 0;
    for seed in 0..COURSES {
        for fault in [Fault::Lie(1), Fault::Boast(1)] {
            for said in told(&fleet, seed, fault, HOUR / 4) {
                assert!(!said.is_block(), "{said:?}");
                others += said.endpoints.iter().filter(|id| !(3..6).contains(*id)).count();
            }
        }
    }
    assert!(others <= 2, "{others} of others were retired, where chance makes one of it");
}

#[test]
fn a_relay_cannot_speak_of_anothers_endpoints() {
    let mut fleet = fleet(4, &[20.0]);
    let before = format!("{:?}", fleet.blocks.endpoints);
    let counts = [Count { endpoint: 0, network: None, connected: 1_000_000 }];
    let now = fleet.now();
    fleet.blocks.heartbeat(&Heartbeat { relay: 1, span: TICK, counts: &counts }, now);
    assert_eq!(format!("{:?}", fleet.blocks.endpoints), before);
}

#[test]
fn people_who_come_around_make_a_relays_word_a_block() {
    let mut fleet = fleet(12, &[30.0]);
    fleet.has_doors = false;
    let seen = |fleet: &Fleet| told(fleet, 1, Fault::Endpoint(3, None), 180);
    let alone = seen(&fleet);
    assert!(alone.len() == 1 && !alone[0].is_block(), "{alone:?}");
    fleet.has_doors = true;
    assert!(seen(&fleet).iter().any(Verdict::is_block));
}

#[test]
fn one_person_who_comes_around_often_is_one() {
    let mut fleet = fleet(4, &[20.0]);
    let now = fleet.now();
    (0..1_000).for_each(|_| fleet.blocks.met(0, 7, Door::Around, None, now));
    assert_eq!(fleet.blocks.endpoints[&0].around(now - 1, None), 1);
}

#[test]
fn what_is_held_is_bounded() {
    let mut blocks = Blocks::new();
    blocks.relay(0, 0, 1).expect("room");
    blocks.open(0, 0, address(0)).expect("room");
    for network in 0..100_000 {
        let counts = [Count { endpoint: 0, network: Some(network), connected: 1 }];
        blocks.heartbeat(&Heartbeat { relay: 0, span: TICK, counts: &counts }, 1);
        blocks.met(0, network, Door::Around, Some(network), 1);
    }
    let Blocks { fields, networks, told, endpoints, .. } = &blocks;
    assert_eq!((fields.len(), networks.len(), told.len()), (1, 0, 256));
    assert!(endpoints[&0].people.len() <= 16 && endpoints[&0].lanes.len() <= 8);
}

#[test]
fn where_the_hub_has_seated_half_of_them_elsewhere_half_is_expected() {
    let mut fleet = fleet(4, &[20.0]);
    let level = |fleet: &Fleet| fleet.blocks.endpoints[&0].lanes[0].streams[0].level.mean();
    fleet.blocks.seated(0, 100);
    let before = level(&fleet).expect("a level");
    fleet.blocks.seated(0, 50);
    assert!((level(&fleet).expect("a level") - before / 2.0).abs() < 1e-9);
    fleet.blocks.seated(0, 100);
    assert!(
        (level(&fleet).expect("a level") - before / 2.0).abs() < 1e-9,
        "they come when they come"
    );
}

#[test]
fn the_same_events_give_the_same_verdicts() {
    let fleet = fleet(12, &[20.0, 5.0]);
    let said = || told(&fleet, 5, Fault::Prefix(2), 600);
    assert_eq!(said(), said());
}

#[test]
fn a_verdict_says_what_happened_and_what_to_do() {
    let verdict = Verdict {
        cause: Cause::Address([116, 0, 0, 7].into()),
        endpoints: vec![1, 2],
        network: Some(9198),
        onset: 100,
        noticed: 140,
        ln_ratio: 10_000_f64.ln(),
        word: Word::Relay,
    };
    assert_eq!(
        verdict.to_string(),
        "116.0.0.7 is blocked on all its ports in AS9198; noticed after 40 s, odds 10^4; only its relay \
         says so, and nobody is blamed"
    );
    assert!(verdict.for_volunteer().contains("nothing is wrong with it"));
}
