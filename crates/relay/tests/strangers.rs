//! Without a mask, everyone without a key meets the same silence and the same end.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use relay::{Keys, Limits};
use wire::derive::{KeyId, Secret};
use wire::echo::BundleId;
use wire::mtproto::DcId;
use wire::mtproto::obfuscated::{Dial, Tag};

const DRAIN: Duration = Duration::from_secs(4);

/// A relay with a key that nobody here has, and little patience.
fn relay() -> SocketAddr {
    let limits = Limits { first_flight: Duration::from_secs(2), drain: DRAIN, ..Limits::default() };
    common::relay(limits, |relay, listener| {
        relay.set_keys(Keys { telegram: &[KeyId([1; 8])], ..Keys::default() });
        relay.set_bundles(&[BundleId([1; 16])]);
        relay.serve(listener)
    })
}

#[test]
fn whatever_a_stranger_sends_the_connection_is_closed_at_the_same_time_and_without_a_word() {
    let address = relay();
    let flight = Dial::new(Tag::Padded, DcId(2), Some(&Secret([5; 16]))).flight;
    let half_hello = include_bytes!("../../wire/tests/flights/curl-tls")[..200].to_vec();
    let probes = [
        Vec::new(),
        vec![0x16],
        half_hello,
        include_bytes!("../../wire/tests/flights/curl-tls").to_vec(),
        include_bytes!("../../wire/tests/flights/tdlib-ee").to_vec(),
        include_bytes!("../../wire/tests/flights/curl-http").to_vec(),
        flight.to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        vec![0x55; 100_000],
        // As a bundle's questions begin.
        b"GET /media/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_vec(),
        [&[0, 150, 7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1][..], &[3; 70]].concat(),
    ];
    let probers: Vec<_> = probes
        .into_iter()
        .map(|probe| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(address).expect("it answers");
                let start = Instant::now();
                stream.write_all(&probe).expect("it reads");
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).expect("closed in an orderly way");
                (probe.len(), heard, start.elapsed())
            })
        })
        .collect();
    let mut ends = Vec::new();
    for prober in probers {
        let (length, heard, after) = prober.join().expect("no panic");
        assert!(heard.is_empty(), "after {length} bytes");
        ends.push(after);
    }
    let (first, last) = (ends.iter().min().expect("some"), ends.iter().max().expect("some"));
    assert!(*first >= DRAIN - Duration::from_millis(100), "{first:?}");
    // Much less than the two seconds between the earliest and the latest verdict over them.
    assert!(*last - *first < Duration::from_secs(1), "from {first:?} to {last:?}");
}

#[test]
fn a_stranger_who_is_done_is_not_kept() {
    let mut stream = TcpStream::connect(relay()).expect("it answers");
    stream.set_read_timeout(Some(DRAIN / 2)).expect("set");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it reads");
    stream.shutdown(Shutdown::Write).expect("done");
    assert_eq!(stream.read(&mut [0; 10]).expect("closed in an orderly way"), 0);
}
