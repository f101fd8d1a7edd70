use proptest::prelude::*;
use wire::derive::{Person, RelayId};
use wire::echo::BundleId;
use wire::fleet::{Capacity, Face, Posture, Standing};
use wire::tally::Day;

use super::event::Scope;
use super::{Batch, DoorId, Event, Moment, Office, Outcome, Why};
use crate::blocks::Word;

const HOUR: u64 = 3_600_000;
const START: Moment = Moment(1_700_000_000_000);
/// How many relays join before anything else happens.
const RELAYS: u16 = 3;

fn capacity(people: u32) -> Capacity {
    Capacity { people, monthly: 0, can_open: true }
}

fn face(port: u16) -> Face {
    Face { port, ..Face::default() }
}

fn asked(person: u64) -> Event {
    Event::Asked { person: Person(person), door: DoorId::OFFICE, request: person, network: 0 }
}

fn at(hours: u64, events: Vec<Event>) -> Batch {
    Batch { moment: Moment(START.0 + hours * HOUR), events }
}

/// An office with some relays that answer.
fn open(people: u32) -> Office {
    let mut office = Office::new(START, 7);
    for number in 0..RELAYS {
        let [token, attempt] = [[u8::try_from(number).expect("few"); 16], [9; 16]];
        let joins = Event::Enrolled {
            token,
            attempt,
            relay: RelayId(token),
            address: [20, 0, token[0], 1].into(),
            capacity: capacity(people),
            face: face(443),
        };
        let invited = Event::Invited { token, owner: String::new() };
        let reached = Event::Reached { relay: number, is_reached: true };
        let outcomes = office.apply(&at(0, vec![invited, joins, reached]));
        assert_eq!(outcomes[1], Outcome::Joined(number));
    }
    office
}

fn places(office: &Office, person: u64) -> Vec<(RelayId, u16)> {
    let seated = office.person(Person(person)).expect("is known");
    seated.places.iter().map(|(relay, slot)| (relay.id, *slot)).collect()
}

fn anything() -> impl Strategy<Value = Event> {
    let person = || (0..40u64).prop_map(Person);
    let relay = || 0..RELAYS + 1;
    prop_oneof![
        6 => (person(), 0..3u16, 0..60u64, 0..3u32).prop_map(|(person, door, request, network)| {
            Event::Asked { person, door: DoorId(door), request, network }
        }),
        1 => person().prop_map(|person| Event::Heard { person }),
        2 => person().prop_map(|person| Event::Spared { person }),
        1 => ("[a-c]", any::<[u8; 16]>()).prop_map(|(name, token)| Event::Door { name, token }),
        1 => (any::<[u8; 16]>(), "[a-c]?")
            .prop_map(|(token, owner)| Event::Invited { token, owner }),
        1 => (relay(), 0..4u8, any::<[u8; 4]>(), 0..99u32).prop_map(
            |(relay, standing, address, people)| Event::Booked {
                relay,
                standing: Standing::of(standing).expect("one of four"),
                address: address.into(),
                capacity: capacity(people),
                face: face(443),
            }
        ),
        1 => (relay(), any::<bool>())
            .prop_map(|(relay, is_reached)| Event::Reached { relay, is_reached }),
        1 => (relay(), any::<bool>())
            .prop_map(|(relay, is_vouched)| Event::Vouched { relay, is_vouched }),
        1 => (relay(), any::<bool>()).prop_map(|(relay, is_all)| Event::Posture {
            relay,
            posture: if is_all { Posture::All } else { Posture::Quiet },
        }),
        2 => (prop::collection::vec(0..30u32, 0..4), any::<bool>(), 0..3usize, "[a-z ]{0,20}").prop_map(
            |(endpoints, is_wide, word, cause)| Event::Blocked {
                word: [Word::Relay, Word::One, Word::Several][word],
                endpoints,
                scope: if is_wide { Scope::Addresses } else { Scope::Ports },
                cause,
            }
        ),
        1 => relay().prop_map(|relay| Event::Gone { relay }),
        1 => (relay(), prop::collection::vec(person(), 0..4))
            .prop_map(|(relay, people)| Event::Abroad { relay, people }),
        1 => (person(), any::<[u8; 16]>(), 19_600..19_800i64).prop_map(|(person, id, day)| {
            Event::Bundled { person, bundle: BundleId(id), expires: Day(day) }
        }),
        2 => Just(Event::Tick),
    ]
}

fn days() -> impl Strategy<Value = Vec<Batch>> {
    let batch = (0..9 * HOUR, prop::collection::vec(anything(), 0..8));
    prop::collection::vec(batch, 0..60).prop_map(|steps| {
        let mut moment = START;
        let step = |(passes, events): (u64, Vec<Event>)| {
            moment.0 += passes;
            Batch { moment, events }
        };
        steps.into_iter().map(step).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_batch_is_read_as_it_was_written(batches in days()) {
        for batch in batches {
            prop_assert_eq!(Batch::read(&batch.write()), Ok(batch));
        }
    }

    #[test]
    fn the_same_batches_give_the_same_office_also_from_a_snapshot_on(
        batches in days(),
        part in 0..60usize,
    ) {
        let (mut straight, mut again) = (open(12), open(12));
        for (number, batch) in batches.iter().enumerate() {
            straight.apply(batch);
            if number == part {
                again = Office::read(&again.write()).expect("a snapshot");
            }
            again.apply(&Batch::read(&batch.write()).expect("a batch"));
        }
        prop_assert_eq!(straight.write(), again.write());
    }

    #[test]
    fn bytes_that_are_no_batch_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Batch::read(&bytes);
        bytes.insert(0, 1);
        let _ = Batch::read(&bytes);
        bytes[0] = 2;
        prop_assert!(Batch::read(&bytes).is_err());
    }

    #[test]
    fn what_relays_are_told_step_by_step_is_what_they_are_told_at_once(batches in days()) {
        let mut office = open(12);
        let mut told = vec![(0, std::collections::BTreeMap::new()); RELAYS.into()];
        for batch in &batches {
            office.apply(batch);
            for (place, (known, seats)) in (0..).zip(&mut told) {
                let listed = office.listed(place, *known);
                if listed.from == 0 {
                    seats.clear();
                }
                *known = listed.to;
                for (person, slot) in listed.seats {
                    match slot {
                        Some(slot) => seats.insert(person.0, slot),
                        None => seats.remove(&person.0),
                    };
                }
                // Who waits is left on the list until they sit elsewhere.
                for (person, slot) in office.seats_of(place) {
                    prop_assert_eq!(seats.get(&person.0).copied(), slot);
                }
            }
        }
    }
}

#[test]
fn somebody_is_forgotten_a_week_after_they_were_last_heard_of() {
    const ONE: u64 = 0x0123_4567_89ab_cdef;
    const TWO: u64 = 0xfedc_ba98_7654_3210;
    let is_in = |bytes: &[u8], who: u64| bytes.windows(8).any(|at| at == who.to_be_bytes());
    let mut office = open(100);
    office.apply(&at(1, vec![asked(ONE), asked(TWO)]));
    office.apply(&at(100, vec![Event::Heard { person: Person(TWO) }]));
    office.apply(&at(168, vec![Event::Tick]));
    assert!(office.person(Person(ONE)).is_some() && is_in(&office.write(), ONE));
    office.apply(&at(170, vec![Event::Tick]));
    assert!(office.person(Person(ONE)).is_none() && office.person(Person(TWO)).is_some());
    assert!(!is_in(&office.write(), ONE) && is_in(&office.write(), TWO));
    office.apply(&at(269, vec![Event::Tick]));
    assert!(office.people_view().all == 0 && !is_in(&office.write(), TWO));
}

#[test]
fn whoever_asks_again_keeps_their_seat() {
    let mut office = open(100);
    office.apply(&at(1, (0..50).map(asked).collect()));
    let before: Vec<_> = (0..50).map(|person| places(&office, person)).collect();
    assert!(before.iter().all(|places| places.len() == 1));
    office.apply(&at(2, (0..50).map(asked).collect()));
    assert_eq!((0..50).map(|person| places(&office, person)).collect::<Vec<_>>(), before);
    assert_eq!(office.people_view().all, 50);
}

#[test]
fn a_requests_key_is_one_persons() {
    let mut office = open(100);
    let other = Event::Asked { person: Person(2), door: DoorId::OFFICE, request: 1, network: 0 };
    let outcomes = office.apply(&at(1, vec![asked(1), other]));
    assert_eq!(outcomes, [Outcome::Done, Outcome::Refused(Why::Request)]);
    assert!(office.person(Person(2)).is_none());
}

#[test]
fn those_whose_endpoint_is_blocked_sit_elsewhere_at_once() {
    let mut office = open(100);
    office.apply(&at(1, (0..50).map(asked).collect()));
    let (endpoint, _, _, people) =
        office.endpoints().max_by_key(|(_, _, _, people)| *people).expect("some");
    let sat: Vec<u64> = (0..50)
        .filter(|&id| office.person(Person(id)).is_some_and(|at| at.endpoint == Some(endpoint)))
        .collect();
    let before: Vec<_> = sat.iter().map(|&id| places(&office, id)).collect();
    let blocked = Event::Blocked {
        endpoints: vec![endpoint],
        scope: Scope::Ports,
        word: Word::Several,
        cause: "a test".into(),
    };
    assert_eq!(office.apply(&at(2, vec![blocked.clone()])), [Outcome::Cut(people)]);
    for (id, before) in sat.iter().zip(before) {
        let after = places(&office, *id);
        assert!(after.len() == 1 && after != before, "{id} sits at {after:?}");
    }
    assert_eq!(office.apply(&at(2, vec![blocked])), [Outcome::Cut(0)], "it is blocked once");
    assert_eq!(office.block_views().count(), 1);
}

#[test]
fn nobody_is_seated_at_an_address_that_is_blocked_until_it_is_another() {
    let mut office = open(100);
    office.apply(&at(1, (0..50).map(asked).collect()));
    let there = office.relays()[0].id;
    let all: Vec<_> =
        office.endpoints().filter(|(_, relay, _, _)| relay.id == there).map(|it| it.0).collect();
    let cause = String::new();
    office.apply(&at(
        2,
        vec![Event::Blocked {
            endpoints: all,
            scope: Scope::Addresses,
            word: Word::Several,
            cause,
        }],
    ));
    office.apply(&at(3, (50..90).map(asked).collect()));
    let is_there = |office: &Office| {
        (0..90).any(|id| places(office, id).iter().any(|(relay, _)| *relay == there))
    };
    assert!(!is_there(&office) && (0..90).all(|id| !places(&office, id).is_empty()));
    let moved = Event::Booked {
        relay: 0,
        standing: Standing::Carrying,
        address: [20, 9, 9, 9].into(),
        capacity: capacity(100),
        face: face(443),
    };
    office.apply(&at(4, vec![moved, Event::Reached { relay: 0, is_reached: true }]));
    office.apply(&at(5, (200..400).map(asked).collect()));
    assert!((200..400).any(|id| places(&office, id).iter().any(|(relay, _)| *relay == there)));
}

#[test]
fn saying_that_it_does_not_work_shows_one_more_endpoint_a_day_at_most() {
    let mut office = open(1000);
    office.apply(&at(1, (0..90).map(asked).collect()));
    let mut seen = std::collections::HashSet::new();
    for hour in 2..24 {
        office.apply(&at(hour, vec![Event::Spared { person: Person(1) }]));
        seen.extend(places(&office, 1));
        // The censor blocks whatever they are shown besides.
        let spares: Vec<_> = office.spares.values().map(|spare| spare.endpoint).collect();
        let cause = String::new();
        office.apply(&at(
            hour,
            vec![Event::Blocked {
                endpoints: spares,
                scope: Scope::Ports,
                word: Word::Several,
                cause,
            }],
        ));
        seen.extend(places(&office, 1));
    }
    assert!(seen.len() <= 2, "{seen:?}");
}

#[test]
fn an_invite_is_good_once_and_for_an_hour() {
    let mut office = open(1);
    let invited = |token: u8| Event::Invited { token: [token; 16], owner: "a".into() };
    let joins = |token: u8, attempt: u8, relay: u8| Event::Enrolled {
        token: [token; 16],
        attempt: [attempt; 16],
        relay: RelayId([relay; 16]),
        address: [20, 1, 1, 1].into(),
        capacity: capacity(1),
        face: face(443),
    };
    let refused = Outcome::Refused(Why::Invite);
    let used =
        vec![invited(100), joins(100, 1, 1), joins(100, 1, 2), joins(100, 2, 3), joins(99, 1, 4)];
    let outcomes = office.apply(&at(1, used));
    assert_eq!(outcomes[1..], [Outcome::Joined(3), Outcome::Joined(3), refused, refused]);
    office.apply(&at(1, vec![invited(101)]));
    assert_eq!(office.apply(&at(3, vec![joins(101, 1, 5), joins(100, 1, 6)])), [refused; 2]);
}

#[test]
fn a_relay_that_was_never_reached_gets_nobody() {
    let mut office = Office::new(START, 7);
    let token = [1; 16];
    let joins = Event::Enrolled {
        token,
        attempt: token,
        relay: RelayId(token),
        address: [20, 0, 0, 1].into(),
        capacity: capacity(10),
        face: face(443),
    };
    office.apply(&at(0, vec![Event::Invited { token, owner: String::new() }, joins]));
    office.apply(&at(1, vec![asked(1)]));
    assert_eq!(places(&office, 1), []);
    office.apply(&at(1, vec![Event::Reached { relay: 0, is_reached: false }]));
    assert_eq!(places(&office, 1), []);
    office.apply(&at(2, vec![Event::Reached { relay: 0, is_reached: true }]));
    assert_eq!(places(&office, 1), [(RelayId(token), 0)]);
}
