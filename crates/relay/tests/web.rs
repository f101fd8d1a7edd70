//! The port that speaks in clear is bounded in time and number, and says no more than it must.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use relay::{Limits, Relay};

const HANDSHAKE: Duration = Duration::from_millis(500);
/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// A relay without keys.
fn relay(strangers_per_source: usize) -> SocketAddr {
    let limits = Limits { first_flight: HANDSHAKE, strangers_per_source, ..Limits::default() };
    common::relay(limits, Relay::serve_web)
}

/// What comes back until the end, and how long that took.
fn answer(address: SocketAddr, said: &[u8]) -> (Vec<u8>, Duration) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("set");
    stream.write_all(said).expect("written");
    let (mut heard, start) = (Vec::new(), Instant::now());
    // A reset is an end too.
    let _ = stream.read_to_end(&mut heard);
    assert!(start.elapsed() < LIMIT, "after {said:?}");
    (heard, start.elapsed())
}

const GREETING: &[u8] = &[5, 1, 2];
const WRONG: &[u8] = &[5, 1, 2, 1, 1, b'x', 1, b'y'];

#[test]
fn whoever_does_not_finish_is_closed_in_time() {
    let address = relay(64);
    for (said, heard) in [
        (&b""[..], &b""[..]),
        (&[5], b""),
        (GREETING, &[5, 2]),
        (&[5, 1, 2, 1, 9, b'x'], &[5, 2]),
        (b"CONNECT a.org:443 HTTP/1.1\r\nX: ", b""),
    ] {
        let (answered, took) = answer(address, said);
        assert_eq!(answered, heard, "after {said:?}");
        assert!(took >= HANDSHAKE / 2, "after {said:?}: {took:?}");
    }
}

#[test]
fn nothing_is_done_without_a_password() {
    let address = relay(64);
    for (said, heard) in [
        (&[5, 1, 0][..], &[5, 0xff][..]),
        (WRONG, &[5, 2, 1, 1]),
        (&[4, 1, 0, 80, 1, 1, 1, 1, 0], b""),
        (&[0x16, 3, 1, 0, 5], b""),
        (b"\r\n\r\n", b""),
    ] {
        assert_eq!(answer(address, said).0, heard, "after {said:?}");
    }
    for (said, status) in [
        ("CONNECT a.org:443 HTTP/1.1\r\n\r\n", "407"),
        ("GET http://a.org/ HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n", "407"),
        ("GET / HTTP/1.1\r\nHost: a.org\r\n\r\n", "400"),
        ("POST http://a.org/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "411"),
        ("SSH-2.0-probe\r\n\r\n", "400"),
    ] {
        let heard = String::from_utf8(answer(address, said.as_bytes()).0).expect("text");
        assert_eq!(heard.split(' ').nth(1), Some(status), "{said}");
    }
    let endless = [b"GET http://a.org/ HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 40_000]].concat();
    assert!(answer(address, &endless).0.starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn who_guesses_too_often_waits_for_the_answer() {
    let address = relay(64);
    let slow = (0..30).map(|_| answer(address, WRONG).1).filter(|took| *took >= HANDSHAKE / 2);
    assert_eq!(slow.count(), 10);
}

#[test]
fn of_callers_without_a_key_the_one_who_has_been_there_longest_makes_room_for_the_next() {
    let limits = Limits { first_flight: 2 * LIMIT, strangers_per_source: 2, ..Limits::default() };
    let address = common::relay(limits, Relay::serve_web);
    let mut callers: Vec<TcpStream> = Vec::new();
    for _ in 0..3 {
        let mut caller = TcpStream::connect(address).expect("it listens");
        caller.set_read_timeout(Some(LIMIT)).expect("set");
        caller.write_all(GREETING).expect("it reads");
        let mut choice = [0; 2];
        caller.read_exact(&mut choice).expect("heard out");
        assert_eq!(choice, [5, 2]);
        callers.push(caller);
    }
    assert_eq!(callers[0].read(&mut [0]).expect("closed in an orderly way"), 0);
    callers[1].write_all(&WRONG[GREETING.len()..]).expect("it reads");
    let mut verdict = [0; 2];
    callers[1].read_exact(&mut verdict).expect("heard out");
    assert_eq!(verdict, [1, 1]);
}
