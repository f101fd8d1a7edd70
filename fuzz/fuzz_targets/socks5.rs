//! SOCKS5 messages are read in the same way however they are cut, and datagrams within their bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::socks5::{self, Malformed, Read};

fn check<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<Read<T>, Malformed>,
) {
    let whole = read(bytes);
    for cut in 0..bytes.len().min(socks5::MAX_MESSAGE) {
        let part = read(&bytes[..cut]);
        assert!(part == Ok(Read::More) || part == whole, "{cut}: {part:?}, then {whole:?}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes, socks5::greeting);
    check(bytes, socks5::login);
    check(bytes, socks5::request);
    if let Some((target, payload)) = socks5::datagram(bytes) {
        assert!(target.port != 0 && payload.len() < bytes.len());
    }
});
