//! What the way of a first flight costs, in instructions: a clock is too noisy to see a tenth.
//!
//! Callgrind counts this very program, once with few repetitions and once with many, so that its start
//! drops out. It shows every x86-64 machine the same processor, one with AES and AVX2 but without
//! instructions for SHA: so real machines need fewer, and all of them the same here. A release build is
//! counted; `./test` does that.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::SystemTime;

use relay::{Flow, Keys, Relay, Settings};
use wire::classify::classify;
use wire::derive::{Epoch, FleetKey, Form, KeyId, Person, RelayId, RelayKey, Secret};
use wire::echo::{Asker, BundleId, Kind, Piece, Shape, Transport, Wanted};
use wire::mtproto::DcId;
use wire::mtproto::faketls;
use wire::mtproto::obfuscated::{self, Dial, Tag};
use wire::tls::hello::ClientHello;

/// What is counted, how often it is repeated, and how many thousand instructions it takes. Whoever
/// changes one on purpose changes it here. In a handshake, what the client does before its first
/// flight is counted too.
const TABLE: [(&str, usize, f64); 10] = [
    ("classify", 20_000, 0.35),
    ("a bucket of 100 keys, dd", 50, 410.0),
    ("a bucket of 100 keys, ee", 10, 6800.0),
    ("handshake, dd", 500, 24.5),
    ("handshake, ee", 50, 598.0),
    ("one key more among 4,000", 20, 2880.0),
    ("nobody's bytes among 1,000 bundles", 10_000, 5.2),
    ("nobody's datagram among 1,000 bundles", 10_000, 2.3),
    ("a bundle's question by datagram", 500, 71.0),
    ("a piece of a climb by datagram", 9_000, 9.2),
];
/// So many pieces go with each question of a climb.
const OF_A_CLIMB: usize = 300;
/// How far a count may be from the table's: compilers differ too.
const TOLERANCE: f64 = 0.1;

/// Says to this program what to do, and how often.
const CASE: &str = "JARYQ_COUNTED_CASE";

const HELLO: &[u8] = include_bytes!("../../wire/tests/flights/tdlib-ee");
const EPOCH: Epoch = Epoch(1);

fn house(keys: u64) -> (RelayKey, Vec<KeyId>, Relay) {
    let (fleet, id) = (FleetKey::from_bytes([1; 32]), RelayId([2; 16]));
    let key = fleet.relay_key(&id);
    let ids: Vec<KeyId> = (0..keys).map(|n| fleet.pseudonym(&id, Person(n))).collect();
    let (relay, _notices) = Relay::new(&key, EPOCH, Settings::default());
    relay.set_keys(Keys { telegram: &ids, ..Keys::default() });
    (key, ids, relay)
}

const FLOW: Flow = Flow {
    from: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 50_000),
    to: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 179),
};

/// A relay with a thousand bundles, and what one of them says.
fn with_bundles() -> (Asker, Relay) {
    let (key, _, relay) = house(1);
    let bundles: Vec<BundleId> = (0..1_000u64)
        .map(|n| BundleId([n.to_be_bytes(); 2].concat().try_into().expect("16")))
        .collect();
    relay.set_bundles(&bundles);
    (Asker::new(&key.echo_key(bundles[500]), &key.mask_key()), relay)
}

fn question(asker: &Asker, number: usize) -> [u8; 64] {
    let time = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let time = u32::try_from(time).expect("before 2106");
    let wanted = Wanted {
        transport: Transport::Udp,
        shape: Shape::Random,
        relay: FLOW.to,
        time,
        near: None,
    };
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    asker.ask(&wanted, nonce)
}

/// The same with something else where a question names its bundle: how far a table is searched for it
/// is chance.
fn another(flight: &[u8], number: usize) -> Vec<u8> {
    let mut flight = flight.to_vec();
    for (byte, more) in flight[12..].iter_mut().zip(number.to_le_bytes()) {
        *byte ^= more;
    }
    flight
}

fn hello(secret: &Secret) -> Vec<u8> {
    let mut hello = HELLO.to_vec();
    faketls::sign_hello(&mut hello, secret, 1_800_000_000);
    hello
}

/// Does one thing so many times.
fn repeat(case: &str, times: usize) {
    let peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
    let nobody = Secret([0; 16]);
    let dial = Dial::new(Tag::Padded, DcId(2), Some(&nobody));
    match case {
        "classify" => {
            for _ in 0..times {
                for cut in [1, 4, 64, 517, 1400, HELLO.len()] {
                    black_box(classify(black_box(&HELLO[..cut])));
                }
                black_box(classify(black_box(&dial.flight)));
            }
        }
        // Without a bucket, up to 256 keys are searched in the same way.
        "a bucket of 100 keys, dd" => {
            let (_, _, relay) = house(100);
            for _ in 0..times {
                black_box(relay.whose_at_once(peer, 443, black_box(&dial.flight)));
            }
        }
        "a bucket of 100 keys, ee" => {
            let ((_, _, relay), hello) = (house(100), hello(&nobody));
            for _ in 0..times {
                black_box(relay.whose_at_once(peer, 443, black_box(&hello)));
            }
        }
        "handshake, dd" => {
            let (key, ids, relay) = house(1);
            let secret = key.secret(Form::Telegram, ids[0], EPOCH);
            for _ in 0..times {
                let dial = Dial::new(Tag::Padded, DcId(2), Some(&secret));
                assert_eq!(relay.whose_at_once(peer, 443, &dial.flight), Some(ids[0]));
                let opened = obfuscated::open(&dial.flight, Some(&secret)).expect("it fits");
                black_box(Dial::fast(&opened));
            }
        }
        "handshake, ee" => {
            let (key, ids, relay) = house(1);
            let secret = key.secret(Form::Telegram, ids[0], EPOCH);
            let record = hello(&secret);
            for _ in 0..times {
                assert_eq!(relay.whose_at_once(peer, 443, &record), Some(ids[0]));
                let hello = ClientHello::read(&record).expect("a hello");
                black_box(faketls::open(&hello, &secret));
                black_box(faketls::server_flight(&hello, &secret, &faketls::Look::usual(3000)));
                let dial = Dial::new(Tag::Padded, DcId(2), Some(&secret));
                let opened = obfuscated::open(&dial.flight, Some(&secret)).expect("it fits");
                black_box(Dial::fast(&opened));
            }
        }
        "one key more among 4,000" => {
            let (_, ids, relay) = house(4_000);
            for turn in 0..times {
                let telegram = &ids[..ids.len() - turn % 2];
                relay.set_keys(Keys { telegram, ..Keys::default() });
            }
        }
        "nobody's bytes among 1,000 bundles" => {
            let (_, relay) = with_bundles();
            for turn in 0..times {
                assert!(!relay.is_asked(black_box(&another(&dial.flight, turn))));
                assert!(!relay.is_asked(black_box(&another(HELLO, turn))));
            }
        }
        "nobody's datagram among 1,000 bundles" => {
            let (_, relay) = with_bundles();
            for turn in 0..times {
                assert_eq!(relay.said_to(&FLOW, black_box(&another(&dial.flight, turn))), None);
            }
        }
        "a bundle's question by datagram" => {
            let (asker, relay) = with_bundles();
            for turn in 0..times {
                assert!(relay.said_to(&FLOW, &question(&asker, turn)).is_some());
            }
        }
        "a piece of a climb by datagram" => {
            let (asker, relay) = with_bundles();
            let piece = Piece { kind: Kind::Load, number: 7, received: 0, body: Vec::new() };
            // More than a few of a climb are not heard.
            for turn in 0..times / OF_A_CLIMB {
                let asked = question(&asker, turn);
                assert!(relay.said_to(&FLOW, &asked).is_some());
                let sealed = asker.climb(&asked).seal(&piece);
                for _ in 0..OF_A_CLIMB {
                    assert!(relay.said_to(&FLOW, black_box(&sealed)).is_some());
                }
            }
        }
        _ => panic!("there is no case '{case}'"),
    }
}

/// How many instructions it takes to repeat something so many times.
fn count(case: &str, times: usize) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", NAME, "--test-threads=1"])
        .env(CASE, format!("{case}/{times}"))
        .output()
        .expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    collected.and_then(|(_, count)| count.trim().parse().ok()).expect("a count")
}

const NAME: &str = "no_way_of_a_first_flight_takes_a_tenth_more_instructions_than_in_the_table";

#[test]
#[ignore = "counts a release build with valgrind, as ./test does"]
fn no_way_of_a_first_flight_takes_a_tenth_more_instructions_than_in_the_table() {
    if let Ok(asked) = std::env::var(CASE) {
        let (case, times) = asked.split_once('/').expect("a case and a number");
        return repeat(case, times.parse().expect("a number"));
    }
    let mut wrong = String::new();
    for (case, times, thousands) in TABLE {
        // What comes before the first repetition drops out, and so does what the first one starts.
        let counted = (count(case, times + 2) - count(case, 2)) / times as f64 / 1000.0;
        eprintln!("{case}: {counted:.2} thousand, {thousands} in the table");
        if (counted / thousands - 1.0).abs() > TOLERANCE {
            wrong += &format!("\n{case}: {counted:.2} thousand, not {thousands}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
