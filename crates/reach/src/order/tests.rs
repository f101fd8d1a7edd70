use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use wire::bundle::{Bundle, Datagrams, Endpoint, Ports, QUIET_PORTS, Refused};
use wire::crack::{Hour, Network, Passage};
use wire::echo::{BundleId, EchoKey, MaskKey};
use wire::receipt::RelayTag;
use wire::signer::Signer;
use wire::tally::Day;

use super::*;

const NOW: u64 = 1_800_000_000;

fn bundle(endpoints: Vec<Endpoint>) -> Bundle {
    let made = Day::at(NOW);
    let expires = Day(made.0 + 30);
    Bundle { id: BundleId([1; 16]), made, expires, endpoints, cracks: Vec::new() }
}

fn endpoint(number: u8, ports: Ports) -> Endpoint {
    let v4 = Some([91, 198, 174, number].into());
    let (echo_key, mask_key) = (EchoKey([number; 16]), MaskKey([number; 8]));
    let datagrams = Datagrams::Everywhere;
    Endpoint { v4, v6: None, ports, datagrams, echo_key, mask_key, secret: None }
}

/// Ten ports and never another.
fn ten() -> Ports {
    Ports::List(Ports::Quiet.first())
}

fn targets(endpoints: Vec<Endpoint>) -> Targets {
    let signer = Signer::from_seed(&[1; 32]);
    let text = bundle(endpoints).seal(&signer).expect("fit").text();
    Targets::new(&Bundle::open(&text, &[signer.public()], NOW).expect("trusted"))
}

fn told(port: u16) -> Claim {
    let (transport, shape) = (Transport::Tcp, Shape::Tls);
    Claim { transport, port, shape, relay: None, is_proven: false }
}

fn all(order: &mut Order) -> Vec<(Spot, Shape)> {
    std::iter::from_fn(|| order.next()).collect()
}

#[test]
fn there_are_no_targets_without_a_signer_who_is_trusted_nor_after_the_last_day() {
    let signer = Signer::from_seed(&[1; 32]);
    let text = bundle(vec![endpoint(1, Ports::All)]).seal(&signer).expect("fit").text();
    let other = Signer::from_seed(&[2; 32]).public();
    let open = |pinned: &[_], now| Bundle::open(&text, pinned, now).map(|it| Targets::new(&it));
    assert!(matches!(open(&[other], NOW), Err(Refused::UnknownSigner(_))));
    assert!(matches!(open(&[], NOW), Err(Refused::UnknownSigner(_))));
    assert!(matches!(open(&[signer.public()], NOW + 40 * 86_400), Err(Refused::Expired(_))));
    assert_eq!(open(&[signer.public()], NOW).expect("trusted").relays(), 1);
}

fn ports() -> impl Strategy<Value = Ports> {
    let list = prop::collection::btree_set(1_u16.., 1..16).prop_map(|ports| {
        Ports::List(ports.into_iter().filter_map(std::num::NonZeroU16::new).collect())
    });
    prop_oneof![Just(Ports::Quiet), list, Just(Ports::All)]
}

fn claim() -> impl Strategy<Value = Claim> {
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)];
    (transport, any::<u16>(), any::<Option<[u8; 8]>>()).prop_map(|(transport, port, relay)| Claim {
        transport,
        port,
        shape: Shape::Random,
        relay: relay.map(RelayTag),
        is_proven: relay.is_some(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every packet of this crate goes to a spot, and this is where spots come from.
    #[test]
    fn nothing_is_ever_tried_but_what_the_bundle_names(
        serves in prop::collection::vec(ports(), 1..=8),
        claims in prop::collection::vec(claim(), 0..40),
        key: [u8; 32],
        is_once: bool,
        met: Vec<bool>,
        asked: (u32, u16),
    ) {
        let endpoints: Vec<_> =
            (1..).zip(serves).map(|(number, ports)| endpoint(number, ports)).collect();
        let targets = targets(endpoints.clone());
        let names = |address: SocketAddr| endpoints.iter().any(|endpoint| {
            let port = std::num::NonZeroU16::new(address.port());
            endpoint.addresses().any(|ip| ip == address.ip())
                && port.is_some_and(|port| port.get() != 25 && endpoint.ports.may_have(port))
        });
        let mut order = Order::new(&targets, claims, &Transport::ALL, &key, 1);
        if is_once {
            order = order.once();
        }
        let mut met = met.into_iter();
        // All of the list, and some of the rest.
        for _ in 0..2_000 {
            let Some((spot, shape)) = order.next() else { break };
            prop_assert!(names(spot.address()), "{}", spot.address());
            match met.next() {
                Some(true) => order.found(&spot, shape),
                Some(false) => order.failed(&spot),
                None => {}
            }
        }
        let any = SocketAddr::new(IpAddr::from(asked.0.to_be_bytes()), asked.1);
        for address in [any, SocketAddr::new([91, 198, 174, 1].into(), asked.1)] {
            let spot = targets.spot(address, Transport::Tcp);
            prop_assert_eq!(spot.is_some(), names(address));
        }
    }
}

#[test]
fn every_port_of_every_relay_has_its_turn_once_whatever_is_claimed() {
    let few = [1, 443, 7].map(|port| port.try_into().expect("not 0"));
    let targets = targets(vec![endpoint(1, Ports::All), endpoint(2, Ports::List(few.to_vec()))]);
    let mut order = Order::new(&targets, [told(7), told(443)], &Transport::ALL, &[5; 32], 1);
    let all = all(&mut order);
    let spots: HashSet<u64> = all.iter().map(|(spot, _)| spot.key()).collect();
    assert_eq!((all.len(), spots.len()), (2 * 65_534 + 2 * 3, 2 * 65_534 + 2 * 3));
    assert_eq!(all[0].0.port(), 7);
    assert_eq!(all[1].0.port(), 443);

    let mut once = Order::new(&targets, [], &[Transport::Tcp], &[5; 32], 1).once();
    assert_eq!(self::all(&mut once).len(), 65_534);
}

#[test]
fn a_bundle_that_was_made_before_a_cut_is_searched_on_every_port_in_it() {
    let targets = targets(vec![endpoint(1, Ports::Quiet)]);
    let mut order = Order::new(&targets, [], &[Transport::Tcp], &[5; 32], 1);
    assert_eq!(all(&mut order).len(), 65_534);
}

#[test]
fn relays_take_turns_so_that_a_port_and_an_address_are_told_apart() {
    let relays = (1..=4).map(|number| endpoint(number, Ports::All)).collect();
    let mut order = Order::new(&targets(relays), [], &Transport::ALL, &[5; 32], 1);
    let first: Vec<u16> = (0..40).filter_map(|_| order.next()).map(|it| it.0.relay()).collect();
    for four in first.chunks(4) {
        assert_eq!(four.iter().collect::<HashSet<_>>().len(), 4, "{first:?}");
    }
    let list = infrastructure::PORTS.len();
    let rest: Vec<_> = (0..4 * list - 40).filter_map(|_| order.next()).collect();
    assert!(
        rest.iter().all(|(spot, _)| {
            infrastructure::PORTS.iter().any(|known| known.port == spot.port())
        })
    );
}

#[test]
fn what_passes_at_one_relay_is_next_at_the_others() {
    let relays = (1..=3).map(|number| endpoint(number, Ports::All)).collect();
    let mut order = Order::new(&targets(relays), [], &Transport::ALL, &[5; 32], 1);
    let (spot, shape) = order.next().expect("one");
    order.found(&spot, shape);
    let next: Vec<_> = (0..2).filter_map(|_| order.next()).map(|it| it.0).collect();
    let is_same = |it: &Spot| it.port() == spot.port() && it.relay() != spot.relay();
    assert!(next.iter().all(is_same), "{next:?}");
}

// What a newcomer spends on what others say: 200 people report, some of them lie.

/// Numbers that are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

const OPEN: [u16; 5] = [179, 646, 3784, 3785, 4784];
const PEOPLE: u64 = 200;

#[derive(Clone, Copy, PartialEq)]
enum Proof {
    Receipts,
    Words,
}

/// How many probes until the first that passes, where a tenth of all probes is lost.
fn probes(liars: u64, agree: bool, proof: Proof, seed: u64) -> usize {
    let mut dice = Dice(seed);
    let hour = Hour(500_000);
    let network = Network::As(9198);
    let agreed: Vec<u16> = (0..5).map(|at| 20_000 + at).collect();
    let mut reports = Vec::new();
    for who in 0..PEOPLE {
        let is_liar = who * 100 < liars * PEOPLE;
        for at in 0..5 {
            let port = match (is_liar, agree) {
                (false, _) => OPEN[at],
                (true, true) => agreed[at],
                (true, false) => 10_000 + u16::try_from(dice.below(50_000)).expect("a port"),
            };
            let network = network.clone();
            let transport = Transport::Tcp;
            let port = port.try_into().expect("not 0");
            let passage = Passage { network, transport, port, shape: Shape::Random };
            // A false port has no receipt: nothing arrives there that could be signed for.
            let source = match proof {
                Proof::Receipts if !is_liar => Source::Receipt(RelayTag([1; 8]), who),
                _ => Source::Word(who),
            };
            reports.push(Report { passage, hour, source });
        }
    }
    let targets = targets(vec![endpoint(1, Ports::All)]);
    let claims = rank(&reports, &network, hour);
    let mut order = Order::new(&targets, claims, &Transport::ALL, &[7; 32], seed);
    for tried in 1.. {
        let (spot, shape) = order.next().expect("five are open");
        let is_open = spot.transport() == Transport::Tcp && OPEN.contains(&spot.port());
        if is_open && dice.below(10) > 0 {
            return tried;
        }
        order.failed(&spot);
        let _ = shape;
    }
    unreachable!("it tries all")
}

/// Mean, and the 95th of a hundred.
fn figures(liars: u64, agree: bool, proof: Proof) -> (f64, usize) {
    let mut all: Vec<usize> = (1..=120).map(|seed| probes(liars, agree, proof, seed)).collect();
    all.sort_unstable();
    let sum: usize = all.iter().sum();
    (sum as f64 / all.len() as f64, all[all.len() * 95 / 100])
}

#[test]
fn with_receipts_no_share_of_liars_costs_a_newcomer_more_than_a_probe() {
    for liars in [0, 50, 90, 99] {
        for agree in [false, true] {
            let (mean, _) = figures(liars, agree, Proof::Receipts);
            assert!(mean <= 1.2, "{liars} %, agree: {agree}: {mean}");
        }
    }
}

#[test]
fn without_receipts_nine_liars_in_ten_cost_a_few_probes() {
    for agree in [false, true] {
        let (_, p95) = figures(90, agree, Proof::Words);
        assert!(p95 <= 8, "agree: {agree}: {p95}");
    }
}

#[test]
fn reports_only_change_the_order() {
    let targets = targets(vec![endpoint(1, ten())]);
    let claim = told(4784);
    let mut order = Order::new(&targets, [claim], &Transport::ALL, &[5; 32], 1);
    let (first, _) = order.next().expect("one");
    assert_eq!(first.port(), 4784);
    order.failed(&first);
    let rest = all(&mut order);
    assert_eq!(rest.len(), 20, "ten ports by two transports, one of them a second time");
    let again = rest.iter().filter(|(spot, _)| *spot == first).count();
    assert_eq!(again, 1, "a claim is believed twice");
}

#[test]
fn what_is_proven_is_tried_four_times_with_more_and_more_others_between() {
    let targets = targets(vec![endpoint(1, Ports::All), endpoint(2, Ports::All)]);
    let claim = Claim { relay: Some(RelayTag::of(&MaskKey([2; 8]))), is_proven: true, ..told(7) };
    let lies = (20_000..20_100).map(told);
    let claims: Vec<Claim> = std::iter::once(claim).chain(lies).collect();
    let mut order = Order::new(&targets, claims, &Transport::ALL, &[5; 32], 1);
    let mut tries = Vec::new();
    for at in 0..600 {
        let (spot, _) = order.next().expect("many");
        if spot.port() == 7 {
            tries.push((at, spot.relay()));
        }
        order.failed(&spot);
    }
    let at: Vec<i32> = tries.iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [0, 2, 7, 24]);
    assert!(tries[0].1 == 2 && tries[2].1 == 2, "its own relay's turn is every other one");
}

#[test]
fn where_all_is_asked_in_a_moment_a_claim_is_asked_once_at_each_relay() {
    let targets = targets(vec![endpoint(1, Ports::All), endpoint(2, Ports::All)]);
    let proven = Claim { is_proven: true, ..told(7) };
    let mut order = Order::new(&targets, [proven, told(9)], &[Transport::Tcp], &[5; 32], 1).once();
    let mut asked = Vec::new();
    while let Some((spot, _)) = order.next() {
        order.failed(&spot);
        asked.push(spot.key());
    }
    assert_eq!(asked.len(), 65_534 + 2, "7 and 9 at both");
    assert_eq!(asked.iter().collect::<HashSet<_>>().len(), asked.len());
}

#[test]
fn two_receipts_among_a_thousand_lies_are_enough_though_packets_get_lost() {
    let hour = Hour(500_000);
    let network = Network::As(9198);
    let report = |port: u16, source| {
        let (transport, shape) = (Transport::Tcp, Shape::Random);
        let port = port.try_into().expect("not 0");
        Report {
            passage: Passage { network: network.clone(), transport, port, shape },
            hour,
            source,
        }
    };
    let targets = targets(vec![endpoint(1, Ports::All)]);
    let mut dice = Dice(3);
    let (mut sum, trials) = (0, 400);
    for _ in 0..trials {
        let mut reports: Vec<Report> = (0..990)
            .map(|at| {
                report(
                    10_000 + u16::try_from(dice.below(50_000)).expect("a port"),
                    Source::Word(at / 5),
                )
            })
            .collect();
        let open: Vec<u16> =
            (0..2).map(|_| OPEN[usize::try_from(dice.below(5)).expect("five")]).collect();
        reports.extend(
            (0..)
                .zip(&open)
                .map(|(who, port)| report(*port, Source::Receipt(RelayTag([1; 8]), who))),
        );
        let claims = rank(&reports, &network, hour);
        let mut order = Order::new(&targets, claims, &[Transport::Tcp], &[7; 32], 1);
        loop {
            let (spot, _) = order.next().expect("some are open");
            sum += 1;
            if open.contains(&spot.port()) && dice.below(10) > 0 {
                break;
            }
            order.failed(&spot);
        }
    }
    let mean = f64::from(sum) / f64::from(trials);
    assert!(mean <= 1.2, "{mean}");
}

#[test]
fn where_a_quiet_relay_answered_goes_first_and_everything_else_follows() {
    let quiet = targets(vec![endpoint(1, Ports::Quiet), endpoint(2, Ports::Quiet)]);
    let mut order = Order::new(&quiet, [], &Transport::ALL, &[5; 32], 1);
    let all = all(&mut order);
    let first: Vec<_> =
        all.iter().take(20).map(|(spot, _)| (spot.transport(), spot.port())).collect();
    assert_eq!(first[..2], [(Transport::Udp, 53), (Transport::Tcp, 443)], "by evidence");
    let quiet = QUIET_PORTS.into_iter().flat_map(|port| Transport::ALL.map(|it| (it, port)));
    assert_eq!(first.into_iter().collect::<HashSet<_>>(), quiet.collect());
    assert_eq!(all.len(), 4 * 65_534);

    // Beside one that answers everywhere neither waits for the other.
    let both = targets(vec![endpoint(1, Ports::Quiet), endpoint(2, Ports::All)]);
    let mut order = Order::new(&both, [], &Transport::ALL, &[5; 32], 1);
    let mut few: Vec<Spot> = (0..20).filter_map(|_| order.next()).map(|it| it.0).collect();
    few.retain(|spot| spot.relay() == 1);
    assert!(few.len() >= 10 && few.iter().all(|spot| QUIET_PORTS.contains(&spot.port())));
    let rest = self::all(&mut order);
    assert_eq!(rest.len() + 20, 4 * 65_534);
}

#[test]
fn datagrams_come_last_where_the_relay_took_none_and_are_never_left_out() {
    let takes = |datagrams| Endpoint { datagrams, ..endpoint(1, Ports::All) };
    for (datagrams, likely) in [(Datagrams::Nowhere, 0), (Datagrams::Low, 32_766)] {
        let targets = targets(vec![takes(datagrams)]);
        let mut order = Order::new(&targets, [], &Transport::ALL, &[5; 32], 1);
        let all = all(&mut order);
        assert_eq!(all.len(), 2 * 65_534, "{datagrams:?}");
        let (soon, late) = all.split_at(65_534 + likely);
        let is_udp = |(spot, _): &&(Spot, Shape)| spot.transport() == Transport::Udp;
        assert_eq!(soon.iter().filter(is_udp).count(), likely, "{datagrams:?}");
        assert!(late.iter().all(|it| is_udp(&it)), "{datagrams:?}");
    }
    // The same port at a relay that took them goes before.
    let both = targets(vec![
        Endpoint { datagrams: Datagrams::Nowhere, ..endpoint(1, Ports::All) },
        endpoint(2, Ports::All),
    ]);
    let mut order = Order::new(&both, [], &[Transport::Udp], &[5; 32], 1).once();
    assert!(all(&mut order).iter().all(|(spot, _)| spot.relay() == 2));
}
