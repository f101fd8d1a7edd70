//! Changing a TXT record of a zone (RFC 2136), signed (TSIG, RFC 8945).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use data_encoding::BASE64;

const SOA: u16 = 6;
const TXT: u16 = 16;
const TSIG: u16 = 250;
const IN: u16 = 1;
const NONE: u16 = 254;
const ANY: u16 = 255;
/// How many seconds a name server's clock may differ from ours.
const FUDGE: u16 = 300;
/// How long others may remember a record, in seconds.
const TTL: u32 = 60;

/// What is to become of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is added to those of its name.
    Add,
    /// It alone is removed.
    Remove,
}

/// A key that a name server knows: `hmac-sha256:NAME:SECRET`, the secret in base 64.
#[derive(Clone)]
pub struct TsigKey {
    algorithm: hmac::Algorithm,
    algorithm_name: &'static str,
    name: Vec<u8>,
    secret: Vec<u8>,
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TsigKey")
    }
}

/// Why there is no update, or no change.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadUpdate {
    /// It is no key.
    #[error(
        "this is no key: give hmac-sha256:NAME:SECRET or hmac-sha512:NAME:SECRET, the secret in \
         base 64"
    )]
    Key,
    /// It is no name of a record.
    #[error("'{0}' is no name in DNS")]
    Name(String),
    /// The answer is none to this question.
    #[error("its answer makes no sense")]
    Answer,
    /// It says no.
    #[error("it refuses: {0}")]
    Refused(&'static str),
}

impl FromStr for TsigKey {
    type Err = BadUpdate;

    fn from_str(text: &str) -> Result<Self, BadUpdate> {
        let mut parts = text.splitn(3, ':');
        let (Some(algorithm), Some(key), Some(secret)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(BadUpdate::Key);
        };
        let (algorithm, algorithm_name) = match algorithm.to_ascii_lowercase().as_str() {
            "hmac-sha256" => (hmac::HMAC_SHA256, "hmac-sha256"),
            "hmac-sha512" => (hmac::HMAC_SHA512, "hmac-sha512"),
            _ => return Err(BadUpdate::Key),
        };
        let secret = BASE64.decode(secret.trim().as_bytes()).map_err(|_| BadUpdate::Key)?;
        Ok(Self { algorithm, algorithm_name, name: name(key)?, secret })
    }
}

/// The message that changes the TXT record `name` of `zone`, at this time (seconds since 1970).
///
/// # Errors
/// When a name is none, or `value` has more than 255 bytes.
pub fn txt(
    zone: &str,
    record: &str,
    change: Change,
    value: &str,
    key: &TsigKey,
    now: u64,
) -> Result<Vec<u8>, BadUpdate> {
    let length = u8::try_from(value.len()).map_err(|_| BadUpdate::Name(value.into()))?;
    let mut id = [0; 2];
    crate::fill_random(&mut id);
    let mut message = id.to_vec();
    // An update, of one zone and one record.
    for number in [5 << 11, 1, 0, 1, 0] {
        put(&mut message, number);
    }
    message.extend(name(zone)?);
    put(&mut message, SOA);
    put(&mut message, IN);
    message.extend(name(record)?);
    put(&mut message, TXT);
    let (class, ttl) = match change {
        Change::Add => (IN, TTL),
        Change::Remove => (NONE, 0),
    };
    put(&mut message, class);
    message.extend(ttl.to_be_bytes());
    put(&mut message, u16::from(length) + 1);
    message.push(length);
    message.extend(value.as_bytes());
    sign(message, id, key, now)
}

fn sign(mut message: Vec<u8>, id: [u8; 2], key: &TsigKey, now: u64) -> Result<Vec<u8>, BadUpdate> {
    let algorithm = name(key.algorithm_name)?;
    let time = &now.to_be_bytes()[2..];
    let mut record = key.name.clone();
    let mut signed = message.clone();
    signed.extend(&key.name);
    put(&mut signed, ANY);
    signed.extend([0; 4]);
    signed.extend(&algorithm);
    signed.extend(time);
    put(&mut signed, FUDGE);
    signed.extend([0; 4]);
    let mac = hmac::sign(&hmac::Key::new(key.algorithm, &key.secret), &signed);

    put(&mut record, TSIG);
    put(&mut record, ANY);
    record.extend([0; 4]);
    let mut data = algorithm;
    data.extend(time);
    put(&mut data, FUDGE);
    put(&mut data, length(mac.as_ref()));
    data.extend(mac.as_ref());
    data.extend(id);
    data.extend([0; 4]);
    put(&mut record, length(&data));
    record.extend(data);
    // One additional record.
    message[11] = 1;
    message.extend(record);
    Ok(message)
}

/// Whether an answer says that the change was made. Its signature is not looked at: whoever can forge
/// answers on the way can only make us believe in a change that the reader of the record will miss.
///
/// # Errors
/// When it does not.
pub fn check(question: &[u8], answer: &[u8]) -> Result<(), BadUpdate> {
    let (Some(question), Some(answer)) = (question.get(..4), answer.get(..12)) else {
        return Err(BadUpdate::Answer);
    };
    if answer[..2] != question[..2] || answer[2] & 0xf8 != question[2] & 0x78 | 0x80 {
        return Err(BadUpdate::Answer);
    }
    Err(BadUpdate::Refused(match answer[3] & 15 {
        0 => return Ok(()),
        1 => "FORMERR (it does not understand)",
        2 => "SERVFAIL (it has a problem of its own)",
        3 => "NXDOMAIN (no such name)",
        4 => "NOTIMP (it takes no updates)",
        5 => "REFUSED (this key may not change this)",
        9 => "NOTAUTH (it does not know the zone or the key, or the clocks differ)",
        10 => "NOTZONE (the name is not in the zone)",
        _ => "an error of a rare kind",
    }))
}

fn put(message: &mut Vec<u8>, number: u16) {
    message.extend(number.to_be_bytes());
}

fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// A name as it stands in messages, in small letters.
fn name(text: &str) -> Result<Vec<u8>, BadUpdate> {
    let bad = || BadUpdate::Name(text.chars().take(255).collect());
    let mut bytes = Vec::new();
    for label in text.strip_suffix('.').unwrap_or(text).split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
        bytes.push(length.ok_or_else(bad)?);
        bytes.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    bytes.push(0);
    if bytes.len() <= 255 && text.is_ascii() { Ok(bytes) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_other_programs_write_them() {
        assert!("hmac-sha256:acme:c2VjcmV0".parse::<TsigKey>().is_ok());
        assert!("HMAC-SHA512:acme.example.org.:c2VjcmV0".parse::<TsigKey>().is_ok());
        for bad in ["", "acme:c2VjcmV0", "hmac-md5:acme:c2VjcmV0", "hmac-sha256:acme:?", "a:b:c:d"]
        {
            assert_eq!(bad.parse::<TsigKey>().err(), Some(BadUpdate::Key), "{bad}");
        }
    }

    #[test]
    fn only_an_answer_that_says_so_means_that_it_was_done() {
        let key = "hmac-sha256:acme:c2VjcmV0".parse().expect("a key");
        let question = txt("example.org", "_x.example.org.", Change::Add, "v", &key, 1_700_000_000)
            .expect("a message");
        let mut answer = question[..12].to_vec();
        assert_eq!(check(&question, &answer), Err(BadUpdate::Answer), "a question is no answer");
        answer[2] |= 0x80;
        assert_eq!(check(&question, &answer), Ok(()));
        answer[3] |= 9;
        assert!(matches!(check(&question, &answer), Err(BadUpdate::Refused(_))));
        answer[0] ^= 1;
        assert_eq!(check(&question, &answer), Err(BadUpdate::Answer));
        assert_eq!(check(&question, &[]), Err(BadUpdate::Answer));
    }
}
