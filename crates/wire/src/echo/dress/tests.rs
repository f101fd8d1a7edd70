use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::classify::{self, classify};
use crate::derive::{FleetKey, RelayId, RelayKey};
use crate::echo::{Answer, Asker, BundleId, Kind, Piece, Table, Wanted};

const NOW: u32 = 1_800_000_123;

fn relay_key() -> RelayKey {
    FleetKey::from_bytes([7; 32]).relay_key(&RelayId([9; 16]))
}

fn bundle(number: u8) -> BundleId {
    BundleId([number; 16])
}

fn table() -> Table {
    let key = relay_key();
    Table::new(&key.mask_key(), (0..200).map(|n| (bundle(n), key.echo_key(bundle(n)))), NOW)
}

fn asker_of(number: u8) -> Asker {
    Asker::new(&relay_key().echo_key(bundle(number)), &relay_key().mask_key())
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn wanted(transport: Transport, shape: Shape) -> Wanted {
    Wanted { transport, shape, relay: address("116.203.7.7:179"), time: NOW - 599 }
}

fn seen() -> Answer {
    Answer {
        relay: address("10.0.0.4:179"),
        asker: address("[2a00:5da0:1::10]:50123"),
        time: NOW,
        reserved: [0; 8],
    }
}

fn all() -> impl Iterator<Item = (Shape, Transport)> {
    Shape::ALL.into_iter().flat_map(|shape| Transport::ALL.map(|transport| (shape, transport)))
}

#[test]
fn a_question_finds_its_bundle_and_its_answer_comes_back_in_every_shape() {
    let (table, asker) = (table(), asker_of(77));
    for (shape, transport) in all() {
        let wanted = wanted(transport, shape);
        let asked = asker.ask(&wanted, crate::random());
        let dressed = question(shape, transport, "www.example.org", &asked);
        assert!(dressed.len() <= LONGEST_QUESTION);
        let (found_shape, bare, used) = find(transport, &dressed).expect("a question");
        assert_eq!((found_shape, bare), (shape, asked), "{shape} {transport}");
        assert_eq!(used, dressed.len());
        let found = table.open(&bare, NOW).expect("a bundle");
        assert_eq!((found.bundle, found.wanted), (bundle(77), wanted));
        let told = answer(shape, transport, &dressed, &found.answer(&seen()));
        if transport == Transport::Udp {
            assert!(told.len() <= dressed.len(), "{shape}: {} > {}", told.len(), dressed.len());
        }
        let (bare, used) = read_answer(shape, transport, &told).expect("alike").expect("whole");
        assert_eq!(used, told.len());
        assert_eq!(asker.read(&asked, &bare), Some(seen()));
    }
}

#[test]
fn pieces_go_both_ways_in_every_shape_and_their_answers_are_no_longer() {
    let (table, asker) = (table(), asker_of(3));
    for (shape, transport) in all() {
        let asked = asker.ask(&wanted(transport, shape), crate::random());
        let (up, down) = (asker.climb(&asked), table.open(&asked, NOW).expect("found").climb());
        let load = Piece { kind: Kind::Load, number: 7, received: 6, body: vec![] };
        let receipt = Piece { kind: Kind::Receipt, number: 0, received: 86, body: vec![5; 300] };
        let lengths = [(&up, &down, Way::Up), (&down, &up, Way::Down)].map(|(from, to, way)| {
            [&load, &receipt].map(|sent| {
                let dressed = piece(shape, transport, way, &from.seal(sent));
                assert!(dressed.len() <= LONGEST);
                let read = read_piece(shape, transport, way, &dressed);
                let (bare, used) = read.expect("alike").expect("whole");
                assert_eq!((used, to.open(&bare)), (dressed.len(), Some(sent.clone())));
                // Our own piece, sent back to us, is nobody's.
                assert_eq!(from.open(&bare), None);
                dressed.len()
            })
        });
        assert_eq!(lengths[0], lengths[1]);
    }
}

#[test]
fn nobody_else_can_answer_and_no_answer_fits_another_question() {
    let (table, asker) = (table(), asker_of(1));
    let [one, two] =
        [(); 2].map(|()| asker.ask(&wanted(Transport::Udp, Shape::Random), crate::random()));
    let told = table.open(&one, NOW).expect("found").answer(&seen());
    assert_eq!(asker.read(&two, &told), None);
    assert_eq!(asker.read(&one, &one), None, "an echo of the question itself");
    let other = asker_of(2);
    let asked = other.ask(&wanted(Transport::Udp, Shape::Random), crate::random());
    let told = table.open(&asked, NOW).expect("found").answer(&seen());
    assert_eq!(asker.read(&asked, &told), None, "another bundle's key");
}

#[test]
fn a_question_is_good_for_ten_minutes_either_way_and_on_one_relay() {
    let (table, asker) = (table(), asker_of(9));
    let at = |time| Wanted { time, ..wanted(Transport::Tcp, Shape::Tls) };
    for (time, is_good) in
        [(NOW - 600, true), (NOW - 601, false), (NOW + 600, true), (NOW + 601, false)]
    {
        let asked = asker.ask(&at(time), crate::random());
        assert_eq!(table.open(&asked, NOW).is_some(), is_good, "{time}");
    }
    let later = NOW + 86_400;
    let asked = asker.ask(&at(later), crate::random());
    assert!(table.open(&asked, later).is_none(), "the tags of yesterday");
    let table = table.refreshed(later).expect("other tags");
    assert!(table.refreshed(later).is_none(), "nothing has changed");
    assert!(table.open(&asked, later).is_some());

    let elsewhere = FleetKey::from_bytes([7; 32]).relay_key(&RelayId([8; 16]));
    let bundles = (0..200).map(|n| (bundle(n), elsewhere.echo_key(bundle(n))));
    let other = Table::new(&elsewhere.mask_key(), bundles, later);
    assert!(other.open(&asked, later).is_none());
}

#[test]
fn two_questions_of_one_bundle_have_no_byte_in_common_but_by_chance() {
    let asker = asker_of(4);
    let asked: Vec<Question> = (0..200)
        .map(|_| asker.ask(&wanted(Transport::Udp, Shape::Random), crate::random()))
        .collect();
    for at in 0..LENGTH {
        let distinct: std::collections::HashSet<u8> = asked.iter().map(|q| q[at]).collect();
        // Of 256 values, 200 draws give about 139.
        assert!(distinct.len() > 100, "byte {at}: {}", distinct.len());
    }
}

proptest! {
    #[test]
    fn of_a_question_in_pieces_more_is_waited_for_until_it_is_whole(
        shape in 0u8..4, cut in any::<prop::sample::Index>(),
    ) {
        let shape = Shape::of(shape).expect("four");
        let asked = asker_of(5).ask(&wanted(Transport::Tcp, shape), crate::random());
        let dressed = question(shape, Transport::Tcp, "a.example", &asked);
        let part = &dressed[..cut.index(dressed.len())];
        let waits = || may_become(part) || classify(part) == classify::Shape::NeedMore;
        prop_assert!(waits(), "{} of {} bytes", part.len(), dressed.len());
        prop_assert!(!may_become(&dressed));
        let is_found = find(Transport::Tcp, part).is_some_and(|(found, ..)| found == shape);
        prop_assert!(!is_found);
    }

    #[test]
    fn an_answer_is_read_whatever_pieces_it_comes_in(
        body: [u8; LENGTH], shape in 0u8..4, cut in any::<prop::sample::Index>(),
    ) {
        let shape = Shape::of(shape).expect("four");
        let asked = question(shape, Transport::Tcp, "a.example", &[1; LENGTH]);
        let told = answer(shape, Transport::Tcp, &asked, &body);
        let part = read_answer(shape, Transport::Tcp, &told[..cut.index(told.len())]);
        prop_assert_eq!(part, Ok(None));
        prop_assert_eq!(read_answer(shape, Transport::Tcp, &told), Ok(Some((body, told.len()))));
    }

    #[test]
    fn noise_is_nobodys_and_harms_nothing(noise in proptest::collection::vec(any::<u8>(), 0..1500)) {
        let table = table();
        for transport in Transport::ALL {
            if let Some((_, bare, used)) = find(transport, &noise) {
                prop_assert!(used <= noise.len());
                prop_assert!(table.open(&bare, NOW).is_none());
            }
            for shape in Shape::ALL {
                let _ = read_answer(shape, transport, &noise);
                for way in [Way::Up, Way::Down] {
                    let _ = read_piece(shape, transport, way, &noise);
                }
            }
        }
    }
}
