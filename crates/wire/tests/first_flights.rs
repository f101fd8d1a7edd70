//! What real programs send first, recorded, and what we make of it.
//!
//! The recordings in `flights/` are all that each program sent before it was answered: TDLib 1.8.69
//! (the library inside Telegram's apps) through links with the key 00 01 .. 0f, and curl 7.88; and
//! what nginx 1.22 with OpenSSL 3.0 answers to the first of TDLib's hellos.

use wire::classify::{Shape, classify};
use wire::derive::Secret;
use wire::mtproto::obfuscated::{self, Tag};
use wire::mtproto::{DcId, faketls};
use wire::tls::answer;
use wire::tls::hello::{ClientHello, X25519, X25519_MLKEM768};

const KEY: Secret = Secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

const TDLIB_PLAIN: &[u8] = include_bytes!("flights/tdlib-plain");
const TDLIB_DD: &[u8] = include_bytes!("flights/tdlib-dd");
const TDLIB_EE: &[u8] = include_bytes!("flights/tdlib-ee");
const NGINX_ANSWER: &[u8] = include_bytes!("flights/nginx-answer");
const CURL_TLS: &[u8] = include_bytes!("flights/curl-tls");
const CURL_HTTP: &[u8] = include_bytes!("flights/curl-http");

/// How many bytes it takes to judge a flight, and the verdict.
fn verdict(flight: &[u8]) -> (usize, Shape<'_>) {
    (0..=flight.len())
        .map(|length| (length, classify(&flight[..length])))
        .find(|(_, shape)| *shape != Shape::NeedMore)
        .expect("a verdict")
}

#[test]
fn every_recorded_flight_is_judged_as_soon_as_it_can_be() {
    for (name, flight, bytes) in [
        ("plain", TDLIB_PLAIN, 64),
        ("dd", TDLIB_DD, 64),
        ("ee", TDLIB_EE, TDLIB_EE.len()),
        ("TLS", CURL_TLS, CURL_TLS.len()),
        ("HTTP", CURL_HTTP, 4),
    ] {
        let (length, shape) = verdict(flight);
        assert_eq!(length, bytes, "{name}");
        match name {
            "plain" | "dd" => assert!(matches!(shape, Shape::Obfuscated(_)), "{name}"),
            "ee" | "TLS" => assert_eq!(shape, Shape::Hello(flight), "{name}"),
            _ => assert_eq!(shape, Shape::Nobody, "{name}"),
        }
    }
}

#[test]
fn telegrams_own_library_is_understood_in_plain_and_padded_links() {
    for (flight, tag) in [(TDLIB_PLAIN, Tag::Intermediate), (TDLIB_DD, Tag::Padded)] {
        let flight = flight.first_chunk().expect("64 bytes");
        let opened = obfuscated::open(flight, Some(&KEY)).expect("the key fits");
        assert_eq!((opened.tag, opened.dc), (tag, DcId(1)));
        assert!(obfuscated::open(flight, Some(&Secret([1; 16]))).is_none());
    }
}

#[test]
fn telegrams_own_library_is_understood_in_fake_tls_and_gets_a_hybrid_share() {
    let hello = ClientHello::read(TDLIB_EE).expect("a hello");
    assert_eq!(hello.server_name, Some("example.com"));
    let recorded = faketls::ClientTime(1_795_408_680);
    let time = faketls::open(&hello, &KEY).expect("the key fits");
    assert!(time.ahead_of(recorded.0.into()).abs() < 5, "{time:?}");

    assert!(hello.share(X25519).is_some() && hello.share(X25519_MLKEM768).is_some());
    let flight = faketls::server_flight(&hello, &KEY, &faketls::Look::usual(1000));
    let server_share = 5 + 4 + 2 + 32 + 33 + 2 + 1 + 2 + 4;
    assert_eq!(flight[server_share..server_share + 2], X25519_MLKEM768.0.to_be_bytes());
    assert!(faketls::flight_is_valid(&flight, hello.random, &KEY));
}

#[test]
fn what_a_website_answers_to_telegrams_own_library_is_understood() {
    let answer = answer::read(NGINX_ANSWER).expect("TLS 1.3").expect("whole");
    assert_eq!((answer.cipher, answer.group, answer.versions_first), (0x1301, X25519, true));
    assert_eq!(answer.encrypted, [36, 815, 281, 53]);
}

#[test]
fn another_programs_hello_is_read_and_opened_by_no_key() {
    let hello = ClientHello::read(CURL_TLS).expect("a hello");
    assert_eq!(hello.server_name, Some("example.com"));
    assert_eq!(faketls::open(&hello, &KEY), None);
}
