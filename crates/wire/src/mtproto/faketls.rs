//! Fake TLS, the `ee` links: a TLS 1.3 handshake that only looks like one, and obfuscated2 in
//! application-data records after it. There is no specification; TDLib, tdesktop, tgnet and the
//! other proxies agree on what follows.
//!
//! - The client's random bytes are HMAC-SHA256(key, its hello record with those bytes zero), the
//!   last four combined with its clock (Unix seconds, little-endian) by exclusive or.
//! - The server answers in one flight of three records: hello, change cipher spec, and exactly one
//!   of application data, which stands for all that a real server sends encrypted. Its own random
//!   bytes are HMAC-SHA256(key, the client's random ‖ the flight with those bytes zero).

use aws_lc_rs::kem::{EncapsulationKey, ML_KEM_768};
use aws_lc_rs::{constant_time, digest, hmac};

use super::ServerName;
use crate::derive::Secret;
use crate::tls::hello::{ClientHello, Group, RANDOM, X25519, X25519_MLKEM768};
use crate::tls::offer::{self, x25519_key};
use crate::tls::record;

/// How long the session id of an app's hello is; a hello with another one comes from no app.
const SESSION_ID: u8 = 32;
const ML_KEM_KEY: usize = 1184;
const X25519_KEY: usize = 32;

/// A clock reading as a client sent it, in Unix seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ClientTime(pub u32);

impl ClientTime {
    /// How many seconds the client's clock is ahead of ours (negative: behind).
    #[must_use]
    pub fn ahead_of(self, now: u64) -> i64 {
        i64::from(self.0) - i64::try_from(now).unwrap_or(i64::MAX)
    }
}

/// The blocks of SHA-256, in bytes.
const BLOCK: usize = 64;

/// A hello on which one secret after another is tried.
pub struct Trial {
    /// The inner message of HMAC (RFC 2104): room for a padded key, and the record with its random bytes
    /// zero.
    message: Vec<u8>,
    random: [u8; 32],
}

impl Trial {
    /// Prepares a hello; `None` when it comes from no app.
    #[must_use]
    pub fn new(hello: &ClientHello<'_>) -> Option<Self> {
        let is_apps = hello.session_id.len() == usize::from(SESSION_ID);
        is_apps.then(|| Self { message: message(hello.record), random: *hello.random })
    }

    /// Tries a secret; the time that the hello's sender signed, if it is the right one.
    ///
    /// Whether that time is near enough, and the hello not seen before, is for the caller to say.
    #[must_use]
    pub fn open(&mut self, secret: &Secret) -> Option<ClientTime> {
        let (proof, time) = self.random.split_at(28);
        let tag = digest_of(&mut self.message, secret);
        let (digest, mask) = tag.as_ref().split_at(28);
        constant_time::verify_slices_are_equal(proof, digest).ok()?;
        let (time, mask) = (time.try_into().ok()?, mask.try_into().ok()?);
        Some(ClientTime(u32::from_le_bytes(time) ^ u32::from_le_bytes(mask)))
    }
}

/// Tries one secret on a hello: see [`Trial::open`].
#[must_use]
pub fn open(hello: &ClientHello<'_>, secret: &Secret) -> Option<ClientTime> {
    Trial::new(hello)?.open(secret)
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trial(..)")
    }
}

/// The message that a hello's digest is made of, after room for a key.
fn message(record: &[u8]) -> Vec<u8> {
    let mut message = [&[0; BLOCK], record].concat();
    message[BLOCK..][RANDOM].fill(0);
    message
}

/// HMAC-SHA256 over a [`message`]. By hand, since the library's takes memory for every key.
fn digest_of(message: &mut [u8], secret: &Secret) -> digest::Digest {
    let pad = |room: &mut [u8], with: u8| {
        room.fill(with);
        room.iter_mut().zip(secret.0).for_each(|(byte, key)| *byte ^= key);
    };
    pad(&mut message[..BLOCK], 0x36);
    let inner = digest::digest(&digest::SHA256, message);
    let mut outer = [0; BLOCK + 32];
    pad(&mut outer[..BLOCK], 0x5c);
    outer[BLOCK..].copy_from_slice(inner.as_ref());
    digest::digest(&digest::SHA256, &outer)
}

/// What a client does: signs its hello record in place.
///
/// # Panics
/// When the record is too short to hold the random bytes.
pub fn sign_hello(hello_record: &mut [u8], secret: &Secret, now: u32) {
    let tag = digest_of(&mut message(hello_record), secret);
    let random = &mut hello_record[RANDOM];
    random.copy_from_slice(tag.as_ref());
    for (byte, time) in random[28..].iter_mut().zip(now.to_le_bytes()) {
        *byte ^= time;
    }
}

/// What a client does: a whole hello record for this server name, signed.
///
/// # Panics
/// As [`offer::record`].
#[must_use]
pub fn client_hello(name: &ServerName, secret: &Secret, now: u32) -> Vec<u8> {
    let mut hello = offer::record(name.as_str(), X25519_MLKEM768);
    sign_hello(&mut hello, secret, now);
    hello
}

/// What a server's flight is to look like. Where a hello does not offer what is asked for here, it
/// gets what it does offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// The cipher suite.
    pub cipher: u16,
    /// The group of the key share: X25519MLKEM768, or X25519 in place of any other.
    pub group: Group,
    /// Whether the version is told before the key share.
    pub versions_first: bool,
    /// How long all is that comes encrypted, in bytes, record headers included. However many records
    /// a real server would make of it, apps take exactly one, which is as long as those together.
    pub encrypted: usize,
}

impl Look {
    /// That of many servers of today, with so many encrypted bytes.
    #[must_use]
    pub const fn usual(encrypted: usize) -> Self {
        Self { cipher: 0x1301, group: X25519_MLKEM768, versions_first: false, encrypted }
    }
}

/// The server's flight in answer to an authenticated hello. Its key share is a real one.
#[must_use]
pub fn server_flight(hello: &ClientHello<'_>, secret: &Secret, look: &Look) -> Vec<u8> {
    let hybrid = if look.group == X25519_MLKEM768 { hybrid_share(hello) } else { None };
    let (group, share) = hybrid.unwrap_or_else(|| (X25519, x25519_key().to_vec()));
    let mut ciphers = [look.cipher, 0x1301, 0x1302, 0x1303].into_iter();
    let cipher = ciphers.find(|&cipher| hello.offers(cipher)).unwrap_or(0x1301);
    let payload = look.encrypted.saturating_sub(record::HEADER).min(record::MAX_PAYLOAD);

    let versions = [0x00, 0x2b, 0x00, 0x02, 0x03, 0x04];
    let mut extensions = Vec::new();
    if look.versions_first {
        extensions.extend(versions);
    }
    extensions.extend([0x00, 0x33]);
    put_list(&mut extensions, |body| {
        body.extend(group.0.to_be_bytes());
        put_list(body, |key| key.extend(&share));
    });
    if !look.versions_first {
        extensions.extend(versions);
    }

    let mut flight = vec![record::HANDSHAKE, 3, 3];
    put_list(&mut flight, |record| {
        record.extend([2, 0]);
        put_list(record, |body| {
            body.extend([3, 3]);
            body.extend([0; 32]);
            body.push(SESSION_ID);
            body.extend(hello.session_id);
            body.extend(cipher.to_be_bytes());
            body.push(0);
            put_list(body, |list| list.extend(&extensions));
        });
    });
    flight.extend(record::CHANGE);
    flight.extend(record::header(payload));
    let encrypted = flight.len();
    flight.resize(encrypted + payload, 0);
    crate::fill_random(&mut flight[encrypted..]);

    let random = flight_digest(secret, hello.random, &flight);
    flight[RANDOM].copy_from_slice(random.as_ref());
    flight
}

/// These bytes are not the beginning of a server's flight.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a server's flight of three records")]
pub struct NoFlight;

/// What a client does: how many bytes a flight takes, once all of its three records are there.
///
/// # Errors
/// When it is none.
pub fn flight_length(bytes: &[u8]) -> Result<Option<usize>, NoFlight> {
    let mut end = 0;
    for kind in [record::HANDSHAKE, record::CHANGE_CIPHER_SPEC, record::APPLICATION_DATA] {
        let header = &bytes[end.min(bytes.len())..];
        if header.iter().zip([kind, 3, 3]).any(|(&is, due)| is != due) {
            return Err(NoFlight);
        }
        let Some([high, low]) = header.get(3..5) else { return Ok(None) };
        end += record::HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    }
    Ok((bytes.len() >= end).then_some(end))
}

/// What a client does: whether a flight, three records long, comes from somebody who has the secret.
#[must_use]
pub fn flight_is_valid(flight: &[u8], client_random: &[u8; 32], secret: &Secret) -> bool {
    flight.len() > RANDOM.end
        && constant_time::verify_slices_are_equal(
            &flight[RANDOM],
            flight_digest(secret, client_random, flight).as_ref(),
        )
        .is_ok()
}

fn flight_digest(secret: &Secret, client_random: &[u8; 32], flight: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0));
    context.update(client_random);
    context.update(&flight[..RANDOM.start]);
    context.update(&[0; 32]);
    context.update(&flight[RANDOM.end..]);
    context.sign()
}

/// Appends what `fill` writes, with its length in two bytes before it.
fn put_list(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0, 0]);
    fill(out);
    let length = u16::try_from(out.len() - at - 2).expect("a flight's lists are short");
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// A server's share of X25519MLKEM768: an ML-KEM ciphertext to the client's key, and an X25519 key.
fn hybrid_share(hello: &ClientHello<'_>) -> Option<(Group, Vec<u8>)> {
    let offered = hello.share(X25519_MLKEM768)?;
    if offered.len() != ML_KEM_KEY + X25519_KEY {
        return None;
    }
    let client = EncapsulationKey::new(&ML_KEM_768, &offered[..ML_KEM_KEY]).ok()?;
    let (ciphertext, _shared) = client.encapsulate().ok()?;
    let mut share = ciphertext.as_ref().to_vec();
    share.extend(x25519_key());
    Some((X25519_MLKEM768, share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::answer::{self, Answer};
    use aws_lc_rs::kem::DecapsulationKey;
    use data_encoding::HEXLOWER;

    const KEY: Secret = Secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

    /// The hello of an app: random bytes zero, a session id, the given key shares.
    fn hello(shares: &[(Group, &[u8])]) -> Vec<u8> {
        let mut record = vec![0x16, 3, 1];
        put_list(&mut record, |record| {
            record.extend([1, 0]);
            put_list(record, |body| {
                body.extend([3, 3]);
                body.extend([0; 32]);
                body.push(32);
                body.extend([0x5e; 32]);
                put_list(body, |ciphers| ciphers.extend([0x13, 0x02, 0x13, 0x01]));
                body.extend([1, 0]);
                put_list(body, |extensions| {
                    extensions.extend([0x00, 0x33]);
                    put_list(extensions, |body| {
                        put_list(body, |list| {
                            for (group, key) in shares {
                                list.extend(group.0.to_be_bytes());
                                put_list(list, |share| share.extend(*key));
                            }
                        });
                    });
                });
            });
        });
        record
    }

    #[test]
    fn the_digest_of_a_hello_matches_the_vector() {
        let mut record = HEXLOWER.decode(b"1603010200010001fc0303").expect("hex");
        record.extend([0; 32]);
        record.extend(0..32);
        assert_eq!(
            HEXLOWER.encode(digest_of(&mut message(&record), &KEY).as_ref()),
            "29e77174c4f369eb8788e460706204a5e0fc6251d434dae4300a03eecd97c46b"
        );
        sign_hello(&mut record, &KEY, 0x6553_0000);
        assert_eq!(HEXLOWER.encode(&record[39..43]), "cd97970e");
    }

    #[test]
    fn the_flight_of_the_vector_is_valid() {
        let random = HEXLOWER
            .decode(b"777cae889552a7498f51370a091045921917144f46f67299e03d010cf6621e8a")
            .expect("hex");
        let random: [u8; 32] = random.try_into().expect("32 bytes");
        let mut flight = HEXLOWER
            .decode(
                concat!(
                    "160303007a020000760303390276b40537967ee072722008381fbc4210bdac48e0c9bea3941349",
                    "63f0c860203ed360062d088b653a24a8aa7a8fad3c5a70c55a2e6dccbcc2ec5ed3dc033a741301",
                    "00002e00330024001d002086b38ef864c6b983028560d6f14245b4f54f94454b11f0d455ca9a89",
                    "504f275c002b000203041403030001011703030040946d7a2a3d7260ed7e3e61081eb4b902304b",
                    "eb7d20cdc237f6ee7d94758d5bb0db150857ff2a51260d08618ddf1d34f8ecb5a446fb5afba11d",
                    "8711887f072fba",
                )
                .as_bytes(),
            )
            .expect("hex");
        assert!(flight_is_valid(&flight, &random, &KEY));
        flight[100] ^= 1;
        assert!(!flight_is_valid(&flight, &random, &KEY));
    }

    #[test]
    fn a_signed_hello_tells_its_senders_clock_to_whoever_has_the_secret() {
        let mut record = hello(&[]);
        sign_hello(&mut record, &KEY, 1_800_000_000);
        let read = ClientHello::read(&record).expect("a hello");
        let mut trial = Trial::new(&read).expect("an app's");
        assert_eq!(trial.open(&Secret([1; 16])), None);
        assert_eq!(trial.open(&KEY), Some(ClientTime(1_800_000_000)));
        assert_eq!(ClientTime(1_800_000_000).ahead_of(1_800_000_060), -60);

        let last = record.len() - 1;
        record[last] ^= 1;
        assert_eq!(ClientHello::read(&record).and_then(|read| open(&read, &KEY)), None);
    }

    #[test]
    fn an_old_client_gets_x25519_in_three_records_and_nothing_after_them() {
        let record = hello(&[(X25519, &[9; 32])]);
        let read = ClientHello::read(&record).expect("a hello");
        let flight = server_flight(&read, &KEY, &Look::usual(2005));
        assert_eq!(flight[..5], [0x16, 3, 3, 0, 0x7a]);
        assert_eq!(flight[0x7f..0x7f + 9], [0x14, 3, 3, 0, 1, 1, 0x17, 3, 3]);
        assert_eq!(flight.len(), 0x7f + 6 + 5 + 2000);
        assert_eq!(flight[44..76], [0x5e; 32], "the session id comes back");
        assert_eq!(flight[76..78], [0x13, 0x01], "a cipher suite that was offered");
        assert!(flight_is_valid(&flight, read.random, &KEY));
        assert_ne!(flight, server_flight(&read, &KEY, &Look::usual(2005)), "nothing repeats");
    }

    #[test]
    fn a_client_of_today_gets_a_hybrid_share_that_it_could_use() {
        let client = DecapsulationKey::generate(&ML_KEM_768).expect("a key");
        let public = client.encapsulation_key().expect("its public half");
        let mut key = public.key_bytes().expect("bytes").as_ref().to_vec();
        key.extend([9; 32]);
        let record = hello(&[(Group(0x2a2a), &[0]), (X25519_MLKEM768, &key), (X25519, &[9; 32])]);
        let read = ClientHello::read(&record).expect("a hello");
        let flight = server_flight(&read, &KEY, &Look::usual(105));
        let share = 5 + 4 + 2 + 32 + 33 + 2 + 1 + 2 + 4;
        assert_eq!(flight[share..share + 4], [0x11, 0xec, 0x04, 0x60]);
        let ciphertext = &flight[share + 4..share + 4 + 1088];
        assert!(client.decapsulate(ciphertext.into()).is_ok());
        assert!(flight_is_valid(&flight, read.random, &KEY));
    }

    #[test]
    fn a_flight_looks_as_it_is_asked_to_as_far_as_the_hello_allows() {
        let record = hello(&[(X25519, &[9; 32])]);
        let read = ClientHello::read(&record).expect("a hello");
        let look = Look { cipher: 0x1302, versions_first: true, ..Look::usual(1234) };
        let flight = server_flight(&read, &KEY, &look);
        let seen = answer::read(&flight).expect("TLS 1.3").expect("whole");
        let expected =
            Answer { cipher: 0x1302, group: X25519, versions_first: true, encrypted: vec![1229] };
        assert_eq!(seen, expected);
        assert!(flight_is_valid(&flight, read.random, &KEY));
        let look = Look { cipher: 0x1303, encrypted: usize::MAX, ..look };
        let seen = answer::read(&server_flight(&read, &KEY, &look)).expect("TLS 1.3");
        let seen = seen.expect("whole");
        assert_eq!((seen.cipher, &seen.encrypted[..]), (0x1301, &[record::MAX_PAYLOAD][..]));
    }

    #[test]
    fn a_hybrid_share_that_is_none_falls_back_to_x25519() {
        let record = hello(&[(X25519_MLKEM768, &[0xff; 1216])]);
        let read = ClientHello::read(&record).expect("a hello");
        let flight = server_flight(&read, &KEY, &Look::usual(0));
        assert_eq!(flight[..5], [0x16, 3, 3, 0, 0x7a]);
    }
}
