use proptest::prelude::*;

use super::*;
use crate::webproxy::frame::put;

fn id(number: u32) -> StreamId {
    StreamId::new(number).expect("an id")
}

fn frames(list: &[(Kind, u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, stream, payload) in list {
        put(&mut out, *kind, id(*stream), payload);
    }
    out
}

/// All events of some frames; data is told by its length.
fn feed(session: &mut Session, mut bytes: &[u8]) -> Result<Vec<Event<'static>>, Broken> {
    let mut events = Vec::new();
    while let Some(event) = session.receive(&mut bytes)? {
        match event {
            Event::Data(id, bytes) => session.drained(id, bytes.len()),
            Event::Greeted => events.push(Event::Greeted),
            Event::Opened(id) => events.push(Event::Opened(id)),
            Event::Closed(id) => events.push(Event::Closed(id)),
            Event::Alive => events.push(Event::Alive),
        }
    }
    session.message_ends()?;
    Ok(events)
}

/// What the session says, frame by frame.
fn said(session: &mut Session, most: usize) -> Vec<(Kind, u32, Vec<u8>)> {
    let mut out = Vec::new();
    session.transmit(most, &mut out);
    let (mut reader, mut rest, mut all) = (Reader::default(), out.as_slice(), Vec::new());
    while let Some(piece) = reader.next(&mut rest).expect("good frames") {
        let number = |id: StreamId| (1..100).find(|n| StreamId::new(*n) == Some(id)).unwrap_or(0);
        all.push(match piece {
            Piece::Data(id, bytes) => (Kind::Data, number(id), bytes.to_vec()),
            Piece::Control(kind, id, payload) => (kind, number(id), payload.to_vec()),
        });
    }
    assert!(reader.is_between_frames(), "whole frames only");
    all
}

fn greeted() -> Session {
    let mut session = Session::default();
    assert_eq!(feed(&mut session, &frames(&[(Kind::Hello, 0, &[1])])), Ok(vec![Event::Greeted]));
    assert_eq!(said(&mut session, 1000), [(Kind::Welcome, 0, vec![])]);
    session
}

fn with_streams(count: u32) -> Session {
    let mut session = greeted();
    for number in 1..=count {
        feed(&mut session, &frames(&[(Kind::Open, number, &[])])).expect("opens");
    }
    session
}

#[test]
fn nothing_goes_before_the_greeting_and_only_version_1_is_greeted() {
    for (frame, error) in [
        ((Kind::Open, 1, [].as_slice()), Broken::Unexpected),
        ((Kind::Pong, 0, &[0; 8]), Broken::Unexpected),
        ((Kind::Welcome, 0, &[]), Broken::Unexpected),
        ((Kind::Hello, 0, &[2]), Broken::Payload),
        ((Kind::Hello, 0, &[]), Broken::Payload),
    ] {
        assert_eq!(feed(&mut Session::default(), &frames(&[frame])), Err(error), "{frame:?}");
    }
    assert_eq!(feed(&mut greeted(), &frames(&[(Kind::Hello, 0, &[1])])), Err(Broken::Unexpected));
}

#[test]
fn a_greeting_is_the_same_in_a_request_and_among_frames() {
    let mut session = Session::default();
    assert_eq!(feed(&mut session, &HELLO), Ok(vec![Event::Greeted]));
    let mut welcome = vec![];
    session.transmit(100, &mut welcome);
    assert_eq!(welcome, WELCOME);
    let mut session = Session::greeted();
    assert!(!session.has_to_say());
    assert!(feed(&mut session, &frames(&[(Kind::Open, 1, &[])])).is_ok());
}

#[test]
fn rules_that_are_broken_end_the_session() {
    for (list, error) in [
        (vec![(Kind::Data, 9, [1].as_slice())], Broken::Unknown),
        (vec![(Kind::Close, 9, &[])], Broken::Unknown),
        (vec![(Kind::Window, 9, &[0, 0, 0, 1])], Broken::Unknown),
        (vec![(Kind::Window, 1, &[0, 0, 0, 0])], Broken::Payload),
        (vec![(Kind::Window, 1, &[1])], Broken::Payload),
        (vec![(Kind::Open, 1, &[])], Broken::Reused),
        (vec![(Kind::Close, 1, &[]), (Kind::Open, 1, &[])], Broken::Reused),
        (vec![(Kind::Open, 2, &[1])], Broken::Payload),
        (vec![(Kind::Close, 1, &[1])], Broken::Payload),
        (vec![(Kind::Pong, 0, &[0; 8])], Broken::Payload),
        (vec![(Kind::Ping, 0, &[])], Broken::Unexpected),
        (vec![(Kind::Bye, 0, &[])], Broken::Unexpected),
    ] {
        assert_eq!(feed(&mut with_streams(1), &frames(&list)), Err(error), "{list:?}");
    }
    let half = &frames(&[(Kind::Open, 2, &[])])[..5];
    assert_eq!(feed(&mut with_streams(1), half), Err(Broken::Partial));
}

#[test]
fn what_was_on_its_way_to_a_stream_that_has_closed_is_ignored() {
    let late = frames(&[
        (Kind::Data, 1, &[1, 2, 3]),
        (Kind::Window, 1, &[0, 0, 0, 1]),
        (Kind::Close, 1, &[]),
    ]);
    let mut session = with_streams(2);
    session.close(id(1));
    assert_eq!(feed(&mut session, &late[..11]), Ok(vec![]), "it is closing");
    assert_eq!(said(&mut session, 100), [(Kind::Close, 1, vec![])]);
    assert_eq!(feed(&mut session, &late), Ok(vec![]), "it is closed");
    let closed = feed(&mut session, &frames(&[(Kind::Close, 2, &[])]));
    assert_eq!(closed, Ok(vec![Event::Closed(id(2))]));
    assert_eq!(feed(&mut session, &frames(&[(Kind::Data, 2, &[1])])), Ok(vec![]));
}

#[test]
fn only_the_last_4096_closed_streams_are_remembered() {
    let mut session = greeted();
    for number in 1..=4097 {
        let both = [(Kind::Open, number, [].as_slice()), (Kind::Close, number, &[])];
        feed(&mut session, &frames(&both)).expect("opens and closes");
    }
    assert_eq!(feed(&mut session, &frames(&[(Kind::Data, 2, &[1])])), Ok(vec![]));
    assert_eq!(feed(&mut session, &frames(&[(Kind::Data, 1, &[1])])), Err(Broken::Unknown));
}

#[test]
fn one_stream_too_many_is_closed_alone() {
    let most = u32::try_from(MAX_STREAMS).expect("small");
    let mut session = with_streams(most);
    let events =
        feed(&mut session, &frames(&[(Kind::Open, most + 1, &[]), (Kind::Data, most + 1, &[1])]));
    assert_eq!(events, Ok(vec![]));
    assert_eq!(said(&mut session, 100), [(Kind::Close, most + 1, vec![])]);
    assert_eq!(session.streams(), MAX_STREAMS);
}

#[test]
fn an_app_that_asks_and_never_reads_is_told_off_before_memory_goes() {
    let mut session = with_streams(u32::try_from(MAX_STREAMS).expect("small"));
    let broken =
        (1000..20_000).find_map(|n| feed(&mut session, &frames(&[(Kind::Open, n, &[])])).err());
    assert_eq!(broken, Some(Broken::Deaf));
    assert!(session.controls.len() <= MAX_CONTROLS + 100);
}

#[test]
fn the_app_may_send_four_mebibytes_ahead_and_not_a_byte_more() {
    let mut session = with_streams(1);
    let full = frames(&[(Kind::Data, 1, &vec![0; 1 << 20])]);
    for _ in 0..4 {
        let mut rest = full.as_slice();
        while session.receive(&mut rest).expect("within its credit").is_some() {}
    }
    assert_eq!(feed(&mut session, &frames(&[(Kind::Data, 1, &[0])])), Err(Broken::Credit));
}

#[test]
fn credit_comes_back_when_bytes_have_been_written_out() {
    let mut session = with_streams(1);
    for _ in 0..20 {
        feed(&mut session, &frames(&[(Kind::Data, 1, &vec![0; 1 << 20])])).expect("enough credit");
        let granted = said(&mut session, 100);
        assert_eq!(granted, [(Kind::Window, 1, (1u32 << 20).to_be_bytes().to_vec())]);
    }
}

#[test]
fn a_carrier_is_not_read_while_too_much_waits_to_be_written_out() {
    let mut session = with_streams(4);
    let mut waiting = Vec::new();
    'all: for stream in 1..=4 {
        for _ in 0..4 {
            let bytes = frames(&[(Kind::Data, stream, &vec![0; 1 << 20])]);
            let mut rest = bytes.as_slice();
            while let Some(Event::Data(id, bytes)) = session.receive(&mut rest).expect("credit") {
                waiting.push((id, bytes.len()));
            }
            if !session.may_receive() {
                break 'all;
            }
        }
    }
    assert_eq!(waiting.iter().map(|(_, count)| count).sum::<usize>(), MAX_HELD);
    let (first, count) = waiting[0];
    session.drained(first, count);
    assert!(session.may_receive());
}

#[test]
fn a_stream_sends_no_more_than_it_has_credit_for_and_goes_on_when_it_gets_some() {
    let mut session = with_streams(1);
    let (chunk, mut sent) = (vec![7; 1 << 20], 0);
    loop {
        let count = session.send(id(1), &chunk);
        if count == 0 {
            break;
        }
        sent += count;
        while !said(&mut session, 1 << 20).is_empty() {}
    }
    assert_eq!(sent, WINDOW as usize);
    feed(&mut session, &frames(&[(Kind::Window, 1, &500u32.to_be_bytes())])).expect("a grant");
    assert_eq!(session.send(id(1), &chunk), 500);
    feed(&mut session, &frames(&[(Kind::Window, 1, &[0xff; 4]), (Kind::Window, 1, &[0xff; 4])]))
        .expect("no overflow");
    assert!(session.room(id(1)) > 0);
}

#[test]
fn an_app_that_does_not_read_costs_bounded_memory_and_starves_no_stream() {
    let mut session = with_streams(u32::try_from(MAX_STREAMS).expect("small"));
    let chunk = vec![7; 1 << 20];
    while session.send(id(1), &chunk) > 0 {}
    assert_eq!(session.queued, MAX_QUEUED);
    for number in 2..=64 {
        while session.send(id(number), &chunk) > 0 {}
    }
    assert!(session.queued <= MAX_QUEUED + MAX_STREAMS * CHUNK, "{}", session.queued);
    assert!((2..=64).all(|number| session.streams[&id(number)].queue.len() == CHUNK));
}

#[test]
fn streams_take_turns() {
    let mut session = with_streams(3);
    session.send(id(1), &vec![1; 10 * CHUNK]);
    session.send(id(2), &[2; 10]);
    session.send(id(3), &[3; 20]);
    session.close(id(2));
    let order: Vec<_> = said(&mut session, 1 << 20)
        .iter()
        .map(|(kind, id, bytes)| (*kind, *id, bytes.len()))
        .collect();
    let bulk = (Kind::Data, 1, CHUNK);
    let mut expected = vec![bulk, (Kind::Data, 2, 10), (Kind::Close, 2, 0), (Kind::Data, 3, 20)];
    expected.extend([bulk; 9]);
    assert_eq!(order, expected);
}

#[test]
fn a_stream_that_is_closed_by_the_app_leaves_nothing_behind() {
    let mut session = with_streams(1);
    session.send(id(1), &[1; 1000]);
    feed(&mut session, &frames(&[(Kind::Close, 1, &[])])).expect("closes");
    assert_eq!((session.queued, session.line.len(), session.room(id(1))), (0, 0, 0));
    assert!(!session.has_to_say() && said(&mut session, 100).is_empty());
}

#[test]
fn a_ping_wants_its_own_answer() {
    let mut session = greeted();
    assert!(session.ping() && !session.ping(), "one at a time");
    let (kind, _, token) = said(&mut session, 100).remove(0);
    assert_eq!(kind, Kind::Ping);
    assert_eq!(feed(&mut session, &frames(&[(Kind::Pong, 0, &token)])), Ok(vec![Event::Alive]));
    assert_eq!(feed(&mut session, &frames(&[(Kind::Pong, 0, &token)])), Err(Broken::Payload));
    assert!(session.ping());
    assert_eq!(feed(&mut session, &frames(&[(Kind::Pong, 0, &token)])), Err(Broken::Payload));
}

#[test]
fn a_relay_that_leaves_says_so_and_nothing_after_it() {
    let mut session = with_streams(1);
    session.send(id(1), &[1; 1000]);
    session.bye();
    assert_eq!(said(&mut session, 1000), [(Kind::Bye, 0, vec![])]);
    assert_eq!(session.send(id(1), &[1]), 0);
}

proptest! {
    #[test]
    fn bytes_arrive_in_order_whatever_is_sent_and_however_it_is_cut(
        pieces in prop::collection::vec((1u32..5, 1usize..3000), 1..60),
        most in 100usize..5000,
        cut in 1usize..700,
    ) {
        let mut session = with_streams(4);
        let (mut up, mut down) = ([0u8; 5], [0u8; 5]);
        let mut wire = Vec::new();
        for (stream, length) in &pieces {
            let bytes: Vec<u8> = (0..*length).map(|_| { up[*stream as usize] = up[*stream as usize].wrapping_add(1); up[*stream as usize] }).collect();
            put(&mut wire, Kind::Data, id(*stream), &bytes);
        }
        // An echo: what comes up goes down.
        let mut check = [0u8; 5];
        for mut part in wire.chunks(cut) {
            while let Some(Event::Data(stream, bytes)) = session.receive(&mut part).expect("good") {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let sent = session.send(stream, rest);
                    rest = &rest[sent..];
                    if sent == 0 {
                        for (kind, number, bytes) in said(&mut session, most) {
                            prop_assert!(kind == Kind::Data);
                            for byte in bytes { down[number as usize] = down[number as usize].wrapping_add(1); prop_assert_eq!(byte, down[number as usize]); }
                        }
                    }
                }
                session.drained(stream, bytes.len());
                check[0] = check[0].wrapping_add(1);
            }
        }
        loop {
            let last = said(&mut session, most);
            if last.is_empty() { break; }
            for (kind, number, bytes) in last {
                if kind != Kind::Data { continue; }
                for byte in bytes { down[number as usize] = down[number as usize].wrapping_add(1); prop_assert_eq!(byte, down[number as usize]); }
            }
        }
        prop_assert_eq!(down, up);
    }
}

#[test]
fn what_is_passed_on_is_bounded_by_credit_and_needs_no_queue() {
    let mut session = with_streams(2);
    let mut out = Vec::new();
    let mut pass = |session: &mut Session, stream, most, bytes: usize| {
        session.pass(id(stream), most, &mut out, |out, most| {
            out.extend(vec![7; bytes.min(most)]);
            Ok::<_, ()>(bytes.min(most))
        })
    };
    assert_eq!(pass(&mut session, 1, 1000, 300), Ok(300));
    assert_eq!(pass(&mut session, 1, 100, 300), Ok(100));
    assert_eq!(pass(&mut session, 2, 1000, 0), Ok(0));
    assert_eq!(pass(&mut session, 3, 1000, 300), Ok(0), "there is no such stream");
    assert_eq!(session.credit(id(1)), Some(WINDOW as usize - 400));
    assert_eq!((session.credit(id(2)), session.credit(id(3))), (Some(WINDOW as usize), None));
    let failed = session.pass(id(1), 10, &mut out, |out, _| {
        out.push(7);
        Err("broken")
    });
    assert_eq!(failed, Err("broken"));
    assert_eq!(out, frames(&[(Kind::Data, 1, &[7; 300]), (Kind::Data, 1, &[7; 100])]));
    session.close(id(1));
    assert_eq!(session.credit(id(1)), None);
    assert_eq!(said(&mut session, 1000), [(Kind::Close, 1, vec![])]);
}
