use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::crack::{Hour, Network, Passage};
use crate::derive::Secret;
use crate::echo::{EchoKey, MaskKey, Shape, Transport};

/// A moment on the day on which they are made.
const NOW: u64 = 20_000 * 86_400 + 5000;

fn signer() -> Signer {
    Signer::from_seed(&[1; 32])
}

fn port(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a port")
}

fn endpoint(number: u8) -> Endpoint {
    Endpoint {
        v4: Some(Ipv4Addr::new(91, 198, 174, number)),
        v6: None,
        ports: Ports::Quiet,
        datagrams: Datagrams::Everywhere,
        echo_key: EchoKey([number; 16]),
        mask_key: MaskKey([number; 8]),
        secret: None,
    }
}

fn bundle(endpoints: Vec<Endpoint>) -> Bundle {
    let id = BundleId([7; 16]);
    Bundle { id, made: Day(20_000), expires: Day(20_030), endpoints, cracks: Vec::new() }
}

fn some_endpoint() -> impl Strategy<Value = Endpoint> {
    let public4 = any::<u32>().prop_map(Ipv4Addr::from);
    let public4 = public4.prop_filter("public", |four| forbidden((*four).into()).is_none());
    let public6 = any::<u128>().prop_map(|bits| Ipv6Addr::from(bits >> 3 | 1 << 125));
    let public6 = public6.prop_filter("public", |six| {
        forbidden((*six).into()).is_none() && six.segments()[0] != 0x2002
    });
    let addresses = prop_oneof![
        public4.clone().prop_map(|four| (Some(four), None)),
        public6.clone().prop_map(|six| (None, Some(six))),
        (public4, public6).prop_map(|(four, six)| (Some(four), Some(six))),
    ];
    let list = proptest::collection::hash_set((1..=u16::MAX).prop_map(port), 1..=MOST_PORTS);
    let ports = prop_oneof![
        Just(Ports::All),
        Just(Ports::Quiet),
        list.clone().prop_map(|list| Ports::List(list.into_iter().collect())),
        list.prop_map(|list| Ports::First(list.into_iter().collect())),
    ];
    let kinds = [Datagrams::Everywhere, Datagrams::Low, Datagrams::Nowhere];
    let ports = (ports, proptest::sample::select(kinds.to_vec()));
    (addresses, ports, any::<([u8; 16], [u8; 8])>(), any::<Option<[u8; 16]>>()).prop_map(
        |((v4, v6), (ports, datagrams), (echo, mask), secret)| Endpoint {
            v4,
            v6,
            ports,
            datagrams,
            echo_key: EchoKey(echo),
            mask_key: MaskKey(mask),
            secret: secret.map(Secret),
        },
    )
}

fn some_crack() -> impl Strategy<Value = Crack> {
    let network = prop_oneof![
        Just(Network::Unknown),
        any::<u32>().prop_map(Network::As),
        "[a-z][b-z-]{0,14}".prop_map(|name| name.parse().expect("a name")),
    ];
    let kind = (any::<bool>(), 0..4usize);
    (network, kind, 1..=u16::MAX, 0..=Hour::LAST.0, any::<u16>()).prop_map(
        |(network, (udp, shape), number, hour, receipts)| Crack {
            passage: Passage {
                network,
                transport: if udp { Transport::Udp } else { Transport::Tcp },
                port: port(number),
                shape: Shape::ALL[shape],
            },
            seen: Hour(hour),
            receipts,
        },
    )
}

/// Of any number of endpoints: the format has room for more than is handed out.
fn some_bundle(most: usize) -> impl Strategy<Value = Bundle> {
    let days = (0..=65_000i64, 0..=i64::from(LONGEST_LIFE));
    let endpoints = vec(some_endpoint(), 1..=most);
    (any::<[u8; 16]>(), days, endpoints, vec(some_crack(), 0..=MOST_CRACKS)).prop_map(
        |(id, (made, life), endpoints, cracks)| Bundle {
            id: BundleId(id),
            made: Day(made),
            expires: Day(made + life),
            endpoints,
            cracks,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_bundle_is_read_as_it_was_written(bundle in some_bundle(MOST_ENDPOINTS)) {
        let now = u64::try_from(bundle.made.start()).expect("after 1970");
        let sealed = Sealed::sign(bundle.clone(), &signer());
        for text in [sealed.text(), sealed.capitals()] {
            prop_assert!(text.is_ascii());
            let read = Bundle::open(&text, &[signer().public()], now);
            prop_assert_eq!(&*read.expect("it is whole"), &bundle);
        }
    }

    #[test]
    fn a_bundle_in_which_one_bit_was_changed_is_never_used(
        bundle in some_bundle(3),
        at in any::<prop::sample::Index>(),
    ) {
        let now = u64::try_from(bundle.made.start()).expect("after 1970");
        let sealed = Sealed::sign(bundle, &signer());
        let mut bytes = sealed.bytes().to_vec();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let read = Sealed::read_bytes(&bytes);
        prop_assert!(read.and_then(|read| read.trust(&[signer().public()], now)).is_err());
    }

    #[test]
    fn whatever_is_read_is_written_in_the_same_bytes(bytes in vec(any::<u8>(), 0..300)) {
        // Mostly nonsense; the fuzzer knows better ways.
        if let Ok((bundle, signer)) = Bundle::parse(&bytes) {
            prop_assert_eq!(bundle.write(&signer), bytes);
        }
    }
}

#[test]
fn a_hundred_relays_fit_in_four_kilobytes_as_text() {
    let endpoints = (1..=100).map(endpoint).collect();
    let sealed = Sealed::sign(bundle(endpoints), &signer());
    assert!(sealed.text().len() <= 4096, "{} letters", sealed.text().len());
    let read = Bundle::open(&sealed.text(), &[signer().public()], NOW).expect("whole");
    assert_eq!(read.endpoints.len(), 100);
}

#[test]
fn no_more_than_eight_relays_are_handed_out() {
    assert!(bundle((1..=8).map(endpoint).collect()).seal(&signer()).is_ok());
    let nine = bundle((1..=9).map(endpoint).collect()).seal(&signer());
    assert_eq!(nine, Err(Unfit::TooMany(9)));
}

#[test]
fn a_bundle_of_an_unknown_signer_is_refused_and_its_words_are_shown() {
    let text = bundle(vec![endpoint(1)]).seal(&signer()).expect("fits").text();
    let stranger = Signer::from_seed(&[2; 32]).public();
    for pinned in [&[][..], &[stranger]] {
        let refused = Bundle::open(&text, pinned, NOW).expect_err("nobody knows them");
        assert_eq!(refused, Refused::UnknownSigner(signer().public()));
        let words = signer().public().fingerprint().to_string();
        assert!(refused.to_string().contains(&words), "{refused}");
    }
    assert!(Bundle::open(&text, &[stranger, signer().public()], NOW).is_ok());
}

#[test]
fn a_bundle_is_good_until_the_end_of_its_last_day() {
    let text = bundle(vec![endpoint(1)]).seal(&signer()).expect("fits").text();
    let open = |now| Bundle::open(&text, &[signer().public()], now);
    assert!(open(20_031 * 86_400 - 1).is_ok());
    let refused = open(20_031 * 86_400).expect_err("it is over");
    assert!(refused.to_string().contains("until 2024-11-03"), "{refused}");
}

#[test]
fn no_bundle_leads_where_no_relay_can_be() {
    for bad in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "224.0.0.1", "192.168.1.1", "0.0.0.0"] {
        let v4: Ipv4Addr = bad.parse().expect("an address");
        let v6 = Some(v4.to_ipv6_mapped());
        for endpoint in [
            Endpoint { v4: Some(v4), ..endpoint(1) },
            Endpoint { v4: None, v6, ..endpoint(1) },
            Endpoint { v6: "fd00::1".parse().ok(), ..endpoint(1) },
        ] {
            let bundle = bundle(vec![endpoint]);
            let refused = bundle.clone().seal(&signer()).expect_err("it leads to somebody else");
            assert!(matches!(refused, Unfit::Refused(Refused::Address(..))), "{refused}");
            // Nor when somebody signs such a one all the same.
            let text = Sealed::sign(bundle, &signer()).text();
            let refused = Bundle::open(&text, &[signer().public()], NOW);
            assert!(matches!(refused, Err(Refused::Address(..))), "{bad}");
        }
    }
}

#[test]
fn what_is_newer_damaged_or_not_there_is_refused_and_told_apart() {
    let good = bundle(vec![endpoint(1)]).seal(&signer()).expect("fits");
    let signed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = good.bytes()[..good.bytes().len() - 64].to_vec();
        change(&mut body);
        body.extend(signer().sign(crate::signer::Purpose::Bundle, &body));
        Sealed::read_bytes(&body).expect_err("it was changed")
    };
    assert_eq!(signed(&|body| body[0] = 2), Refused::Newer(2));
    assert_eq!(signed(&|body| body[1] = 1), Refused::UnknownFlags);
    // The flags of the first endpoint.
    assert_eq!(signed(&|body| body[55] |= 1 << 7), Refused::UnknownFlags);
    assert_eq!(signed(&|body| body[55] |= 3 << 5), Refused::UnknownFlags);
    assert!(matches!(signed(&|body| body[54] = 2), Refused::Damaged(_)));
    assert!(matches!(signed(&|body| body.push(0)), Refused::Damaged(_)));
    assert!(matches!(signed(&|body| body[19] = 0xff), Refused::Damaged(_)), "endless");
    let text = good.text();
    for nothing in ["", "hello", &text[..text.len() - 1], &text.replace("bundle.", "bundle,")] {
        assert_eq!(Sealed::read(nothing), Err(Refused::Absent), "{nothing}");
    }
}

#[test]
fn relays_that_are_none_or_one_twice_are_refused() {
    let list = |ports: &[u16]| Ports::List(ports.iter().copied().map(port).collect());
    let many: Vec<u16> = (1..=17).collect();
    for endpoints in [
        vec![],
        vec![Endpoint { v4: None, ..endpoint(1) }],
        vec![endpoint(1), endpoint(2), endpoint(1)],
        vec![Endpoint { v6: "::ffff:1.1.1.1".parse().ok(), ..endpoint(1) }],
        vec![Endpoint { v6: "64:ff9b::1.1.1.1".parse().ok(), ..endpoint(1) }],
        vec![Endpoint { v6: "2002:101:101::1".parse().ok(), ..endpoint(1) }],
        vec![Endpoint { v6: "2a00:1450::5efe:101:101".parse().ok(), ..endpoint(1) }],
        vec![Endpoint { v6: "2a00:1450::200:5efe:101:101".parse().ok(), ..endpoint(1) }],
        vec![Endpoint { ports: list(&[]), ..endpoint(1) }],
        vec![Endpoint { ports: Ports::First(Vec::new()), ..endpoint(1) }],
        vec![Endpoint { ports: list(&[1, 2, 1]), ..endpoint(1) }],
        vec![Endpoint { ports: list(&many), ..endpoint(1) }],
    ] {
        let refused = bundle(endpoints.clone()).seal(&signer());
        assert!(matches!(refused, Err(Unfit::Refused(Refused::Damaged(_)))), "{endpoints:?}");
    }
}

#[test]
fn a_bundle_that_was_made_before_a_cut_leads_to_every_port_in_it_but_where_a_list_was_given() {
    let some = vec![port(8443), port(179)];
    for (ports, may, first) in [
        (Ports::All, true, vec![]),
        (Ports::Quiet, true, QUIET_PORTS.into_iter().map(port).collect()),
        (Ports::First(some.clone()), true, some.clone()),
        (Ports::List(some.clone()), false, some.clone()),
    ] {
        assert_eq!(ports.may_have(port(50_001)), may, "{ports:?}");
        assert_eq!(ports.first(), first);
        assert!(first.into_iter().all(|port| ports.may_have(port)));
    }
}

#[test]
fn the_format_never_changes() {
    let mut bundle = bundle(vec![Endpoint {
        v6: "2a00:1450::1".parse().ok(),
        ports: Ports::List(vec![port(443), port(179)]),
        secret: Some(Secret([9; 16])),
        ..endpoint(1)
    }]);
    bundle.cracks.push(Crack {
        passage: Passage {
            network: Network::As(9198),
            transport: Transport::Udp,
            port: port(53),
            shape: Shape::Dns,
        },
        seen: Hour(480_000),
        receipts: 3,
    });
    let bytes = bundle.write(&PublicKey([5; 32]));
    let expected = [
        "0100",
        &"07".repeat(16),
        "4e204e3e",
        &"05".repeat(32),
        "01",
        "1b5bc6ae01",
        "2a001450000000000000000000000001",
        "0201bb00b3",
        &"01".repeat(16),
        &"01".repeat(8),
        &"09".repeat(16),
        "01",
        "0f000023ee0035",
        "0753000003",
    ]
    .concat();
    assert_eq!(data_encoding::HEXLOWER.encode(&bytes), expected);
}

#[test]
fn a_day_is_written_as_calendars_have_it() {
    for (day, text) in [
        (0, "1970-01-01"),
        (59, "1970-03-01"),
        (789, "1972-02-29"),
        (11_016, "2000-02-29"),
        (20_000, "2024-10-04"),
        (65_535, "2149-06-06"),
    ] {
        assert_eq!(date(Day(day)), text);
    }
}

#[test]
fn no_secret_is_in_what_is_printed_for_debugging() {
    let secret = Some(Secret([0xee; 16]));
    let sealed = bundle(vec![Endpoint { secret, ..endpoint(0xdd) }]).seal(&signer()).expect("fits");
    let printed = format!("{sealed:?}");
    assert!(!printed.contains("221, 221") && !printed.contains("238, 238"), "{printed}");
}
