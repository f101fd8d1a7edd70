//! A hello as Telegram's apps send it, recorded in `tests/flights/tdlib-ee`: for asking a server how
//! it answers one.

use aws_lc_rs::agreement;
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use aws_lc_rs::rand::SystemRandom;

use super::hello::{Group, RANDOM, X25519, X25519_MLKEM768};
use super::record::HANDSHAKE;

/// How long the hello of an app without the hybrid group is, made so by padding.
const OLD_LENGTH: usize = 517;

/// A hello's record for this server name with keys that are drawn for it and thrown away: of an app
/// of today with [`X25519_MLKEM768`], and of an older one with any other group.
///
/// # Panics
/// When the name is longer than a host's name may be.
#[must_use]
pub fn record(server_name: &str, group: Group) -> Vec<u8> {
    let hybrid = group == X25519_MLKEM768;
    let [cipher, first, share, version, last] = grease();
    let x25519 = x25519_key();
    let session_id: [u8; 32] = crate::random();

    let name = [&[0][..], &list(server_name.as_bytes())].concat();
    let mut groups = share.to_vec();
    let mut shares = [&share[..], &list(&[0])].concat();
    if hybrid {
        groups.extend(X25519_MLKEM768.0.to_be_bytes());
        shares.extend(X25519_MLKEM768.0.to_be_bytes());
        shares.extend(list(&[&ml_kem_key()[..], &x25519_key()].concat()));
    }
    groups.extend([0x00, 0x1d, 0x00, 0x17, 0x00, 0x18]);
    shares.extend(X25519.0.to_be_bytes());
    shares.extend(list(&x25519));
    let ciphers = [
        &cipher[..],
        &[0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30],
        &[0xcc, 0xa9, 0xcc, 0xa8, 0xc0, 0x13, 0xc0, 0x14, 0x00, 0x9c, 0x00, 0x9d, 0x00, 0x2f],
        &[0x00, 0x35],
    ];
    let signatures = [
        0x06, 0x09, 0x04, 0x09, 0x05, 0x09, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, 0x05, 0x03, 0x08,
        0x05, 0x05, 0x01, 0x08, 0x06, 0x06, 0x01,
    ];
    let mut extensions = vec![
        extension(first, &[]),
        extension([0x00, 0x10], &list(b"\x02h2\x08http/1.1")),
        extension([0xff, 0x01], &[0]),
        extension([0x00, 0x17], &[]),
        extension([0x00, 0x2d], &[1, 1]),
        extension([0x00, 0x00], &list(&name)),
        extension([0x00, 0x33], &list(&shares)),
        extension([0x00, 0x23], &[]),
        extension([0x00, 0x2b], &[&[6][..], &version, &[3, 4, 3, 3]].concat()),
        extension([0x00, 0x05], &[1, 0, 0, 0, 0]),
        extension([0x00, 0x0b], &[1, 0]),
        extension([0x44, 0xcd], &list(b"\x02h2")),
        extension([0x00, 0x0d], &list(if hybrid { &signatures } else { &signatures[6..] })),
        extension([0x00, 0x12], &[]),
        extension([0x00, 0x1b], &[2, 0, 2]),
        extension([0x00, 0x0a], &list(&groups)),
        extension(last, &[0]),
    ];
    if hybrid {
        extensions.insert(15, extension([0xfe, 0x0d], &encrypted_hello()));
        let last = extensions.len() - 1;
        shuffle(&mut extensions[1..last]);
    }
    let whole = |extensions: &[Vec<u8>]| {
        let body = [
            &[3, 3][..],
            &crate::random::<{ RANDOM.end - RANDOM.start }>(),
            &[32],
            &session_id,
            &list(&ciphers.concat()),
            &[1, 0],
            &list(&extensions.concat()),
        ];
        let message = [&[1, 0][..], &list(&body.concat())].concat();
        [&[HANDSHAKE, 3, 1][..], &list(&message)].concat()
    };
    let record = whole(&extensions);
    let missing = OLD_LENGTH.saturating_sub(record.len() + 4);
    if hybrid || missing == 0 {
        return record;
    }
    extensions.push(extension([0x00, 0x15], &vec![0; missing]));
    whole(&extensions)
}

/// Numbers that stand for nothing, so that servers stay used to meeting what they do not know (RFC
/// 8701). Those of the first and the last extension differ.
fn grease() -> [[u8; 2]; 5] {
    let mut drawn: [u8; 5] = crate::random();
    if drawn[1] >> 4 == drawn[4] >> 4 {
        drawn[4] ^= 0x10;
    }
    drawn.map(|high| [high & 0xf0 | 0x0a; 2])
}

/// Fisher and Yates. Apps of today send their extensions in any order.
fn shuffle(extensions: &mut [Vec<u8>]) {
    for last in (1..extensions.len()).rev() {
        extensions.swap(last, usize::from(u16::from_be_bytes(crate::random())) % (last + 1));
    }
}

/// What a client sends where it has nothing to encrypt (RFC 9849, section 6.2).
fn encrypted_hello() -> Vec<u8> {
    let [config] = crate::random();
    let key = x25519_key();
    let [length] = crate::random();
    let mut payload = vec![0; 144 + 32 * usize::from(length % 4)];
    crate::fill_random(&mut payload);
    [&[0, 0, 1, 0, 1, config][..], &list(&key), &list(&payload)].concat()
}

/// A public key of its own: whoever looks can tell one from noise, by its highest bit, and by whether it
/// is a point of the curve.
pub(crate) fn x25519_key() -> [u8; 32] {
    agreement::EphemeralPrivateKey::generate(&agreement::X25519, &SystemRandom::new())
        .and_then(|key| key.compute_public_key())
        .ok()
        .and_then(|key| key.as_ref().try_into().ok())
        .expect("the operating system gives random bytes")
}

fn ml_kem_key() -> Vec<u8> {
    DecapsulationKey::generate(&ML_KEM_768)
        .and_then(|key| key.encapsulation_key())
        .and_then(|key| key.key_bytes())
        .expect("the system gives random bytes")
        .as_ref()
        .to_vec()
}

fn extension(kind: [u8; 2], body: &[u8]) -> Vec<u8> {
    [&kind[..], &list(body)].concat()
}

/// Bytes with their number before them.
fn list(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a hello is short");
    [&length.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::hello::{ClientHello, Prefix, prefix};
    use std::collections::HashSet;

    /// The kinds of a hello's extensions and how long they are.
    fn extensions(record: &[u8]) -> Vec<(u16, usize)> {
        let number = |at: usize| u16::from_be_bytes([record[at], record[at + 1]]);
        let mut at = 5 + 4 + 2 + 32 + 33;
        at += 2 + usize::from(number(at)) + 2 + 2;
        let mut found = Vec::new();
        while at < record.len() {
            let length = usize::from(number(at + 2));
            found.push((number(at), length));
            at += 4 + length;
        }
        found
    }

    #[test]
    fn it_is_made_like_the_hello_of_telegrams_own_library() {
        let known = |record: &[u8]| {
            let mut known = extensions(record);
            let grease = |(kind, length): &(u16, usize)| kind & 0x0f0f == 0x0a0a && *length < 2;
            assert!(known.first().is_some_and(grease) && known.last().is_some_and(grease));
            known.retain(|extension| !grease(extension) && extension.0 != 0xfe0d);
            known.sort_unstable();
            known
        };
        let recorded: &[u8] = include_bytes!("../../tests/flights/tdlib-ee");
        let mut lengths = HashSet::new();
        for _ in 0..200 {
            let made = record("example.com", X25519_MLKEM768);
            assert_eq!(known(&made), known(recorded));
            assert_eq!(made[80..110], recorded[80..110], "the cipher suites");
            lengths.insert(made.len());
        }
        assert_eq!(lengths.len(), 4);
        assert!(lengths.contains(&recorded.len()));
    }

    #[test]
    fn with_and_without_the_hybrid_group_it_is_a_hello() {
        for group in [X25519_MLKEM768, X25519] {
            let made = record("example.com", group);
            assert_eq!(prefix(&made), Prefix::Whole(made.len()));
            let hello = ClientHello::read(&made).expect("a hello");
            assert_eq!(hello.server_name, Some("example.com"));
            assert_eq!(hello.share(X25519_MLKEM768).is_some(), group == X25519_MLKEM768);
            assert!(hello.share(X25519).is_some() && hello.offers(0x1302));
        }
        assert_eq!(record("example.com", X25519).len(), OLD_LENGTH);
        let long = record(&"a".repeat(180), X25519);
        assert_eq!(prefix(&long), Prefix::Whole(long.len()));
    }
}
