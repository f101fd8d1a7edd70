//! Whoever has a bundle learns which port of a relay they have reached and how much passes through
//! it, in every shape; and nobody else learns that anybody could.

mod asker;
// The rest of it is for other tests.
#[expect(dead_code)]
#[path = "../common/mod.rs"]
mod common;
mod datagrams;
mod receipts;
mod world;

use std::thread;
use std::time::{Duration, Instant};

use asker::{heard, now};
use relay::Limits;
use wire::echo::climb::PIECES;
use wire::echo::{BundleId, Kind as Piece, Shape, Transport};
use world::{BUNDLE, Kind, SITE, World};

/// How long silence is listened to.
const SILENCE: Duration = Duration::from_millis(400);

#[test]
fn a_port_is_proven_and_64_kib_pass_both_ways_in_every_shape_whatever_the_relay_wears() {
    for kind in [Kind::Silent, Kind::Masked, Kind::House] {
        let world = World::new(kind);
        for shape in Shape::ALL {
            let mut reached = world.endpoint().ask(shape).expect("an answer");
            assert_eq!(reached.answer.relay, world.at, "{kind:?}, {shape}");
            assert_eq!(reached.answer.asker, reached.stream.local_addr().expect("known"));
            assert!(reached.answer.time.abs_diff(now()) <= 1);
            let received = reached.climb(PIECES).expect("all of it");
            assert!(received.is_sorted() && received.last() == Some(&PIECES), "{received:?}");
            reached.send(Piece::Alive, 3, PIECES).expect("it reads");
            let alive = reached.receive().expect("it lives");
            assert_eq!((alive.kind, alive.number, alive.received), (Piece::Alive, 3, PIECES));
        }
        assert_eq!((world.counted("echoes"), world.counted("climbs")), (4, 4));
        assert_eq!(world.counted("strangers"), 0);
    }
}

/// Whether a question is answered that comes in two pieces.
fn is_heard(world: &World, shape: Shape, cut: usize) -> bool {
    let endpoint = world.endpoint();
    let (question, dressed) = endpoint.question(Transport::Tcp, shape, now());
    let (one, other) = dressed.split_at(cut.min(dressed.len() - 1));
    endpoint.say(shape, question, &[one, other]).is_ok()
}

#[test]
fn a_question_that_comes_in_pieces_is_waited_for() {
    for kind in [Kind::Silent, Kind::Masked, Kind::House] {
        // A website has its say after 30 ms, which may be over on a busy machine; where one such
        // question came in time, the next ones are waited for much longer.
        let mut worlds = (0..20).map(|_| World::new(kind));
        let world = worlds.find(|world| is_heard(world, Shape::Random, 30)).expect("in time");
        for shape in Shape::ALL {
            for cut in [1, 5, 30, 63, 70, 95] {
                assert!(is_heard(&world, shape, cut), "{kind:?}, {shape}, cut at {cut}");
            }
        }
    }
}

#[test]
fn a_repeat_gets_what_a_stranger_gets_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in [Kind::Silent, Kind::Masked, Kind::House] {
        let world = World::open(kind, Limits::default(), Some(folder.path()));
        let endpoint = world.endpoint();
        let asked = Shape::ALL.map(|shape| endpoint.question(Transport::Tcp, shape, now()));
        let stranger = asker::Endpoint::new(world.at, &world.key, BundleId([8; 16]));
        let others = Shape::ALL.map(|shape| stranger.question(Transport::Tcp, shape, now()).1);
        for (shape, (question, dressed)) in Shape::ALL.into_iter().zip(&asked) {
            let answered = endpoint.say(shape, *question, &[dressed]);
            assert!(answered.is_ok(), "{shape}");
        }
        let again = World::open(kind, Limits::default(), Some(folder.path()));
        for world in [&world, &again] {
            thread::scope(|scope| {
                for ((_, dressed), other) in asked.iter().zip(&others) {
                    scope.spawn(|| {
                        // Whatever somebody else's is met with; a signature may differ in length.
                        let expected = heard(world.at, other, SILENCE);
                        let met = heard(world.at, dressed, SILENCE);
                        assert!(met.len().abs_diff(expected.len()) < 8, "{kind:?}: {met:?}");
                        assert_eq!(met == SITE, matches!(kind, Kind::Masked));
                    });
                }
            });
            assert_eq!(world.counted("replays"), 4);
        }
    }
}

#[test]
fn nobody_is_answered_who_has_no_bundle_of_this_relay_or_asks_what_is_not_of_now() {
    let world = World::new(Kind::Masked);
    let old = world.endpoint().question(Transport::Tcp, Shape::Random, now() - 660).1;
    let as_datagram = world.endpoint().question(Transport::Udp, Shape::Random, now()).1;
    let stranger = asker::Endpoint::new(world.at, &world.key, BundleId([8; 16]));
    let strangers = Shape::ALL.map(|shape| stranger.question(Transport::Tcp, shape, now()).1);
    let elsewhere = world.endpoint();
    for said in strangers.iter().chain([&old, &as_datagram]) {
        assert_eq!(heard(world.at, said, SILENCE), SITE);
    }
    world.relay.set_bundles(&[BundleId([6; 16])]);
    let revoked = elsewhere.question(Transport::Tcp, Shape::Random, now()).1;
    assert_eq!(heard(world.at, &revoked, SILENCE), SITE);
    world.relay.set_bundles(&[]);
    assert_eq!(heard(world.at, &strangers[0], SILENCE), SITE);
    assert_eq!(world.counted("echoes"), 0);
}

#[test]
fn who_was_led_to_another_port_is_told_which_one_it_was() {
    let world = World::new(Kind::Silent);
    let elsewhere =
        asker::Endpoint { at: "192.0.2.7:179".parse().expect("an address"), ..world.endpoint() };
    let (question, dressed) = elsewhere.question(Transport::Tcp, Shape::Dns, now());
    let reached = world.endpoint().say(Shape::Dns, question, &[&dressed]).expect("an answer");
    assert_eq!(reached.answer.relay, world.at);
}

#[test]
fn a_freeze_on_the_way_up_is_told_on_the_way_down() {
    let world = World::new(Kind::Silent);
    let mut reached = world.endpoint().ask(Shape::Tls).expect("an answer");
    let received = reached.climb(21).expect("all of it");
    assert_eq!(received.last(), Some(&21));
}

#[test]
fn who_asks_more_than_a_bundle_may_is_a_stranger() {
    let limits = Limits { questions_per_bundle: 3, ..Limits::default() };
    let world = World::open(Kind::Masked, limits, None);
    for _ in 0..3 {
        world.endpoint().ask(Shape::Random).expect("an answer");
    }
    let one_more = world.endpoint().question(Transport::Tcp, Shape::Random, now()).1;
    assert_eq!(heard(world.at, &one_more, SILENCE), SITE);
    assert_eq!(world.counted("too_many_echoes"), 1);
    let other = asker::Endpoint::new(world.at, &world.key, BundleId([6; 16]));
    assert!(other.ask(Shape::Random).is_ok(), "another bundle has its own");
}

#[test]
fn so_many_climb_at_a_time_and_who_ends_makes_room() {
    let limits = Limits { climbs_per_bundle: 2, ..Limits::default() };
    let world = World::open(Kind::Silent, limits, None);
    let climb = || {
        let mut reached = world.endpoint().ask(Shape::Random).expect("an answer");
        reached.send(Piece::Alive, 0, 0).expect("it reads");
        reached.receive().ok().map(|_| reached)
    };
    let two = [climb().expect("room"), climb().expect("room")];
    assert!(climb().is_none());
    assert_eq!(world.counted("too_many_echoes"), 1);
    drop(two);
    let start = Instant::now();
    while climb().is_none() {
        assert!(start.elapsed() < asker::PATIENCE, "a place is free again");
    }
}

#[test]
fn who_climbs_and_then_neither_reads_nor_writes_makes_room_soon() {
    let limits = Limits { climbs: 8, climb_idle: Duration::from_millis(500), ..Limits::default() };
    let world = World::open(Kind::Silent, limits, None);
    let frozen: Vec<_> = (0..8)
        .map(|_| {
            let mut reached = world.endpoint().ask(Shape::Random).expect("an answer");
            reached.send(Piece::Load, 0, 0).expect("it reads");
            reached
        })
        .collect();
    let start = Instant::now();
    loop {
        let mut reached = world.endpoint().ask(Shape::Random).expect("an answer");
        reached.send(Piece::Alive, 0, 0).expect("it reads");
        if reached.receive().is_ok() {
            break;
        }
        assert!(start.elapsed() < asker::PATIENCE, "there is room again");
    }
    drop(frozen);
}

#[test]
fn a_climb_ends_with_its_bundle() {
    let world = World::new(Kind::Silent);
    let mut reached = world.endpoint().ask(Shape::Printable).expect("an answer");
    reached.send(Piece::Alive, 0, 0).expect("it reads");
    reached.receive().expect("it lives");
    world.relay.set_bundles(&[BundleId([6; 16])]);
    reached.send(Piece::Alive, 1, 0).expect("it reads");
    assert!(reached.receive().is_err());
    world.relay.set_bundles(&[BUNDLE]);
    let mut reached = world.endpoint().ask(Shape::Printable).expect("an answer");
    world.relay.set_bundles(&[BundleId([6; 16])]);
    reached.send(Piece::Alive, 0, 0).expect("it reads");
    assert!(reached.receive().is_err(), "it does not even begin");
}

#[test]
fn nobody_climbs_further_than_they_may() {
    let world = World::new(Kind::Silent);
    let mut reached = world.endpoint().ask(Shape::Random).expect("an answer");
    let mut answers = 0;
    for number in 0..1_000 {
        let sent = reached.send(Piece::Alive, number, 0);
        if sent.is_err() || reached.receive().is_err() {
            break;
        }
        answers += 1;
    }
    assert!((100..200).contains(&answers), "{answers}");
}
