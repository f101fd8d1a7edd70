//! What a relay signs for whoever has climbed.

use wire::crack::{Hour, Network, Passage};
use wire::echo::climb::PIECES;
use wire::echo::{Shape, Transport};
use wire::receipt::{Receipt, Rung, Statement};

use crate::asker::now;
use crate::world::{Kind, World, signer};

fn read(receipt: &[u8]) -> Statement {
    let receipt = Receipt::open(receipt, &[signer().public()], now().into());
    receipt.expect("the relay's own").statement().clone()
}

#[test]
fn it_says_which_way_was_taken_and_how_far_and_the_network_as_its_holder_calls_it() {
    let world = World::with_receipts(None);
    let mut reached = world.endpoint().ask(Shape::Dns).expect("an answer");
    let told = reached.receipt(b"beeline-kz", 0).expect("a receipt");
    let port = world.at.port().try_into().expect("a port");
    let passage = |network: &str| {
        let network: Network = network.parse().expect("a network");
        Passage { network, transport: Transport::Tcp, port, shape: Shape::Dns }
    };
    let expected = Statement {
        passage: passage("beeline-kz"),
        is_told: true,
        hour: Hour::at(now().into()),
        rung: Rung::Echo,
    };
    assert_eq!(read(&told), expected);
    for nothing in [&b""[..], b"unknown", b"Some Provider & Sons", &[0xff; 32], &[b'a'; 700]] {
        let said = read(&reached.receipt(nothing, 0).expect("a receipt"));
        assert_eq!((said.passage.network, said.is_told), (Network::Unknown, false));
    }
    reached.climb(PIECES).expect("all of it");
    let half = reached.receipt(b"as9198", PIECES - 1).expect("a receipt");
    assert_eq!(read(&half).rung, Rung::Echo, "not all has come down");
    let through = read(&reached.receipt(b"as9198", PIECES).expect("a receipt"));
    assert_eq!(through, Statement { passage: passage("AS9198"), rung: Rung::Through, ..expected });
    // The same once more is the same; but not without end.
    let again = reached.receipt(b"as9198", PIECES).expect("a receipt");
    assert_eq!(read(&again), through);
    assert!(reached.receipt(b"as9199", PIECES).expect("a word").is_empty());
}

#[test]
fn a_network_that_the_relay_knows_is_not_for_its_holder_to_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("networks.tsv");
    std::fs::write(&file, "127.0.0.0\t127.255.255.255\t9198\tKZ\tKAZTELECOM\n").expect("written");
    let world = World::with_receipts(Some(&file));
    let mut reached = world.endpoint().ask(Shape::Random).expect("an answer");
    let said = read(&reached.receipt(b"as12345", 0).expect("a receipt"));
    assert_eq!((said.passage.network, said.is_told), (Network::As(9198), false));
}

#[test]
fn without_anybody_who_signs_there_is_none() {
    let world = World::new(Kind::Silent);
    let mut reached = world.endpoint().ask(Shape::Random).expect("an answer");
    assert!(reached.receipt(b"as12345", 0).expect("a word").is_empty());
}
