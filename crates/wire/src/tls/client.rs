//! The hello of a present-day TLS 1.3 client, as an app with an `ee` link sends it.

use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};

use crate::fill_random;
use crate::tls::hello::RANDOM;

/// A hello's record for this server name: about 1.5 KiB, with a key share of the hybrid group and one
/// of X25519. The keys to them are nowhere, so whoever sends it can see how a server answers and not
/// go on from there.
///
/// # Panics
/// When the name is longer than a hello can be.
#[must_use]
pub fn record(server_name: &str) -> Vec<u8> {
    let mut record = without_random(server_name);
    fill_random(&mut record[RANDOM]);
    record
}

/// The same, its 32 random bytes still zero.
pub(crate) fn without_random(server_name: &str) -> Vec<u8> {
    let mut session_id = [0; 32];
    let mut x25519 = [0; 32];
    fill_random(&mut session_id);
    fill_random(&mut x25519);
    let hybrid = [ml_kem_key(), x25519.to_vec()].concat();

    let name = [&[0][..], &list(server_name.as_bytes())].concat();
    let shares = [&[0x11, 0xec][..], &list(&hybrid), &[0x00, 0x1d], &list(&x25519)].concat();
    let extensions = [
        extension(0x0000, &list(&name)),
        extension(0x000a, &list(&[0x11, 0xec, 0x00, 0x1d, 0x00, 0x17])),
        extension(0x000d, &list(&[0x04, 0x03, 0x08, 0x04, 0x04, 0x01])),
        extension(0x0010, &list(b"\x02h2\x08http/1.1")),
        extension(0x002b, &[4, 0x03, 0x04, 0x03, 0x03]),
        extension(0x002d, &[1, 1]),
        extension(0x0033, &list(&shares)),
    ];
    let body = [
        &[3, 3][..],
        &[0; 32],
        &[32],
        &session_id,
        &list(&[0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b]),
        &[1, 0],
        &list(&extensions.concat()),
    ];
    let message = [&[1, 0][..], &list(&body.concat())].concat();
    [&[0x16, 3, 1][..], &list(&message)].concat()
}

fn ml_kem_key() -> Vec<u8> {
    DecapsulationKey::generate(&ML_KEM_768)
        .and_then(|key| key.encapsulation_key())
        .and_then(|key| key.key_bytes())
        .expect("the system gives random bytes")
        .as_ref()
        .to_vec()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &list(body)].concat()
}

/// Bytes with their number before them.
fn list(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a hello is short");
    [&length.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use crate::tls::hello::{ClientHello, Prefix, X25519_MLKEM768, prefix};

    #[test]
    fn it_is_a_hello() {
        let record = super::record("example.com");
        assert_eq!(prefix(&record), Prefix::Whole(record.len()));
        let hello = ClientHello::read(&record).expect("a hello");
        assert_eq!(hello.server_name, Some("example.com"));
        assert_eq!(hello.share(X25519_MLKEM768).map(<[u8]>::len), Some(1216));
    }
}
