//! The same by datagrams.

use std::time::Duration;

use relay::Limits;
use wire::echo::climb::PIECES;
use wire::echo::{BundleId, Kind as Piece, Near, Shape, Transport};

use crate::asker::{ByDatagrams, Endpoint, PATIENCE, heard, now};
use crate::world::{Kind, World};

/// How long silence is listened to.
const SILENCE: Duration = Duration::from_millis(200);

#[test]
fn a_port_is_proven_and_64_kib_pass_both_ways_in_every_shape() {
    let world = World::new(Kind::Silent);
    let by = ByDatagrams::new(world.at);
    for shape in Shape::ALL {
        let (answer, climb) = by.ask(&world.endpoint(), shape).expect("an answer");
        assert_eq!(answer.relay, world.at, "{shape}");
        assert_eq!(answer.asker, by.socket.local_addr().expect("known"));
        for number in 0..PIECES {
            let piece = by.piece(&climb, (Piece::Load, number), PATIENCE).expect("one of theirs");
            let expected = (Piece::Load, number, number + 1);
            assert_eq!((piece.kind, piece.number, piece.received), expected);
        }
        // As if the answer had been lost: it is asked again, and counted once.
        let again = by.piece(&climb, (Piece::Load, 7), PATIENCE).expect("again");
        assert_eq!(again.received, PIECES);
        let alive = by.piece(&climb, (Piece::Alive, 0), PATIENCE).expect("it lives");
        assert_eq!((alive.kind, alive.received), (Piece::Alive, PIECES));
    }
    assert_eq!((world.counted("echoes"), world.counted("climbs")), (4, 4));
}

#[test]
fn whoever_has_no_bundle_or_asks_again_hears_nothing() {
    let world = World::new(Kind::Silent);
    let endpoint = world.endpoint();
    let stranger = Endpoint::new(world.at, &world.key, BundleId([8; 16]));
    for shape in Shape::ALL {
        let by = ByDatagrams::new(world.at);
        let asked = endpoint.question(Transport::Udp, shape, now()).1;
        assert!(by.say(&asked, PATIENCE).is_some());
        let silent = [
            asked.clone(),
            stranger.question(Transport::Udp, shape, now()).1,
            endpoint.question(Transport::Udp, shape, now() - 660).1,
            endpoint.question(Transport::Tcp, shape, now()).1,
        ];
        for datagram in &silent {
            by.socket.send(datagram).expect("sent");
        }
        for length in [0, 1, 63, 64, 512, 768, 781, 1_200, 1_201] {
            by.socket.send(&wire::random::<1_201>()[..length]).expect("sent");
        }
        assert_eq!(by.say(&[7; 1_400], SILENCE), None, "{shape}");
    }
    assert_eq!((world.counted("echoes"), world.counted("replays")), (4, 4));
}

#[test]
fn pieces_are_only_for_whoever_asked_from_the_same_port() {
    let world = World::new(Kind::Silent);
    let (by, other) = (ByDatagrams::new(world.at), ByDatagrams::new(world.at));
    let (_, climb) = by.ask(&world.endpoint(), Shape::Random).expect("an answer");
    let (_, others) = other.ask(&world.endpoint(), Shape::Random).expect("an answer");
    assert!(by.piece(&climb, (Piece::Load, 0), PATIENCE).is_some());
    assert!(by.piece(&others, (Piece::Load, 0), SILENCE).is_none());
    assert!(other.piece(&others, (Piece::Load, 0), PATIENCE).is_some());
    // Who asks anew climbs anew.
    let (_, anew) = by.ask(&world.endpoint(), Shape::Dns).expect("an answer");
    assert_eq!(by.piece(&anew, (Piece::Load, 5), PATIENCE).expect("theirs").received, 1);
    assert!(by.piece(&climb, (Piece::Load, 1), SILENCE).is_none());
}

#[test]
fn a_repeat_is_known_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || World::open(Kind::Silent, Limits::default(), Some(folder.path()));
    let world = open();
    let by = ByDatagrams::new(world.at);
    let asked = world.endpoint().question(Transport::Udp, Shape::Dns, now()).1;
    assert!(by.say(&asked, PATIENCE).is_some());
    let again = open();
    assert_eq!(ByDatagrams::new(again.at).say(&asked, SILENCE), None);
    assert_eq!(again.counted("replays"), 1);
}

#[test]
fn a_sweep_of_one_bundle_pushes_out_its_own_questions_and_nobody_elses() {
    let world = World::new(Kind::Silent);
    let other = Endpoint::new(world.at, &world.key, BundleId([6; 16]));
    let [by, early] = [(); 2].map(|()| ByDatagrams::new(world.at));
    let (_, climb) = by.ask(&other, Shape::Random).expect("an answer");
    let (_, pushed_out) = early.ask(&world.endpoint(), Shape::Random).expect("an answer");
    for _ in 0..300 {
        let one = ByDatagrams::new(world.at);
        one.ask(&world.endpoint(), Shape::Random).expect("an answer");
    }
    assert!(by.piece(&climb, (Piece::Load, 0), PATIENCE).is_some());
    assert!(early.piece(&pushed_out, (Piece::Load, 0), SILENCE).is_none());
    let (_, anew) = early.ask(&world.endpoint(), Shape::Random).expect("an answer");
    assert!(early.piece(&anew, (Piece::Load, 0), PATIENCE).is_some());
}

#[test]
fn a_climb_by_datagrams_is_bounded_and_ends_with_its_bundle() {
    let world = World::open(Kind::Silent, Limits { climbs: 1, ..Limits::default() }, None);
    let (by, other) = (ByDatagrams::new(world.at), ByDatagrams::new(world.at));
    let (_, climb) = by.ask(&world.endpoint(), Shape::Random).expect("an answer");
    let answered =
        (0..1_000).take_while(|_| by.piece(&climb, (Piece::Load, 3), 5 * SILENCE).is_some());
    assert_eq!(answered.count(), 4 * usize::from(PIECES) + 32);
    let (_, climb) = other.ask(&world.endpoint(), Shape::Random).expect("an answer");
    assert!(other.piece(&climb, (Piece::Load, 0), SILENCE).is_none(), "no place");
    assert_eq!(world.counted("too_many_echoes"), 1);

    let world = World::new(Kind::Silent);
    let by = ByDatagrams::new(world.at);
    let (_, climb) = by.ask(&world.endpoint(), Shape::Random).expect("an answer");
    assert!(by.piece(&climb, (Piece::Load, 0), PATIENCE).is_some());
    world.relay.set_bundles(&[BundleId([6; 16])]);
    assert!(by.piece(&climb, (Piece::Load, 1), SILENCE).is_none());
}

#[test]
fn a_question_that_names_a_network_is_answered_there_alone() {
    let world = World::new(Kind::Silent);
    for (near, is_there) in [("127.0.0.99", true), ("127.0.1.1", false), ("2001:db8::1", false)] {
        let near = Some(Near::of(near.parse().expect("an address")));
        let endpoint = Endpoint { near, ..world.endpoint() };
        let by = ByDatagrams::new(world.at);
        let asked = endpoint.question(Transport::Udp, Shape::Random, now()).1;
        assert_eq!(by.say(&asked, SILENCE).is_some(), is_there);
        let asked = endpoint.question(Transport::Tcp, Shape::Tls, now()).1;
        assert_eq!(heard(world.at, &asked, SILENCE).is_empty(), !is_there);
    }
    assert_eq!((world.counted("echoes"), world.counted("replays")), (2, 0));
}
