//! What people pass on: `tg://webproxy?server=..&secret=..`, and the same under `https://t.me`.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use super::address::{BadAddress, WebAddress};
use crate::derive::Secret;
use crate::mtproto::link::decode_secret;

/// Stands before the secret of a link with a path, so that an app that knows no paths refuses the
/// link instead of asking the wrong place.
const WITH_PATH: u8 = 0x70;
const PADDED: u8 = 0xdd;

/// The secret of a WEB proxy. Fake TLS has no place here: the TLS around it is real.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WebSecret {
    /// 16 bytes: obfuscated2, message lengths visible inside the TLS.
    Plain(Secret),
    /// `dd` and 16 bytes: obfuscated2 with random padding.
    Padded(Secret),
}

impl WebSecret {
    /// The bytes that the capability is derived from: with the `dd`, if there is one.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Plain(key) => key.0.to_vec(),
            Self::Padded(key) => [&[PADDED], key.0.as_slice()].concat(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BadSecret> {
        let key = |bytes: &[u8]| bytes.try_into().map(Secret).map_err(|_| BadSecret::Form);
        match bytes {
            [PADDED, rest @ ..] if rest.len() == 16 => Ok(Self::Padded(key(rest)?)),
            [0xee, rest @ ..] if rest.len() > 16 => Err(BadSecret::FakeTls),
            all => Ok(Self::Plain(key(all)?)),
        }
    }
}

/// This is not the secret of a WEB proxy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSecret {
    /// Neither hexadecimal nor base 64.
    #[error("a proxy secret is written in hexadecimal or base64")]
    Encoding,
    /// For fake TLS.
    #[error("an ee secret is for fake TLS; a WEB proxy takes the plain or the dd one")]
    FakeTls,
    /// Decodes, but to nothing that fits.
    #[error("a WEB proxy's secret is 16 bytes or dd and 16 bytes, after 70 if there is a path")]
    Form,
}

/// What one tap in a Telegram app sets up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebLink {
    /// Where the proxy is.
    pub address: WebAddress,
    /// How to authenticate.
    pub secret: WebSecret,
}

impl WebLink {
    /// Opens the app directly.
    #[must_use]
    pub fn tg(&self) -> String {
        format!("tg://webproxy?{}", self.query())
    }

    /// Opens the app by way of a page on `t.me`, for messengers that make only such links clickable.
    #[must_use]
    pub fn https(&self) -> String {
        format!("https://t.me/webproxy?{}", self.query())
    }

    fn query(&self) -> String {
        let secret = self.secret.to_bytes();
        let secret = match self.address.path {
            None => HEXLOWER.encode(&secret),
            Some(_) => BASE64URL_NOPAD.encode(&[&[WITH_PATH], secret.as_slice()].concat()),
        };
        format!("server={}&secret={secret}", self.address.to_string().replace('/', "%2F"))
    }
}

impl fmt::Display for WebLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tg())
    }
}

/// This is not the link of a WEB proxy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadLink {
    /// Neither of the two spellings.
    #[error("a WEB proxy link begins with tg://webproxy? or https://t.me/webproxy?")]
    Prefix,
    /// One of the two parts is missing.
    #[error("the link has no {0}")]
    Missing(&'static str),
    /// The server is none.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The secret is none.
    #[error(transparent)]
    Secret(#[from] BadSecret),
}

impl FromStr for WebLink {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Self, BadLink> {
        let query = ["tg://webproxy?", "https://t.me/webproxy?"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .ok_or(BadLink::Prefix)?;
        let part = |name| {
            let mut pairs = query.split('&');
            let found = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.ok_or(BadLink::Missing(name))
        };
        let address: WebAddress =
            part("server")?.replace("%2F", "/").replace("%2f", "/").parse()?;
        let bytes = decode_secret(part("secret")?).ok_or(BadSecret::Encoding)?;
        let secret = match (&address.path, bytes.as_slice()) {
            (None, all) => all,
            (Some(_), [WITH_PATH, rest @ ..]) => rest,
            (Some(_), _) => return Err(BadSecret::Form.into()),
        };
        Ok(Self { secret: WebSecret::from_bytes(secret)?, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Secret = Secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    const HEX: &str = "000102030405060708090a0b0c0d0e0f";

    fn link(address: &str, secret: WebSecret) -> WebLink {
        WebLink { address: address.parse().expect("an address"), secret }
    }

    #[test]
    fn links_are_spelt_as_the_apps_read_them() {
        let plain = link("proxy.example.com", WebSecret::Plain(KEY));
        assert_eq!(plain.tg(), format!("tg://webproxy?server=proxy.example.com&secret={HEX}"));
        let padded = link("proxy.example.com/a/b", WebSecret::Padded(KEY));
        assert_eq!(
            padded.https(),
            "https://t.me/webproxy?server=proxy.example.com%2Fa%2Fb&secret=cN0AAQIDBAUGBwgJCgsMDQ4P"
        );
    }

    #[test]
    fn a_link_is_read_back_in_both_spellings() {
        for address in ["proxy.example.com", "proxy.example.com/a/b"] {
            for secret in [WebSecret::Plain(KEY), WebSecret::Padded(KEY)] {
                let link = link(address, secret);
                assert_eq!(link.tg().parse(), Ok(link.clone()));
                assert_eq!(link.https().parse(), Ok(link));
            }
        }
    }

    #[test]
    fn what_no_app_would_take_is_refused() {
        let read = |query: &str| format!("tg://webproxy?{query}").parse::<WebLink>();
        assert_eq!("tg://proxy?server=a.b".parse::<WebLink>(), Err(BadLink::Prefix));
        assert_eq!(read("server=a.example"), Err(BadLink::Missing("secret")));
        assert_eq!(
            read(&format!("server=a.example&secret=ee{HEX}612e62")),
            Err(BadLink::Secret(BadSecret::FakeTls))
        );
        for (query, error) in [
            (format!("server=a.example&secret=70{HEX}"), BadSecret::Form),
            (format!("server=a.example%2Fp&secret={HEX}"), BadSecret::Form),
            ("server=a.example&secret=!".to_owned(), BadSecret::Encoding),
        ] {
            assert_eq!(read(&query), Err(BadLink::Secret(error)), "{query}");
        }
        assert!(matches!(
            read(&format!("server=192.0.2.1&secret={HEX}")),
            Err(BadLink::Address(_))
        ));
    }
}
