use std::num::NonZeroU16;

use proptest::prelude::*;

use super::*;
use crate::bundle::{Datagrams, Ports};
use crate::crack::Network;
use crate::derive::{FleetKey, RelayId};
use crate::echo::{EchoKey, Shape, Transport};

/// A moment in the hour of [`statement`].
const NOW: u64 = 480_000 * 3600 + 1000;

fn organisers(number: u8) -> Signer {
    FleetKey::from_bytes([number; 32]).signer()
}

fn mask(number: u8) -> MaskKey {
    MaskKey([number; 8])
}

fn witness(signer: &Signer, number: u8, until: Day) -> Witness {
    let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([number; 16])).receipt_key();
    let certificate = Certificate::issue(signer, key.public(), &mask(number), until);
    Witness::new(key, certificate).expect("its own")
}

fn statement() -> Statement {
    Statement {
        passage: Passage {
            network: Network::As(9198),
            transport: Transport::Tcp,
            port: NonZeroU16::new(179).expect("a port"),
            shape: Shape::Random,
        },
        is_told: false,
        hour: Hour(480_000),
        rung: Rung::Through,
    }
}

/// Until the last day there is.
fn usual() -> Witness {
    witness(&organisers(1), 1, Day(20_000))
}

#[test]
fn a_receipt_counts_for_the_relay_that_signed_it_and_for_no_other() {
    let bytes = usual().sign(&statement());
    let receipt = Receipt::open(&bytes, &[organisers(1).public()], NOW).expect("it is good");
    assert_eq!(receipt.statement(), &statement());
    let endpoint = |number| Endpoint {
        v4: None,
        v6: None,
        ports: Ports::All,
        datagrams: Datagrams::Everywhere,
        echo_key: EchoKey([0; 16]),
        mask_key: mask(number),
        secret: None,
    };
    assert!(receipt.is_of(&endpoint(1)) && !receipt.is_of(&endpoint(2)));
}

#[test]
fn a_receipt_of_a_relay_that_nobody_vouches_for_is_worth_nothing() {
    let pinned = [organisers(1).public()];
    let bytes = witness(&organisers(2), 1, Day(20_000)).sign(&statement());
    assert_eq!(Receipt::open(&bytes, &pinned, NOW), Err(Worthless::UnknownSigner));
    // Nor when the relay says that the signer is another.
    let mut forged = bytes.clone();
    forged[1..9].copy_from_slice(&pinned[0].id());
    let end = forged.len() - SIGNATURE;
    let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([1; 16])).receipt_key();
    let signature = key.sign(Purpose::Receipt, &forged[..end]);
    forged[end..].copy_from_slice(&signature);
    assert_eq!(Receipt::open(&forged, &pinned, NOW), Err(Worthless::Forged));
    // And a certificate is for one key.
    let certificate = Certificate::issue(&organisers(1), key.public(), &mask(1), Day(1));
    assert_eq!(Witness::new(organisers(1), certificate).err(), Some(NotMine));
}

#[test]
fn a_receipt_says_the_same_for_everyone_and_nothing_of_anyone() {
    let one = usual().sign(&statement());
    assert_eq!(one, usual().sign(&statement()));
    let report = format!("{}\nand {}\n", Receipt::text(&one), Receipt::text(&one));
    assert_eq!(Receipt::find(&report, 10), [one], "it counts once");
}

#[test]
fn a_receipt_from_the_future_or_after_its_relays_time_is_worth_nothing() {
    let pinned = [organisers(1).public()];
    let at = |hour: u32, until| {
        let statement = Statement { hour: Hour(hour), ..statement() };
        let bytes = witness(&organisers(1), 1, Day(until)).sign(&statement);
        Receipt::open(&bytes, &pinned, NOW).map(|_| ())
    };
    assert_eq!(at(480_002, 20_000), Ok(()));
    assert_eq!(at(480_003, 20_000), Err(Worthless::Time));
    assert_eq!(at(480_000, 19_999), Err(Worthless::Time));
    assert_eq!(at(479_999, 19_999), Ok(()));
}

#[test]
fn the_receipts_of_a_report_are_found_among_anything_and_bounded() {
    let witness = usual();
    let receipts: Vec<Vec<u8>> = (0..20u32)
        .map(|hour| witness.sign(&Statement { hour: Hour(hour), ..statement() }))
        .collect();
    let lines: Vec<String> = receipts.iter().map(|bytes| Receipt::text(bytes)).collect();
    let report = format!("my report\n{}\nthe end", lines.join(" seen today\n"));
    assert_eq!(Receipt::find(&report, 100), receipts);
    assert_eq!(Receipt::find(&report, 5), receipts[..5]);
    assert!(Receipt::find("jaryq-receipt.!.", 5).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_receipt_is_read_as_it_was_signed_and_no_changed_one_is(
        network in prop_oneof![
            Just(Network::Unknown),
            any::<u32>().prop_map(Network::As),
            "[a-z][b-z-]{0,15}".prop_map(|name| name.parse().expect("a name")),
        ],
        port in 1..=u16::MAX,
        kind in (0..2usize, 0..4usize, 0..3usize, any::<bool>()),
        at in any::<prop::sample::Index>(),
    ) {
        let (transport, shape, rung, is_told) = kind;
        let passage = Passage {
            network,
            transport: Transport::ALL[transport],
            port: NonZeroU16::new(port).expect("a port"),
            shape: Shape::ALL[shape],
        };
        let said = Statement { passage, is_told, rung: Rung::ALL[rung], ..statement() };
        let bytes = usual().sign(&said);
        prop_assert!(bytes.len() <= LONGEST);
        let pinned = [organisers(1).public()];
        let read = Receipt::open(&bytes, &pinned, NOW).expect("it is good");
        prop_assert_eq!(read.statement(), &said);
        let mut changed = bytes;
        let bit = at.index(changed.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Receipt::open(&changed, &pinned, NOW).is_err());
    }
}
