use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wire::bundle::{Datagrams, Endpoint, Ports};
use wire::echo::{Shape, Transport};

use super::*;
use crate::peer::{Manner, endpoint, serve};
use crate::{Rung, Verdict};

use Transport::{Tcp, Udp};

/// What a search says of ports at which this is met.
fn verdicts(net: u8, met: &[(Transport, u16, Manner)], options: Options) -> Map {
    let ip = IpAddr::from([127, 77, net, 1]);
    for &(transport, port, manner) in met {
        serve((ip, port).into(), transport, manner);
    }
    let mut ports: Vec<u16> = met.iter().map(|(_, port, _)| *port).collect();
    ports.dedup();
    let targets = Targets::untrusted(&[endpoint(ip, &ports)]);
    let (search, events) = Search::start(targets, options).expect("a search");
    for event in events {
        if let Event::Finding(finding) = event {
            eprintln!("{:?} {} {}", finding.spot, finding.shape, finding.verdict);
        }
    }
    search.join()
}

fn at_once() -> Options {
    let mode = Mode::Loud;
    Options { mode, is_enrolled: true, stays: false, enough: None, ..Options::default() }
}

fn at(map: &Map, transport: Transport, port: u16) -> Vec<(Shape, Verdict)> {
    let here = map
        .findings
        .iter()
        .filter(|finding| (finding.spot.transport(), finding.spot.port()) == (transport, port));
    here.map(|finding| (finding.shape, finding.verdict)).collect()
}

#[test]
fn what_is_met_is_told_apart() {
    let met = [
        (Tcp, 20_001, Manner::Honest),
        (Tcp, 20_002, Manner::Mute),
        (Tcp, 20_003, Manner::Page),
        (Tcp, 20_004, Manner::Repeat),
        (Tcp, 20_005, Manner::Rewritten(20_001)),
        (Tcp, 20_006, Manner::FrozenDown(20)),
        (Tcp, 20_007, Manner::FrozenUp(40)),
        (Tcp, 20_008, Manner::Reset(12)),
        (Tcp, 20_009, Manner::Only(Shape::Tls)),
        (Tcp, 20_010, Manner::Slow(Duration::from_millis(60))),
        (Udp, 20_011, Manner::Honest),
        (Udp, 20_012, Manner::Mute),
        (Udp, 20_013, Manner::Repeat),
        (Udp, 20_014, Manner::FrozenDown(20)),
    ];
    let map = verdicts(1, &met, at_once());
    let is = |transport, port, verdict| {
        let met = at(&map, transport, port);
        assert!(met.contains(&(Shape::Random, verdict)), "{port}: {met:?}");
    };
    is(Tcp, 20_001, Verdict::Verified(Rung::Load));
    is(Tcp, 20_002, Verdict::Mute);
    is(Tcp, 20_003, Verdict::Liar);
    is(Tcp, 20_004, Verdict::Liar);
    is(Tcp, 20_005, Verdict::Rewritten { saw: 20_001 });
    // 20 pieces down and 40 up, of three quarters of a KiB and up to 400 bytes of noise each.
    let down = at(&map, Tcp, 20_006)[0].1;
    assert!(matches!(down, Verdict::Frozen { up: None, down: Some(15..=23) }), "{down:?}");
    let up = at(&map, Tcp, 20_007)[0].1;
    assert!(matches!(up, Verdict::Frozen { up: Some(30..=46), down: None }), "{up:?}");
    assert!(matches!(at(&map, Tcp, 20_008)[0].1, Verdict::Reset { after: 1..=14 }));
    is(Tcp, 20_009, Verdict::Mute);
    assert!(at(&map, Tcp, 20_009).contains(&(Shape::Tls, Verdict::Verified(Rung::Load))));
    assert!(matches!(at(&map, Tcp, 20_010)[0].1, Verdict::Throttled { rate: 1..=14 }));
    is(Tcp, 20_011, Verdict::Refused);
    is(Udp, 20_011, Verdict::Verified(Rung::Load));
    is(Udp, 20_012, Verdict::Dropped);
    // Nobody listens there, and the machine says so.
    is(Udp, 20_001, Verdict::Refused);
    is(Udp, 20_013, Verdict::Liar);
    assert!(matches!(at(&map, Udp, 20_014)[0].1, Verdict::Frozen { .. }));
    // Datagrams that are late on a busy machine are sent again, and count twice.
    let over_tcp = map.findings.iter().filter(|finding| finding.spot.transport() == Tcp);
    let most = over_tcp.map(|finding| finding.bytes).max();
    assert!(most.is_some_and(|bytes| bytes <= 200_000), "{most:?}");
    let picky: Vec<u16> = map.picky().iter().map(|(crack, _)| crack.spot.port()).collect();
    assert_eq!(picky, [20_009]);
}

/// Somebody says that this passes: it is asked in that shape.
fn report(transport: Transport, port: u16, shape: Shape) -> Report {
    let port = port.try_into().expect("not 0");
    let passage = wire::crack::Passage { network: Network::Unknown, transport, port, shape };
    Report { passage, hour: wire::crack::Hour(0), source: crate::Source::Word(1) }
}

#[test]
fn a_freeze_upwards_is_told_in_every_shape() {
    for (net, shape) in (20..).zip(Shape::ALL) {
        let reports = vec![report(Tcp, 20_001, shape)];
        let met = [(Tcp, 20_001, Manner::FrozenUp(40))];
        let map = verdicts(net, &met, Options { reports, transports: vec![Tcp], ..at_once() });
        // Text has 8 letters for 5 bytes.
        let [(_, Verdict::Frozen { up: Some(30..=56), down: None })] = at(&map, Tcp, 20_001)[..]
        else {
            panic!("{shape}: {:?}", map.findings);
        };
        assert!(map.findings[0].bytes <= 200_000, "{shape}: {:?}", map.findings);
    }
}

#[test]
fn every_shape_climbs_over_both_transports() {
    for (net, shape) in (2..).zip(Shape::ALL) {
        let met = [(Tcp, 20_001, Manner::Honest), (Udp, 20_001, Manner::Honest)];
        let ip = IpAddr::from([127, 77, net, 1]);
        let reports = Transport::ALL.map(|transport| report(transport, 20_001, shape)).to_vec();
        let map = verdicts(net, &met, Options { reports, ..at_once() });
        for transport in Transport::ALL {
            let found = at(&map, transport, 20_001);
            assert_eq!(found, [(shape, Verdict::Verified(Rung::Load))], "{ip} {transport}");
        }
    }
}

#[test]
fn all_ports_of_a_machine_are_swept_and_what_passes_is_found() {
    let open = [1_025, 7_777, 20_000, 44_444, 65_535];
    let ip = IpAddr::from([127, 77, 9, 1]);
    for port in open {
        for transport in Transport::ALL {
            serve(SocketAddr::new(ip, port), transport, Manner::Honest);
        }
    }
    let targets = Targets::untrusted(&[endpoint(ip, &[])]);
    let options = Options { loud_tcp: 20_000, ..at_once() };
    let (search, _) = Search::start(targets, options).expect("a search");
    let map = search.join();
    assert!(map.is_whole);
    for transport in Transport::ALL {
        let cracks = map.cracks().filter(|finding| finding.spot.transport() == transport);
        let mut found: Vec<u16> = cracks.map(|finding| finding.spot.port()).collect();
        found.sort_unstable();
        assert_eq!(found, open, "{transport}");
    }
    // All but the mail servers' port.
    let spots = map.findings.iter().map(|finding| finding.spot.key());
    assert_eq!(spots.collect::<HashSet<_>>().len(), 2 * 65_534);
}

#[test]
fn silence_is_called_dropped_only_where_the_relay_is_known_to_answer() {
    let met = [
        (Tcp, 20_001, Manner::Honest),
        (Udp, 20_001, Manner::Mute),
        (Udp, 20_002, Manner::Mute),
        (Udp, 40_001, Manner::Mute),
    ];
    let ask = |net, datagrams| {
        let ip = IpAddr::from([127, 77, net, 1]);
        for (transport, port, manner) in met {
            serve((ip, port).into(), transport, manner);
        }
        let ports = [20_001, 40_001].map(|port| port.try_into().expect("not 0")).to_vec();
        let endpoint = Endpoint { ports: Ports::First(ports), datagrams, ..endpoint(ip, &[]) };
        let reports = met.map(|(transport, port, _)| report(transport, port, Shape::Tls)).to_vec();
        let at_most = Duration::from_secs(5);
        let options = Options { reports, at_most, stays: false, ..Options::default() };
        let targets = Targets::untrusted(&[endpoint]);
        let (search, _) = Search::start(targets, options).expect("a search");
        let map = search.join();
        let met = met.map(|(transport, port, _)| at(&map, transport, port)[0].1);
        assert_eq!(met[0], Verdict::Verified(Rung::Load));
        [met[1], met[2], met[3]]
    };
    let (dropped, none) = (Verdict::Dropped, Verdict::NoResponse);
    assert_eq!(ask(30, Datagrams::Everywhere), [dropped, none, dropped]);
    assert_eq!(ask(31, Datagrams::Low), [dropped, none, none]);
    assert_eq!(ask(32, Datagrams::Nowhere), [none; 3]);
}

#[test]
fn an_answer_that_is_cut_is_told_as_frozen_and_one_that_is_none_as_a_lie() {
    let met = [
        (Tcp, 20_001, Manner::Cut(1_500)),
        (Tcp, 20_002, Manner::Cut(1_500)),
        (Tcp, 20_003, Manner::Cut(40)),
        (Tcp, 20_004, Manner::Page),
    ];
    let shapes = [Shape::Tls, Shape::Printable, Shape::Random, Shape::Printable];
    let reports = met.iter().zip(shapes).map(|(met, shape)| report(Tcp, met.1, shape)).collect();
    let map = verdicts(33, &met, Options { reports, ..at_once() });
    let cut = Verdict::Frozen { up: None, down: Some(1) };
    assert!(at(&map, Tcp, 20_001).contains(&(Shape::Tls, cut)), "{:?}", map.findings);
    assert!(at(&map, Tcp, 20_002).contains(&(Shape::Printable, cut)), "{:?}", map.findings);
    // Noise so short comes whole, or not at all.
    assert!(at(&map, Tcp, 20_003).contains(&(Shape::Random, Verdict::Liar)));
    assert!(at(&map, Tcp, 20_004).contains(&(Shape::Printable, Verdict::Liar)));
}

#[test]
fn datagrams_in_a_shape_that_does_not_pass_are_tried_in_another() {
    let ip = IpAddr::from([127, 77, 34, 1]);
    serve((ip, 3_784).into(), Udp, Manner::Only(Shape::Tls));
    let targets = Targets::untrusted(&[endpoint(ip, &[3_784])]);
    let options = Options { transports: vec![Udp], stays: false, ..Options::default() };
    for options in [options.clone(), Options { is_enrolled: true, mode: Mode::Loud, ..options }] {
        let (search, _) = Search::start(targets.clone(), options).expect("a search");
        let map = search.join();
        let met = at(&map, Udp, 3_784);
        assert!(met.contains(&(Shape::Random, Verdict::Dropped)), "{met:?}");
        assert!(met.contains(&(Shape::Tls, Verdict::Verified(Rung::Load))), "{met:?}");
    }
}

#[test]
fn a_search_ends_when_it_is_told_to() {
    let ip = IpAddr::from([127, 77, 10, 1]);
    let targets = Targets::untrusted(&[endpoint(ip, &[])]);
    let (search, events) = Search::start(targets, Options::default()).expect("a search");
    let first = events.iter().find(|event| matches!(event, Event::Finding(_)));
    assert!(first.is_some());
    search.stop();
    let map = search.join();
    assert!(!map.is_whole && map.took < Duration::from_secs(30), "{:?}", map.took);
}

#[test]
fn nothing_is_loud_towards_a_relay_that_has_not_answered() {
    let targets = Targets::untrusted(&[endpoint(IpAddr::from([127, 77, 11, 1]), &[])]);
    let at_most = Duration::from_secs(1);
    let options = Options { is_enrolled: false, at_most, ..at_once() };
    let (search, _) = Search::start(targets, options).expect("a search");
    let map = search.join();
    assert!((5..=12).contains(&map.findings.len()), "{}", map.findings.len());
}

#[test]
fn a_relay_that_has_answered_is_searched_loudly() {
    let ip = IpAddr::from([127, 77, 12, 1]);
    // One that is asked early, and one that is not.
    for port in [3_785, 40_000] {
        serve((ip, port).into(), Tcp, Manner::Honest);
    }
    let options = Options { is_enrolled: false, transports: vec![Tcp], ..at_once() };
    let (search, _) =
        Search::start(Targets::untrusted(&[endpoint(ip, &[])]), options).expect("a search");
    let map = search.join();
    let mut found: Vec<u16> = map.cracks().map(|finding| finding.spot.port()).collect();
    found.sort_unstable();
    assert_eq!(found, [3_785, 40_000]);
}

#[test]
fn what_passes_at_one_relay_is_tried_at_the_other() {
    let ips = [13, 14].map(|net| IpAddr::from([127, 77, net, 1]));
    for ip in ips {
        serve((ip, 20_001).into(), Tcp, Manner::Honest);
    }
    let targets = Targets::untrusted(&ips.map(|ip| endpoint(ip, &[20_001])));
    let options = Options { enough: Some(1), stays: false, ..Options::default() };
    let (search, _) = Search::start(targets, options).expect("a search");
    let map = search.join();
    assert_eq!(map.cracks().map(|it| it.spot.relay()).collect::<HashSet<_>>().len(), 2);
}
