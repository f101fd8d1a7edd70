use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::derive::{Epoch, FleetKey, KeyId, RelayId};
use crate::echo::BundleId;
use crate::receipt::Certificate;
use crate::signer::PublicKey;
use crate::tally::Day;

fn fleet() -> FleetKey {
    FleetKey::from_bytes([7; 32])
}

const RELAY: RelayId = RelayId([9; 16]);

fn invite() -> Invite {
    let hub = ["hub.example.org", "2001:db8::1"];
    let hub = hub.map(|host| HubAddress { host: host.to_owned(), port: 443 }).to_vec();
    let signer = fleet().signer().public();
    Invite { token: [1; 16], room: [2; 16], signer, pin: Pin::Certificate([3; 32]), hub }
}

fn capacity() -> Capacity {
    Capacity { people: 7_500, monthly: 20_000_000_000_000, can_open: true }
}

fn face() -> Face {
    Face { address: String::new(), port: 443, name: "orchards.example".to_owned() }
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        relay: RELAY,
        number: 5,
        order: 4,
        seats: 3,
        standing: Standing::Spent,
        capacity: capacity(),
        face: face(),
        health: Health { connections: 9, carried: 1 << 40, datacentres: (4, 5), busy: 50, up: 60 },
        over: 10_000,
        counted: vec![Counted { port: 443, network: 9198, connections: 12 }],
        abroad: vec![KeyId([4; 8])],
        version: "0.1.0".to_owned(),
    }
}

fn order() -> Order {
    let (key, signer) = (fleet().relay_key(&RELAY), fleet().signer());
    let witness = key.receipt_key().public();
    Order {
        relay: RELAY,
        number: 8,
        given: 1_800_000_000,
        next: 10,
        posture: Posture::All,
        carries: Carries::Telegram,
        epoch: Epoch(2),
        address: Some(IpAddr::from([198, 51, 100, 7])),
        is_reached: Some(true),
        certificate: Some(Certificate::issue(&signer, witness, &key.mask_key(), Day(21_000))),
        seats: Seats {
            from: 3,
            to: 6,
            gone: vec![KeyId([1; 8])],
            given: vec![Seat { key: KeyId([2; 8]), port: 2_049 }],
        },
        bundles: vec![BundleId([5; 16])],
        home: vec![9198, 29_355],
        fleet: vec![IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])],
        helped: 1_234,
        words: vec!["port 443 is blocked in AS9198; those people have another one".to_owned()],
    }
}

#[test]
fn everything_is_read_as_it_was_written() {
    assert_eq!(Invite::read(&format!("Paste this:\n{}\n", invite().text())), Ok(invite()));
    let enrolment = Enrolment {
        token: [1; 16],
        attempt: [2; 16],
        capacity: capacity(),
        face: face(),
        version: "0.1.0".to_owned(),
    };
    assert_eq!(Enrolment::read(&enrolment.write()), Ok(enrolment));
    let (key, signer) = (fleet().relay_key(&RELAY), fleet().signer());
    let said = heartbeat().write(&key);
    assert_eq!(Heartbeat::whose(&said), Some(RELAY));
    assert_eq!(Heartbeat::read(&said, &key), Ok(heartbeat()));
    let signed = order().sign(&signer);
    assert_eq!(signed.open(&signer.public(), RELAY), Ok(order()));
    let enrolled = Enrolled { id: RELAY, seed: fleet().relay_seed(&RELAY), order: signed };
    let read = Enrolled::read(&enrolled.write()).expect("whole");
    assert!(read == enrolled);
    assert_eq!(read.seed.key().hub_key(), key.hub_key(), "the same keys follow");
}

#[test]
fn an_order_is_of_one_fleet_for_one_relay() {
    let signed = order().sign(&fleet().signer());
    let other = FleetKey::from_bytes([8; 32]).signer().public();
    assert_eq!(signed.open(&other, RELAY), Err(Refused::Forged("order")));
    let ours = fleet().signer().public();
    assert_eq!(signed.open(&ours, RelayId([1; 16])), Err(Refused::Forged("order")));
    assert_eq!(signed.open(&PublicKey([0; 32]), RELAY), Err(Refused::Forged("order")));
}

#[test]
fn what_a_newer_version_writes_is_said() {
    let (mut bytes, signer) = (order().write(), fleet().signer());
    bytes[0] = 9;
    bytes.extend(signer.sign(crate::signer::Purpose::Order, &bytes));
    let read = SignedOrder::from_bytes(bytes).open(&signer.public(), RELAY);
    assert_eq!(read, Err(Refused::Newer("order", 9)));
}

proptest! {
    #[test]
    fn a_changed_byte_anywhere_is_noticed(place in 0.0..1.0f64, bit in 0..8u8) {
        let (key, signer) = (fleet().relay_key(&RELAY), fleet().signer());
        let spoil = |mut bytes: Vec<u8>| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let place = (place * bytes.len() as f64) as usize;
            bytes[place] ^= 1 << bit;
            bytes
        };
        let said = spoil(heartbeat().write(&key));
        prop_assert!(Heartbeat::read(&said, &key).is_err());
        let signed = spoil(order().sign(&signer).bytes().to_vec());
        prop_assert!(SignedOrder::from_bytes(signed).open(&signer.public(), RELAY).is_err());
    }

    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Enrolment::read(&bytes);
        let _ = Enrolled::read(&bytes);
        let _ = read("order", &bytes, 300, Order::fields);
        let _ = Invite::read(&crate::armour::text("jaryq-invite", &bytes));
    }
}
