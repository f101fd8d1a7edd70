use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::classify::{self, classify};
use crate::derive::{FleetKey, RelayId, RelayKey};
use crate::echo::{Answer, Asker, BundleId, Kind, Near, Piece, Table, Wanted};

const NOW: u32 = 1_800_000_123;
const NAME: &str = "www.example.org";

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
    Wanted { transport, shape, relay: address("116.203.7.7:179"), time: NOW - 599, near: None }
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
        let dress = asker.dress(transport, shape, NAME);
        let dressed = dress.question(&asked);
        assert!(dressed.len() <= LONGEST_QUESTION);
        let (found_shape, bare, used) = find(transport, &dressed).expect("a question");
        assert_eq!((found_shape, bare), (shape, asked), "{shape} {transport}");
        let found = table.open(&bare, NOW).expect("a bundle");
        assert_eq!((found.bundle, found.wanted), (bundle(77), wanted));
        assert_eq!(used + found.dress().rest_of(&bare), dressed.len());
        let told = found.dress().answer(&dressed, &found.answer(&seen()), NOW);
        assert!(told.len() <= LONGEST_ANSWER);
        let (bare, used) = dress.read_answer(&told).expect("alike").expect("whole");
        assert_eq!(used, told.len());
        assert_eq!(asker.read(&asked, &bare), Some(seen()));
    }
}

#[test]
fn no_datagram_is_answered_by_a_longer_one() {
    let (table, asker) = (table(), asker_of(3));
    for shape in Shape::ALL {
        let transport = Transport::Udp;
        for name in [NAME, "a", &"long-label.".repeat(18), &"a".repeat(LONGEST_NAME)] {
            for _ in 0..300 {
                let asked = asker.ask(&wanted(transport, shape), crate::random());
                let dress = asker.dress(transport, shape, name);
                let dressed = dress.question(&asked);
                let found = table.open(&asked, NOW).expect("found");
                let told = found.dress().answer(&dressed, &found.answer(&seen()), NOW);
                assert!(told.len() <= dressed.len(), "{shape}: {} > {}", told.len(), dressed.len());
                assert!(dress.read_answer(&told).is_ok_and(|it| it.is_some()));
                let up = dress.piece(Way::Up, &[7; PIECE], &[]);
                let down = found.dress().piece(Way::Down, &[8; PIECE], &up);
                assert!(up.len() <= LONGEST && down.len() <= up.len(), "{shape}");
                assert_eq!(dress.read_piece(Way::Down, &down), Ok(Some(([8; PIECE], down.len()))));
            }
        }
    }
}

#[test]
fn pieces_go_both_ways_in_every_shape_after_what_opens_them() {
    let (table, asker) = (table(), asker_of(3));
    for (shape, transport) in all() {
        let asked = asker.ask(&wanted(transport, shape), crate::random());
        let found = table.open(&asked, NOW).expect("found");
        let (up, down) = (asker.climb(&asked), found.climb());
        let dresses = [asker.dress(transport, shape, NAME), found.dress()];
        let load = Piece { kind: Kind::Load, number: 7, received: 6, body: vec![] };
        let receipt = Piece { kind: Kind::Receipt, number: 0, received: 86, body: vec![5; 300] };
        for (from, to, way, at) in [(&up, &down, Way::Up, 0), (&down, &up, Way::Down, 1)] {
            let mut came = dresses[at].opening(way, NOW);
            if transport == Transport::Udp {
                assert_eq!(dresses[1 - at].read_piece(way, &came).ok().flatten(), None);
                came.clear();
            }
            for sent in [&load, &receipt, &load] {
                let dressed = dresses[at].piece(way, &from.seal(sent), &[]);
                assert!(dressed.len() <= LONGEST);
                came.extend(dressed);
                for cut in 0..came.len() {
                    let part = dresses[1 - at].read_piece(way, &came[..cut]);
                    assert!(transport == Transport::Udp || part == Ok(None), "{shape} {cut}");
                }
                let read = dresses[1 - at].read_piece(way, &came);
                let (bare, used) = read.expect("alike").expect("whole");
                assert_eq!((used, to.open(&bare)), (came.len(), Some(sent.clone())));
                // Our own piece, sent back to us, is nobody's.
                assert_eq!(from.open(&bare), None);
                came.clear();
            }
        }
    }
}

/// How many different ones there are.
fn distinct<T: Eq + std::hash::Hash>(all: impl IntoIterator<Item = T>) -> usize {
    all.into_iter().collect::<std::collections::HashSet<T>>().len()
}

#[test]
fn of_two_hundred_draws_many_are_of_a_length_of_their_own() {
    let (table, asker) = (table(), asker_of(3));
    for (shape, transport) in all() {
        let lengths = (0..200).map(|_| {
            let asked = asker.ask(&wanted(transport, shape), crate::random());
            let dress = asker.dress(transport, shape, NAME);
            let dressed = dress.question(&asked);
            let found = table.open(&asked, NOW).expect("found");
            let told = found.dress().answer(&dressed, &found.answer(&seen()), NOW);
            let up = dress.piece(Way::Up, &crate::random(), &[]);
            let down = found.dress().piece(Way::Down, &crate::random(), &up);
            [dressed.len(), told.len(), up.len(), down.len()]
        });
        let lengths: Vec<[usize; 4]> = lengths.collect();
        let many = [0, 1, 2, 3].map(|at| distinct(lengths.iter().map(|all| all[at])));
        // A hello of Telegram's apps has one length, a query's name a few; real ones are padded.
        let questions = match (shape, transport) {
            (Shape::Tls, Transport::Tcp) | (Shape::Dns, Transport::Udp) => 1,
            (Shape::Dns, Transport::Tcp) => 10,
            _ => 40,
        };
        assert!(many[0] >= questions, "{shape} {transport}: {many:?}");
        assert!(many[1..].iter().all(|many| *many >= 25), "{shape} {transport}: {many:?}");
    }
}

#[test]
fn key_shares_are_public_keys() {
    use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
    use aws_lc_rs::rand::SystemRandom;
    let is_key = |share: &[u8]| {
        let ours = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).expect("a key");
        let theirs = UnparsedPublicKey::new(&X25519, share);
        share.len() == 32
            && share[31] < 0x80
            && agree_ephemeral(ours, theirs, (), |_| Ok(())).is_ok()
    };
    let (table, asker) = (table(), asker_of(3));
    let (shape, transport) = (Shape::Tls, Transport::Tcp);
    let mut shares = Vec::new();
    for _ in 0..40 {
        let asked = asker.ask(&wanted(transport, shape), crate::random());
        let dressed = asker.dress(transport, shape, NAME).question(&asked);
        let hello = crate::tls::hello::ClientHello::read(&dressed).expect("a hello");
        let share = hello.share(crate::tls::hello::X25519).expect("a share");
        assert!(is_key(share));
        shares.push(share.to_vec());
        let found = table.open(&asked, NOW).expect("found");
        let told = found.dress().answer(&dressed, &found.answer(&seen()), NOW);
        let flight = crate::tls::answer::read(&told).expect("TLS 1.3").expect("a whole flight");
        assert_eq!((flight.cipher, flight.encrypted.len()), (0x1301, 1));
        assert_eq!(told[44..76], hello.session_id[..], "repeated");
        let share = &told[95..127];
        assert!(is_key(share));
        shares.push(share.to_vec());
    }
    assert_eq!(distinct(shares), 80);
}

#[test]
fn the_records_of_a_datagram_climb_are_numbered_one_after_the_other() {
    let dress = asker_of(3).dress(Transport::Udp, Shape::Tls, NAME);
    let numbers = (0..300).map(|_| {
        let record = dress.piece(Way::Up, &[0; PIECE], &[]);
        u64::from_be_bytes(*record[3..].first_chunk().expect("8 of 13")) & 0xffff_ffff_ffff
    });
    assert!(numbers.eq(1..=300));
}

#[test]
fn a_question_that_names_a_network_is_good_from_there_alone() {
    let (table, asker) = (table(), asker_of(9));
    let asks = |near: Option<&str>| {
        let near = near.map(|ip| Near::of(ip.parse().expect("an address")));
        let wanted = Wanted { near, ..wanted(Transport::Udp, Shape::Dns) };
        let found = table.open(&asker.ask(&wanted, crate::random()), NOW).expect("found");
        assert_eq!(found.wanted, wanted);
        move |from: &str| found.may_come_from(from.parse().expect("an address"))
    };
    let unknown = asks(None);
    assert!(unknown("192.0.2.1") && unknown("2001:db8::1"));
    let four = asks(Some("95.56.7.1"));
    assert!(four("95.56.7.255") && four("::ffff:95.56.7.9"));
    assert!(!four("95.56.8.1") && !four("95.57.7.1") && !four("2a00:5da0:1::1"));
    let six = asks(Some("2a00:5da0:1:2::1"));
    assert!(six("2a00:5da0:1::9") && !six("2a00:5da0:2::1") && !six("95.56.7.1"));
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
        let asker = asker_of(5);
        let asked = asker.ask(&wanted(Transport::Tcp, shape), crate::random());
        let dress = asker.dress(Transport::Tcp, shape, "a.example");
        let dressed = dress.question(&asked);
        let whole = dressed.len() - dress.rest_of(&asked);
        let part = &dressed[..cut.index(whole)];
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
        let dress = asker_of(5).dress(Transport::Tcp, shape, "a.example");
        let told = dress.answer(&dress.question(&[1; LENGTH]), &body, NOW);
        let part = dress.read_answer(&told[..cut.index(told.len())]);
        prop_assert_eq!(part, Ok(None));
        prop_assert_eq!(dress.read_answer(&told), Ok(Some((body, told.len()))));
        // What comes at once after it is left.
        let more = [&told[..], &[7; 30]].concat();
        prop_assert_eq!(dress.read_answer(&more), Ok(Some((body, told.len()))));
    }

    #[test]
    fn noise_is_nobodys_and_harms_nothing(noise in proptest::collection::vec(any::<u8>(), 0..1500)) {
        harms_nothing(&noise);
    }

    #[test]
    fn what_was_damaged_on_the_way_harms_nothing(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let asker = asker_of(5);
        for (shape, transport) in all() {
            let dress = asker.dress(transport, shape, NAME);
            let asked = dress.question(&[1; LENGTH]);
            let said = [dress.answer(&asked, &[2; LENGTH], NOW), dress.opening(Way::Up, NOW)];
            let pieces = [Way::Up, Way::Down].map(|way| dress.piece(way, &[3; PIECE], &[]));
            for mut bytes in said.into_iter().chain(pieces).chain([asked]) {
                for (at, byte) in &damage {
                    let length = bytes.len().max(1);
                    if let Some(damaged) = bytes.get_mut(at.index(length)) {
                        *damaged = *byte;
                    }
                }
                bytes.truncate(cut.index(bytes.len() + 1));
                harms_nothing(&bytes);
                // Whatever was asked, there is an answer to it.
                let _ = (dress.answer(&bytes, &[2; LENGTH], NOW), dress.piece(Way::Down, &[3; PIECE], &bytes));
            }
        }
    }
}

fn harms_nothing(bytes: &[u8]) {
    let _ = may_become(bytes);
    for transport in Transport::ALL {
        if let Some((_, bare, used)) = find(transport, bytes) {
            assert!(used <= bytes.len());
            assert!(NOBODYS.open(&bare, NOW).is_none());
        }
        for shape in Shape::ALL {
            let dress = Dress::new(transport, shape, NAME, Some([7; 32]));
            let _ = dress.read_answer(bytes);
            for way in [Way::Up, Way::Down] {
                let _ = dress.read_piece(way, bytes);
            }
        }
    }
}

static NOBODYS: std::sync::LazyLock<Table> = std::sync::LazyLock::new(table);
