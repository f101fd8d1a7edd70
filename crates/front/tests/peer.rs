//! Servers of ours find each other, and nobody else.

mod common;

use std::time::Duration;

use aws_lc_rs::digest;
use common::wear;
use front::{Body, Peer, Rooms, Trust, body};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use wire::fleet::HubAddress;

const LIMIT: Duration = Duration::from_secs(10);

/// Says again what is said to it.
struct Echo;

impl Rooms for Echo {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        let said = request.body_mut().collect().await.ok()?.to_bytes();
        (request.uri().path() == "/office").then(|| Response::new(body::full(said)))
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate_alone_and_asked_again_on_one_connection() {
    let wearer = wear(Echo, |_, _| {}).await;
    let pem = std::fs::read(wearer.trusted()).expect("a certificate");
    let certificate = CertificateDer::from_pem_slice(&pem).expect("a certificate");
    let mut hash: [u8; 32] =
        digest::digest(&digest::SHA256, &certificate).as_ref().try_into().expect("32 bytes");
    // Whatever it is called.
    let at = HubAddress { host: "localhost".to_owned(), port: wearer.address.port() };
    let peer = |by| Peer::new(&at, by).expect("a host");
    let ours = peer(Trust::Pinned(hash));
    for word in [&b"one"[..], b"two"] {
        let (status, said) = ours.post("/office", word.to_vec(), LIMIT, 3).await.expect("answered");
        assert_eq!((status, &said[..]), (StatusCode::OK, word));
    }
    let elsewhere = ours.post("/", b"one".to_vec(), LIMIT, 1 << 20).await.expect("answered");
    assert_eq!(elsewhere.0, StatusCode::NOT_FOUND);
    let long = ours.post("/office", b"long".to_vec(), LIMIT, 3).await;
    assert!(long.is_err(), "more than was to be taken");

    hash[0] ^= 1;
    for by in [Trust::Pinned(hash), Trust::Public] {
        assert!(peer(by).post("/office", b"one".to_vec(), LIMIT, 3).await.is_err(), "{by:?}");
    }
}
