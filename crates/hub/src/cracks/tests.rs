use std::num::NonZeroU16;

use proptest::prelude::*;
use wire::bundle::{MOST_CRACKS, QUIET_PORTS};
use wire::crack::{Crack, Hour, Network, Passage};
use wire::derive::{FleetKey, RelayId};
use wire::echo::{Shape, Transport};
use wire::receipt::{Certificate, Receipt, RelayTag, Rung, Statement, Witness, Worthless};
use wire::tally::Day;
use wire::trusted::Trusted;

use super::choice::MOST_TOLD;
use super::map::{NETWORKS, TOLD};
use super::*;

const NOW: Hour = Hour(480_000);
const HERE: Network = Network::As(9198);

/// What a relay says: its number, the network, whether somebody told it, the port, and how many hours ago.
type Said = (u8, Network, bool, u16, u32);

fn witness(fleet: u8, relay: u8) -> (Witness, RelayTag) {
    let fleet = FleetKey::from_bytes([fleet; 32]);
    let key = fleet.relay_key(&RelayId([relay; 16]));
    let (receipt_key, mask) = (key.receipt_key(), key.mask_key());
    let until = Day(i64::from(u16::MAX));
    let certificate = Certificate::issue(&fleet.signer(), receipt_key.public(), &mask, until);
    (Witness::new(receipt_key, certificate).expect("its own"), RelayTag::of(&mask))
}

fn passage(network: Network, port: u16) -> Passage {
    let port = NonZeroU16::new(port).expect("a port");
    Passage { network, transport: Transport::Tcp, port, shape: Shape::Random }
}

fn signed((relay, network, is_told, port, ago): Said, rung: Rung) -> Vec<u8> {
    let passage = passage(network, port);
    let statement = Statement { passage, is_told, hour: Hour(NOW.0 - ago), rung };
    witness(1, relay).0.sign(&statement)
}

fn receipt(said: Said) -> Trusted<Receipt> {
    let pinned = [FleetKey::from_bytes([1; 32]).signer().public()];
    Receipt::open(&signed(said, Rung::Through), &pinned, NOW.start()).expect("it is good")
}

/// Without signatures, which take most of the time.
fn add(map: &mut Map, (relay, network, is_told, port, ago): Said) -> Taken {
    let ways = passage(network, port);
    map.count(&ways, is_told, RelayTag([relay; 8]), Hour(NOW.0 - ago), NOW)
}

fn of(all: impl IntoIterator<Item = Said>) -> Map {
    let mut map = Map::new();
    all.into_iter().for_each(|said| {
        add(&mut map, said);
    });
    map
}

fn ports(choices: &[Choice]) -> Vec<u16> {
    choices.iter().map(|choice| choice.port.get()).collect()
}

fn best(map: &Map, network: &Network) -> Vec<u16> {
    ports(&map.best(network, Transport::Tcp, None, NOW))
}

fn cracks(map: &Map) -> Vec<(u16, u32, u16)> {
    let short = |crack: &Crack| (crack.passage.port.get(), NOW.0 - crack.seen.0, crack.receipts);
    map.cracks(None, NOW).iter().map(short).collect()
}

#[test]
fn only_what_our_relays_have_signed_counts_and_each_hour_once() {
    let mut map = Map::new();
    let signers = [FleetKey::from_bytes([1; 32]).signer().public()];
    let (_, tag) = witness(1, 1);
    let mut take = |bytes: &[u8]| map.take(bytes, &signers, |relay| relay == tag, NOW.start());
    let bytes = signed((1, HERE, false, 179, 0), Rung::Through);
    assert_eq!(take(&bytes), Ok(Taken::New));
    assert_eq!(take(&bytes), Ok(Taken::Known));
    assert_eq!(take(&signed((1, HERE, false, 179, 0), Rung::Alive)), Ok(Taken::Known));
    assert_eq!(take(&signed((1, HERE, false, 179, 1), Rung::Through)), Ok(Taken::New));
    assert_eq!(take(&signed((1, HERE, false, 80, 0), Rung::Echo)), Err(Refusal::Shallow));
    assert_eq!(take(&signed((2, HERE, false, 80, 0), Rung::Alive)), Err(Refusal::Stranger));
    let mut forged = bytes;
    *forged.last_mut().expect("bytes") ^= 1;
    assert_eq!(take(&forged), Err(Worthless::Forged.into()));
    let statement = receipt((1, HERE, false, 179, 0)).statement().clone();
    let theirs = witness(2, 1).0.sign(&statement);
    assert_eq!(take(&theirs), Err(Worthless::UnknownSigner.into()));
    assert_eq!(cracks(&map), [(179, 0, 2)]);
}

#[test]
fn what_two_relays_have_seen_goes_before_what_one_has_and_that_before_what_people_tell() {
    let map = of([
        (1, HERE, true, 1, 0),
        (1, HERE, false, 2, 0),
        (1, HERE, false, 3, 5),
        (2, HERE, false, 3, 5),
        (1, Network::As(1), false, 4, 0),
        (1, Network::Unknown, false, 5, 9),
    ]);
    let order = best(&map, &HERE);
    assert_eq!(order[..5], [3, 2, 4, 1, 5]);
    assert_eq!(order[5..], QUIET_PORTS);
    let choices = map.best(&HERE, Transport::Tcp, None, NOW);
    let standing: Vec<Standing> = choices.iter().take(6).map(|choice| choice.standing).collect();
    use Standing::{Elsewhere, Seen, Told, Usual, Vouched};
    assert_eq!(standing, [Vouched, Seen, Elsewhere, Told, Elsewhere, Usual]);
}

#[test]
fn what_a_relay_has_seen_itself_goes_first_among_its_equals() {
    let map = of([(1, HERE, false, 1, 9), (2, HERE, false, 2, 0)]);
    assert_eq!(best(&map, &HERE)[..2], [2, 1]);
    let own = map.best(&HERE, Transport::Tcp, Some(RelayTag([1; 8])), NOW);
    assert_eq!(ports(&own)[..2], [1, 2]);
    assert!(own[0].is_own && !own[1].is_own);
}

#[test]
fn an_hour_counts_half_after_six_more() {
    let map = of([
        (1, HERE, false, 1, 0),
        (1, HERE, false, 2, 6),
        (1, HERE, false, 3, 12),
        (1, HERE, false, 3, 13),
    ]);
    let choices = map.best(&HERE, Transport::Tcp, None, NOW);
    let weights: Vec<f64> = choices.iter().take(3).map(|choice| choice.weight).collect();
    assert_eq!((ports(&choices)[..3].to_vec(), &weights[..2]), (vec![1, 2, 3], &[1.0, 0.5][..]));
    assert!((0.47..0.48).contains(&weights[2]), "two that are twelve hours old are half of one");
}

#[test]
fn ways_of_the_other_transport_are_no_answer() {
    let map = of([(1, HERE, false, 179, 0)]);
    assert!(!map.best(&HERE, Transport::Udp, None, NOW).iter().any(|way| way.weight > 0.0));
}

#[test]
fn a_bundle_has_the_best_proven_first_and_few_of_peoples_word() {
    let flood = (1..=300).map(|port| (1, HERE, true, port, 0));
    let map = of(flood.clone());
    assert_eq!(cracks(&map).len(), MOST_TOLD, "and there is room for later ones");
    let map = of(flood.chain((1..=60).map(|port| (1, HERE, false, port * 7, 9))));
    let known = cracks(&map);
    let expected: Vec<_> = (1..=60).map(|port| (port * 7, 9, 1)).collect();
    assert_eq!((&known[..60], known.len()), (&expected[..], MOST_CRACKS));
}

#[test]
fn what_others_have_seen_of_a_crack_is_taken_from_them() {
    let mut map = of([(1, HERE, false, 179, 9), (1, HERE, true, 80, 0)]);
    let crack = |port, ago, receipts| Crack {
        passage: passage(HERE, port),
        seen: Hour(NOW.0 - ago),
        receipts,
    };
    map.add_cracks(&[crack(179, 2, 1), crack(443, 3, 4)], NOW);
    map.add_cracks(&[crack(443, 5, 2)], NOW);
    assert_eq!(cracks(&map), [(179, 2, 1), (443, 3, 4), (80, 0, 1)]);
}

#[test]
fn a_networks_own_answer_is_all_that_a_bundle_for_it_has() {
    let map = of([(1, HERE, false, 179, 0), (1, Network::As(1), false, 80, 0)]);
    let ports: Vec<u16> =
        map.cracks(Some(&HERE), NOW).iter().map(|crack| crack.passage.port.get()).collect();
    assert_eq!(ports, [179]);
}

fn network() -> impl Strategy<Value = Network> {
    prop_oneof![
        4 => Just(HERE),
        2 => (0..300_u32).prop_map(Network::As),
        1 => Just(Network::Unknown),
        1 => "[a-z]{4}".prop_map(|name| name.parse().expect("a name")),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    (0..12_u8, network(), any::<bool>(), 1..=2_000_u16, 0..300_u32)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_map_is_bounded_whatever_comes(all in prop::collection::vec(said(), 0..3_000)) {
        let map = of(all);
        for (ways, room) in [(&map.found, NETWORKS), (&map.told, TOLD)] {
            prop_assert!(ways.0.len() <= room.networks);
            prop_assert!(ways.0.values().all(|ways| (1..=room.ways).contains(&ways.len())));
        }
        prop_assert!(map.cracks(None, NOW).len() <= MOST_CRACKS);
    }

    #[test]
    fn receipts_change_the_order_and_remove_nothing(
        before in prop::collection::vec(said(), 0..40),
        more in prop::collection::vec(said(), 0..20),
    ) {
        let mut map = of(before);
        let mut old = best(&map, &HERE);
        more.into_iter().for_each(|said| { add(&mut map, said); });
        let new = best(&map, &HERE);
        old.retain(|port| !new.contains(port));
        prop_assert_eq!(old, [0_u16; 0]);
        prop_assert!(QUIET_PORTS.iter().all(|port| new.contains(port)));
    }

    #[test]
    fn the_same_receipts_give_the_same_map_in_any_order(
        all in prop::collection::vec(said(), 0..60).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        // No more relays than one way tells apart.
        let few = |all: Vec<Said>| all.into_iter().map(|(relay, a, b, c, d)| (relay % 8, a, b, c, d));
        let (one, other) = (of(few(all.0)), of(few(all.1)));
        prop_assert_eq!(one.cracks(None, NOW), other.cracks(None, NOW));
        prop_assert_eq!(best(&one, &HERE), best(&other, &HERE));
    }

    #[test]
    fn no_flood_of_one_relays_receipts_displaces_what_two_have_seen(
        flood in prop::collection::vec((network(), any::<bool>(), 1..=u16::MAX, 0..3_u32), 0..2_000),
        ago in 0..24_u32,
    ) {
        let truth = [(1, HERE, false, 3785, ago), (2, HERE, false, 3785, ago)];
        let flood = flood.into_iter().map(|(network, told, port, ago)| (3, network, told, port, ago));
        let map = of(truth.into_iter().chain(flood));
        prop_assert_eq!(best(&map, &HERE)[0], 3785);
        prop_assert_eq!(cracks(&map)[0].0, 3785);
    }
}
