//! What holds whatever happens.

use proptest::prelude::*;

use super::super::people::FILLS;
use super::super::state::{NOWHERE, Use};
use super::super::{
    EndpointId, Event, Mode, Move, Origin, Outcome, PersonId, Rule, Seats, Status, Terms, Unit,
};

/// Something that happens, by numbers that are taken around.
#[derive(Clone, Debug)]
enum Step {
    Enrol { addresses: u32, ports: u32, room: u32, is_all: bool },
    Fresh { relay: u32, count: u32 },
    Status { relay: u32, what: u8 },
    Terms { relay: u32, ports: u32, room: u32, is_all: bool },
    Unit { what: u8 },
    Arrive { people: u16 },
    Login { person: u32, relay: u32, is_abroad: bool },
    Leave { person: u32 },
    Spare { person: u32 },
    Blocked { which: u32, more: bool },
    Gone { which: u32 },
    Pass { quarters: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (1u32..3, 1u32..6, 0u32..200, any::<bool>()).prop_map(
            |(addresses, ports, room, is_all)| Step::Enrol { addresses, ports, room, is_all }),
        3 => (any::<u32>(), 0u32..4).prop_map(|(relay, count)| Step::Fresh { relay, count }),
        1 => (any::<u32>(), 0u8..3).prop_map(|(relay, what)| Step::Status { relay, what }),
        1 => (any::<u32>(), 0u32..6, 0u32..200, any::<bool>()).prop_map(
            |(relay, ports, room, is_all)| Step::Terms { relay, ports, room, is_all }),
        1 => (0u8..3).prop_map(|what| Step::Unit { what }),
        5 => (1u16..60).prop_map(|people| Step::Arrive { people }),
        3 => (any::<u32>(), any::<u32>(), any::<bool>()).prop_map(
            |(person, relay, is_abroad)| Step::Login { person, relay, is_abroad }),
        1 => any::<u32>().prop_map(|person| Step::Leave { person }),
        3 => any::<u32>().prop_map(|person| Step::Spare { person }),
        5 => (any::<u32>(), any::<bool>()).prop_map(|(which, more)| Step::Blocked { which, more }),
        1 => any::<u32>().prop_map(|which| Step::Gone { which }),
        10 => (0u8..40).prop_map(|quarters| Step::Pass { quarters }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..60)
}

/// Two relays to begin with.
fn begin() -> Vec<Event> {
    let terms = |prefix| {
        let mode = Mode::Quiet;
        Terms { owner: prefix, prefix: prefix.into(), mode, addresses: 1, ports: 4, room: 150 }
    };
    vec![Event::Enrol { terms: terms(0) }, Event::Enrol { terms: terms(1) }]
}

/// What a step means for these seats at this time.
fn events(step: &Step, seats: &Seats, now: &mut f32) -> Vec<Event> {
    let relays = u32::try_from(seats.relays.len()).unwrap_or(1);
    let people = u32::try_from(seats.people.len()).unwrap_or(0).max(1);
    let open: Vec<EndpointId> = seats.open_endpoints().map(|(id, _)| id).collect();
    let pick = |which: u32| open.get(which as usize % open.len().max(1)).copied().unwrap_or(which);
    let terms = |owner: u32, addresses, ports, room, is_all| Terms {
        owner: u16::try_from(owner % 5).unwrap_or(0),
        prefix: owner % 7,
        mode: if is_all { Mode::All } else { Mode::Quiet },
        addresses,
        ports,
        room,
    };
    let now_then = *now;
    let event = match *step {
        Step::Enrol { addresses, ports, room, is_all } => {
            Event::Enrol { terms: terms(relays, addresses, ports, room, is_all) }
        }
        Step::Fresh { relay, count } => Event::Fresh { relay: relay % relays, count },
        Step::Status { relay, what } => {
            let status = [Status::Working, Status::Paused, Status::Gone][usize::from(what)];
            Event::Status { relay: relay % relays, status, now: now_then }
        }
        Step::Terms { relay, ports, room, is_all } => Event::Terms {
            relay: relay % relays,
            terms: terms(relay % relays, 1, ports, room, is_all),
            now: now_then,
        },
        Step::Unit { what } => {
            let unit = [Unit::Port, Unit::Address, Unit::Prefix][usize::from(what)];
            Event::Unit { unit, now: now_then }
        }
        Step::Arrive { people } => {
            return vec![Event::Arrive { now: now_then }; people.into()];
        }
        Step::Login { person, relay, is_abroad } => Event::Login {
            person: person % people,
            relay: relay % relays,
            origin: if is_abroad { Origin::Abroad } else { Origin::Home },
            now: now_then,
        },
        Step::Leave { person } => Event::Leave { person: person % people },
        Step::Spare { person } => Event::Spare { person: person % people, now: now_then },
        Step::Blocked { which, more } => {
            let endpoint = pick(which);
            if seats.members(endpoint).len() == 1 {
                return vec![Event::BlockedPerhaps { endpoint, now: now_then }];
            }
            let mut endpoints = vec![endpoint];
            if more {
                endpoints.push(pick(which.wrapping_add(1)));
            }
            Event::Blocked { endpoints, now: now_then }
        }
        Step::Gone { which } => Event::Gone { endpoint: pick(which), now: now_then },
        Step::Pass { quarters } => {
            *now += f32::from(quarters) * 0.25;
            return vec![Event::Settle { now: *now }, Event::Expire { now: *now }];
        }
    };
    vec![event]
}

/// All that happens, as events.
fn journal(steps: &[Step], seed: u64) -> Vec<Event> {
    let mut seats = Seats::new(Rule::default(), seed);
    let (mut all, mut now) = (begin(), 0.0);
    for event in &all {
        seats.apply(event);
    }
    for step in steps {
        for event in events(step, &seats, &mut now) {
            seats.apply(&event);
            all.push(event);
        }
    }
    all
}

fn moves(outcome: Outcome) -> Vec<Move> {
    if let Outcome::Moves(moves) = outcome { moves } else { Vec::new() }
}

fn snapshot(seats: &Seats) -> Vec<u8> {
    let mut bytes = Vec::new();
    seats.snapshot(&mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everybody_is_in_one_place_and_no_relay_carries_more_than_it_can(
        steps in steps(), seed: u64,
    ) {
        let mut seats = Seats::new(Rule::default(), seed);
        for event in journal(&steps, seed) {
            seats.apply(&event);
            prop_assert!(seats.is_sound(), "after {event:?}");
            for relay in &seats.relays {
                prop_assert!(relay.load <= relay.terms.room, "after {event:?}");
                prop_assert!(relay.live <= relay.slots || relay.status == Status::Gone);
            }
        }
    }

    #[test]
    fn risk_and_what_is_learned_stay_in_bounds(steps in steps(), seed: u64) {
        let mut seats = Seats::new(Rule::default(), seed);
        for event in journal(&steps, seed) {
            seats.apply(&event);
            for person in &seats.people {
                prop_assert!((0.0..=0.9991).contains(&person.risk), "after {event:?}");
            }
            prop_assert!((1e-5..=0.3).contains(&seats.share()));
            let quiet: Vec<f64> =
                [0.0, 0.3, 1.0, 5.0, 13.0, 99.0].map(|hours| seats.learned.quiet(hours)).into();
            prop_assert!(quiet.is_sorted_by(|one, two| one >= two));
            prop_assert!(quiet.iter().all(|quiet| (0.0299..=1.0).contains(quiet)));
        }
    }

    #[test]
    fn nobody_waits_while_there_is_room(steps in steps(), seed: u64) {
        let mut seats = Seats::new(Rule { reserve: 0.0, ..Rule::default() }, seed);
        for event in journal(&steps, seed) {
            seats.apply(&event);
            if !matches!(event, Event::Settle { .. }) || seats.waiting() == 0 {
                continue;
            }
            // Relays in one prefix are one endpoint where prefixes are blocked.
            prop_assert!(seats.usable() == 0 || seats.supply.unit == Unit::Prefix);
            for at in seats.endpoints.values() {
                let is_open = matches!(at.is_for, Use::Pool | Use::Last);
                let space = seats.relays[at.place.relay as usize].space();
                prop_assert!(!is_open || space == 0);
            }
        }
    }

    #[test]
    fn newcomers_never_sit_with_survivors(steps in steps(), seed: u64) {
        let mut seats = Seats::new(Rule::default(), seed);
        for event in journal(&steps, seed) {
            let before = seats.clone();
            let Event::Settle { now } = event else {
                seats.apply(&event);
                continue;
            };
            let moves = moves(seats.apply(&event));
            let is_newcomer = |person: PersonId| {
                let person = before.people[person as usize];
                !person.is_known && person.at == NOWHERE
            };
            for Move { person, to } in moves {
                let at = &seats.endpoints[&to];
                if !is_newcomer(person) || at.is_for != Use::Test {
                    continue;
                }
                prop_assert!(now - at.since <= FILLS);
                let sat = |id: &PersonId| {
                    is_newcomer(*id) || before.people[*id as usize].at == to
                };
                prop_assert!(at.members.iter().all(sat));
            }
        }
    }

    #[test]
    fn the_same_seed_and_events_make_the_same_moves(steps in steps(), seed: u64) {
        let journal = journal(&steps, seed);
        let mut one = Seats::new(Rule::default(), seed);
        let mut two = Seats::new(Rule::default(), seed);
        for event in &journal {
            prop_assert_eq!(one.apply(event), two.apply(event));
        }
        prop_assert!(one == two);
    }

    #[test]
    fn a_snapshot_goes_on_as_if_nothing_had_happened(steps in steps(), seed: u64, at: usize) {
        let journal = journal(&steps, seed);
        let (first, rest) = journal.split_at(at % (journal.len() + 1));
        let mut seats = Seats::new(Rule::default(), seed);
        for event in first {
            seats.apply(event);
        }
        let mut again = Seats::restore(&snapshot(&seats)).expect("its own bytes");
        prop_assert!(again == seats);
        for event in rest {
            let event = Event::from_bytes(&event.to_bytes()).expect("its own bytes");
            prop_assert_eq!(again.apply(&event), seats.apply(&event));
        }
        prop_assert!(again == seats);
    }

    #[test]
    fn a_lone_owners_word_changes_nobodys_seat(steps in steps(), seed: u64, liar in 0u16..5) {
        let mut honest = Seats::new(Rule::default(), seed);
        let mut lied = Seats::new(Rule::default(), seed);
        for event in journal(&steps, seed) {
            // Without what anybody else says.
            let event = match event {
                Event::Login { person, relay, now, .. } => {
                    Event::Login { person, relay, now, origin: Origin::Home }
                }
                event => event,
            };
            let theirs: Vec<u32> = (0..).zip(&lied.relays)
                .filter(|(_, relay)| relay.terms.owner == liar)
                .map(|(id, _)| id)
                .collect();
            if let Event::Settle { now } = event {
                for person in 0..u32::try_from(lied.people.len()).unwrap_or(0) {
                    for &relay in &theirs {
                        let seen = lied.people[person as usize].seen;
                        let origin = Origin::Abroad;
                        lied.apply(&Event::Login { person, relay, origin, now: seen.min(now) });
                    }
                }
            }
            prop_assert_eq!(honest.apply(&event), lied.apply(&event));
        }
        for (honest, lied) in honest.people.iter().zip(&lied.people) {
            prop_assert_eq!((honest.risk, honest.at), (lied.risk, lied.at));
        }
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_refused(
        steps in steps(), seed: u64, cut: usize, bytes: Vec<u8>,
    ) {
        let mut seats = Seats::new(Rule::default(), seed);
        for event in journal(&steps, seed) {
            seats.apply(&event);
        }
        let whole = snapshot(&seats);
        prop_assert!(Seats::restore(&whole[..cut % whole.len()]).is_none());
        // Whatever a flipped byte makes of it, it is refused or can be worked with.
        let mut flipped = whole.clone();
        let place = cut % whole.len();
        flipped[place] ^= 1 << (cut % 8);
        if let Some(odd) = Seats::restore(&flipped) {
            prop_assert!(odd.is_sound());
        }
        prop_assert!(Seats::restore(&bytes).is_none());
        if let Some(event) = Event::from_bytes(&bytes) {
            prop_assert_eq!(event.to_bytes(), bytes);
        }
    }
}
