//! What people pass on: `tg://proxy?server=..&port=..&secret=..`, and the same under `https://t.me`.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use data_encoding::{
    BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE,
};

use crate::derive::Secret;

/// The longest secret that is looked at: `ee`, 16 bytes and the longest name, in hexadecimal.
const MAX_WRITTEN_SECRET: usize = 400;

/// A host name as it stands in a link and in a TLS hello: ASCII letters, digits, hyphens and dots,
/// at most 182 bytes (what Telegram's apps take).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ServerName(String);

impl ServerName {
    /// As it was given, in small letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// This is not a host name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a host name of at most 182 letters, digits, hyphens and dots")]
pub struct BadServerName(String);

impl FromStr for ServerName {
    type Err = BadServerName;

    fn from_str(text: &str) -> Result<Self, BadServerName> {
        let label_is_good = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() > 182 || !text.split('.').all(label_is_good) {
            return Err(BadServerName(text.chars().take(200).collect()));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// A link's `secret`: the key, and how the app is to dress its traffic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProxySecret {
    /// 16 bytes: obfuscated2, message lengths visible to statistics.
    Plain(Secret),
    /// `dd` and 16 bytes: obfuscated2 with random padding.
    Padded(Secret),
    /// `ee`, 16 bytes and a host name: obfuscated2 inside what looks like TLS to that host.
    FakeTls(Secret, ServerName),
}

/// This is not the secret of a Telegram proxy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSecret {
    /// Neither hexadecimal nor base 64.
    #[error("a proxy secret is written in hexadecimal or base64")]
    Encoding,
    /// Decodes, but to no known form.
    #[error("a proxy secret is 16 bytes, dd and 16 bytes, or ee, 16 bytes and a host name")]
    Form,
    /// The host name of an `ee` secret is none.
    #[error(transparent)]
    Name(#[from] BadServerName),
}

impl ProxySecret {
    /// The 16 bytes that the cryptography uses, the same in every form.
    #[must_use]
    pub fn key(&self) -> Secret {
        match self {
            Self::Plain(key) | Self::Padded(key) | Self::FakeTls(key, _) => *key,
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BadSecret> {
        let key = |bytes: &[u8]| bytes.try_into().map(Secret).map_err(|_| BadSecret::Form);
        match bytes {
            all if all.len() == 16 => Ok(Self::Plain(key(all)?)),
            [0xdd, rest @ ..] if rest.len() == 16 => Ok(Self::Padded(key(rest)?)),
            [0xee, rest @ ..] if rest.len() > 16 => {
                let (secret, name) = rest.split_at(16);
                let name = std::str::from_utf8(name).map_err(|_| BadSecret::Form)?;
                Ok(Self::FakeTls(key(secret)?, name.parse()?))
            }
            _ => Err(BadSecret::Form),
        }
    }
}

/// In hexadecimal, which every app reads.
impl fmt::Display for ProxySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(key) => f.write_str(&HEXLOWER.encode(&key.0)),
            Self::Padded(key) => write!(f, "dd{}", HEXLOWER.encode(&key.0)),
            Self::FakeTls(key, name) => {
                let name = HEXLOWER.encode(name.as_str().as_bytes());
                write!(f, "ee{}{name}", HEXLOWER.encode(&key.0))
            }
        }
    }
}

/// Reads hexadecimal, base64url and base64, padded or not, in the order in which TDLib tries them.
pub(crate) fn decode_secret(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_WRITTEN_SECRET {
        return None;
    }
    [HEXLOWER_PERMISSIVE, BASE64URL_NOPAD, BASE64URL, BASE64_NOPAD, BASE64]
        .iter()
        .find_map(|encoding| encoding.decode(text.as_bytes()).ok())
}

impl FromStr for ProxySecret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, BadSecret> {
        Self::from_bytes(&decode_secret(text).ok_or(BadSecret::Encoding)?)
    }
}

/// What one tap in a Telegram app sets up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProxyLink {
    /// An address or a host name.
    pub server: String,
    /// The port to dial.
    pub port: NonZeroU16,
    /// How to authenticate, and in which dress.
    pub secret: ProxySecret,
}

impl ProxyLink {
    /// Opens the app directly.
    #[must_use]
    pub fn tg(&self) -> String {
        format!("tg://proxy?{}", self.query())
    }

    /// Opens the app by way of a page on `t.me`, for messengers that make only such links clickable.
    #[must_use]
    pub fn https(&self) -> String {
        format!("https://t.me/proxy?{}", self.query())
    }

    fn query(&self) -> String {
        format!("server={}&port={}&secret={}", self.server, self.port, self.secret)
    }
}

/// This is not the link of a Telegram proxy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadLink {
    /// Neither of the two spellings.
    #[error("a Telegram proxy link begins with tg://proxy? or https://t.me/proxy?")]
    Prefix,
    /// One of the three parts is missing.
    #[error("the link has no {0}")]
    Missing(&'static str),
    /// The port is no number from 1 to 65535.
    #[error("the link's port is no number from 1 to 65535")]
    Port,
    /// The secret is none.
    #[error(transparent)]
    Secret(#[from] BadSecret),
}

impl FromStr for ProxyLink {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Self, BadLink> {
        let query = ["tg://proxy?", "https://t.me/proxy?"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .ok_or(BadLink::Prefix)?;
        let part = |name| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                .ok_or(BadLink::Missing(name))
        };
        Ok(Self {
            server: part("server")?.to_owned(),
            port: part("port")?.parse().map_err(|_| BadLink::Port)?,
            secret: part("secret")?.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Secret = Secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    const HEX: &str = "000102030405060708090a0b0c0d0e0f";

    fn fake_tls() -> ProxySecret {
        ProxySecret::FakeTls(KEY, "example.com".parse().expect("a name"))
    }

    #[test]
    fn secrets_are_written_as_the_apps_expect_them() {
        assert_eq!(ProxySecret::Plain(KEY).to_string(), HEX);
        assert_eq!(ProxySecret::Padded(KEY).to_string(), format!("dd{HEX}"));
        assert_eq!(fake_tls().to_string(), format!("ee{HEX}6578616d706c652e636f6d"));
    }

    #[test]
    fn secrets_are_read_in_every_encoding_that_is_passed_around() {
        for text in [
            "ee000102030405060708090a0b0c0d0e0f6578616d706c652e636f6d",
            "EE000102030405060708090A0B0C0D0E0F6578616D706C652E636F6D",
            "7gABAgMEBQYHCAkKCwwNDg9leGFtcGxlLmNvbQ",
            "7gABAgMEBQYHCAkKCwwNDg9leGFtcGxlLmNvbQ==",
        ] {
            assert_eq!(text.parse(), Ok(fake_tls()), "{text}");
        }
        assert_eq!(format!("dd{HEX}").parse(), Ok(ProxySecret::Padded(KEY)));
    }

    #[test]
    fn sixteen_bytes_are_a_plain_secret_whatever_the_first_byte() {
        let text = format!("dd{}", &HEX[..30]);
        assert!(matches!(text.parse(), Ok(ProxySecret::Plain(_))));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        assert_eq!("xyz!".parse::<ProxySecret>(), Err(BadSecret::Encoding));
        assert_eq!("00".parse::<ProxySecret>(), Err(BadSecret::Form));
        assert_eq!(format!("ff{HEX}").parse::<ProxySecret>(), Err(BadSecret::Form));
        let spaced = format!("ee{HEX}{}", HEXLOWER.encode(b"not a name"));
        assert!(matches!(spaced.parse::<ProxySecret>(), Err(BadSecret::Name(_))));
    }

    #[test]
    fn a_link_is_read_back_in_both_spellings() {
        let link = ProxyLink {
            server: "2001:db8::1".into(),
            port: NonZeroU16::new(443).expect("not 0"),
            secret: fake_tls(),
        };
        assert_eq!(link.tg().parse(), Ok(link.clone()));
        assert_eq!(link.https().parse(), Ok(link));
        assert_eq!(
            "tg://proxy?server=a&port=1".parse::<ProxyLink>(),
            Err(BadLink::Missing("secret"))
        );
    }
}
