//! What an app that takes a proxy address is set up with: a server, a user name, a password.
//!
//! The user name is the key's id, so that a key is found without a trial; the password is the key's
//! [`Secret`] for [`Form::Web`](crate::derive::Form::Web), in base 32, which is the same in every URL.

use std::fmt;
use std::net::Ipv6Addr;
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::derive::{CROCKFORD, KeyId, Secret};
use crate::socks5::Login;
use crate::target::Host;

/// A password, written in 26 letters and digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password(pub Secret);

impl Password {
    /// Whether this is what somebody has typed; takes as long for a wrong one as for the right one.
    #[must_use]
    pub fn is(&self, typed: &[u8]) -> bool {
        let typed = CROCKFORD.decode(typed).unwrap_or_default();
        aws_lc_rs::constant_time::verify_slices_are_equal(&typed, &self.0.0).is_ok()
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&CROCKFORD.encode(&self.0.0))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A key's account at a relay's SOCKS5 and HTTP proxy.
#[derive(Clone, Debug)]
pub struct Account {
    /// An address or a host name.
    pub server: String,
    /// The port to dial.
    pub port: NonZeroU16,
    /// The user name.
    pub user: KeyId,
    /// The password.
    pub password: Password,
}

impl Account {
    /// Sets up SOCKS5 in Telegram's apps.
    #[must_use]
    pub fn tg(&self) -> String {
        format!("tg://socks?{}", self.query())
    }

    /// The same by way of a page on `t.me`.
    #[must_use]
    pub fn https(&self) -> String {
        format!("https://t.me/socks?{}", self.query())
    }

    /// The address of the SOCKS5 proxy, as programs take it.
    #[must_use]
    pub fn socks5(&self) -> String {
        self.url("socks5")
    }

    /// The address of the HTTP proxy, as programs take it.
    #[must_use]
    pub fn http(&self) -> String {
        self.url("http")
    }

    /// What a client logs in with.
    #[must_use]
    pub fn login(&self) -> Login {
        let (user, password) = (self.user.to_string().into(), self.password.to_string().into());
        Login { user, password }
    }

    fn query(&self) -> String {
        let Self { server, port, user, password } = self;
        format!("server={server}&port={port}&user={user}&pass={password}")
    }

    fn url(&self, scheme: &str) -> String {
        let Self { server, port, user, password } = self;
        match server.parse::<Ipv6Addr>() {
            Ok(six) => format!("{scheme}://{user}:{password}@[{six}]:{port}"),
            Err(_) => format!("{scheme}://{user}:{password}@{server}:{port}"),
        }
    }
}

/// This is no account at a relay.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a relay's SOCKS5 proxy is given as socks5://USER:PASSWORD@SERVER:PORT, tg://socks?... or \
     https://t.me/socks?..., as 'jaryq key show' prints it"
)]
pub struct BadAccount;

/// Reads the SOCKS5 proxy's address and its links, as they are printed.
impl FromStr for Account {
    type Err = BadAccount;

    fn from_str(text: &str) -> Result<Self, BadAccount> {
        let parse = || {
            if let Some(rest) = text.strip_prefix("socks5://") {
                let (login, server) = rest.split_once('@')?;
                let (user, password) = login.split_once(':')?;
                let (server, port) = server.rsplit_once(':')?;
                return Some([server.trim_matches(['[', ']']), port, user, password]);
            }
            let links = ["tg://socks?", "https://t.me/socks?"];
            let query = links.iter().find_map(|prefix| text.strip_prefix(prefix))?;
            let part =
                |name| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            Some([part("server")?, part("port")?, part("user")?, part("pass")?])
        };
        let [server, port, user, password] = parse().ok_or(BadAccount)?;
        if Host::read(server).is_none() {
            return Err(BadAccount);
        }
        let password = CROCKFORD.decode(password.as_bytes()).map_err(|_| BadAccount)?;
        Ok(Self {
            server: server.to_owned(),
            port: port.parse().map_err(|_| BadAccount)?,
            user: user.parse().map_err(|_| BadAccount)?,
            password: Password(Secret(password.try_into().map_err(|_| BadAccount)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_addresses_are_spelt_as_apps_read_them() {
        let mut account = Account {
            server: "203.0.113.5".to_owned(),
            port: NonZeroU16::new(1080).expect("a port"),
            user: KeyId([0; 8]),
            password: Password(Secret([0; 16])),
        };
        let (user, pass) = ("0".repeat(13), "0".repeat(26));
        let query = format!("server=203.0.113.5&port=1080&user={user}&pass={pass}");
        assert_eq!(account.tg(), format!("tg://socks?{query}"));
        assert_eq!(account.https(), format!("https://t.me/socks?{query}"));
        assert_eq!(account.socks5(), format!("socks5://{user}:{pass}@203.0.113.5:1080"));
        account.server = "2001:db8::1".to_owned();
        assert_eq!(account.http(), format!("http://{user}:{pass}@[2001:db8::1]:1080"));
        for text in [account.tg(), account.https(), account.socks5()] {
            let read: Account = text.parse().expect("an account");
            assert_eq!(read.socks5(), account.socks5());
        }
        for bad in ["", "socks5://u:p@host:1", "tg://socks?server=a", &account.http()] {
            assert!(bad.parse::<Account>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_known_as_people_type_it_and_no_other_is() {
        let password = Password(Secret([0x3c; 16]));
        let text = password.to_string();
        assert!(password.is(text.as_bytes()) && password.is(text.to_uppercase().as_bytes()));
        for wrong in ["", "0", &text[1..], &"0".repeat(26), "\u{e9}"] {
            assert!(!password.is(wrong.as_bytes()), "{wrong}");
        }
    }
}
