//! Any hello is read within its bounds, and whatever is in it, its sender can check our answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::derive::Secret;
use wire::mtproto::faketls::{self, Look};
use wire::tls::hello::{ClientHello, RANDOM};

const KEY: Secret = Secret([7; 16]);

fuzz_target!(|record: &[u8]| {
    let Some(hello) = ClientHello::read(record) else { return };
    assert!(faketls::open(&hello, &KEY).is_none());
    if hello.session_id.len() != 32 || record.len() < RANDOM.end {
        return;
    }
    let mut signed = record.to_vec();
    faketls::sign_hello(&mut signed, &KEY, 1_800_000_000);
    let hello = ClientHello::read(&signed).expect("only its random bytes have changed");
    assert_eq!(faketls::open(&hello, &KEY).map(|time| time.0), Some(1_800_000_000));
    let flight = faketls::server_flight(&hello, &KEY, &Look::usual(300));
    assert!(faketls::flight_is_valid(&flight, hello.random, &KEY));
});
