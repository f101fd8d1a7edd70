//! What is counted of people's traffic: the words that are shared by those who count it, keep it and
//! show it.

use crate::derive::KeyId;
use crate::mtproto::Datacentre;

/// A day in UTC, counted from the first of January 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub i64);

impl Day {
    /// The day of a moment, in Unix seconds.
    #[must_use]
    pub fn at(unix: u64) -> Self {
        Self(i64::try_from(unix / 86_400).unwrap_or(i64::MAX))
    }

    /// Its first moment, in Unix seconds.
    #[must_use]
    pub fn start(self) -> i64 {
        self.0.saturating_mul(86_400)
    }
}

/// What an app and a relay speak.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// Telegram, neither padded nor dressed.
    TelegramPlain,
    /// Telegram with padding: what apps do with `dd` links.
    TelegramPadded,
    /// Telegram in fake TLS: `ee` links.
    TelegramFakeTls,
    /// SOCKS5, `CONNECT`.
    Socks5,
    /// SOCKS5, `UDP ASSOCIATE`.
    Socks5Udp,
    /// An HTTP proxy's `CONNECT`.
    HttpConnect,
    /// One request to an HTTP proxy, with a whole URL.
    Http,
    /// An HTTPS proxy's `CONNECT`: the same over TLS, by HTTP/1.1 or HTTP/2.
    HttpsConnect,
    /// One request to an HTTPS proxy, with a whole URL.
    Https,
    /// Telegram's WEB proxy: each of its streams is a connection.
    TelegramWeb,
    /// DNS over HTTPS; a connection is one of HTTP, its bytes are those of DNS messages.
    Doh,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::TelegramPlain,
        Self::TelegramPadded,
        Self::TelegramFakeTls,
        Self::Socks5,
        Self::Socks5Udp,
        Self::HttpConnect,
        Self::Http,
        Self::HttpsConnect,
        Self::Https,
        Self::TelegramWeb,
        Self::Doh,
    ];

    /// A word for people and machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TelegramPlain => "telegram-plain",
            Self::TelegramPadded => "telegram-dd",
            Self::TelegramFakeTls => "telegram-ee",
            Self::Socks5 => "socks5",
            Self::Socks5Udp => "socks5-udp",
            Self::HttpConnect => "http-connect",
            Self::Http => "http",
            Self::HttpsConnect => "https-connect",
            Self::Https => "https",
            Self::TelegramWeb => "telegram-web",
            Self::Doh => "doh",
        }
    }

    /// The number by which it is written down, which must never change.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::TelegramPlain => 1,
            Self::TelegramPadded => 2,
            Self::TelegramFakeTls => 3,
            Self::Socks5 => 4,
            Self::Socks5Udp => 5,
            Self::HttpConnect => 6,
            Self::Http => 7,
            Self::HttpsConnect => 8,
            Self::Https => 9,
            Self::TelegramWeb => 10,
            Self::Doh => 11,
        }
    }

    /// The protocol of a number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| i64::from(protocol.number()) == number)
    }
}

/// What is counted apart, each day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cell {
    /// Whose traffic; `None` where keys and ports are not told apart any more.
    pub key: Option<KeyId>,
    /// The port that was dialled; 0 where ports are not told apart any more.
    pub port: u16,
    /// How.
    pub protocol: Protocol,
    /// Where to, if to Telegram.
    pub datacentre: Option<Datacentre>,
}

impl Cell {
    /// The cell in which this one is counted where there is no room to tell keys apart.
    #[must_use]
    pub fn folded(self) -> Self {
        Self { key: None, port: 0, ..self }
    }
}

/// How much.
///
/// Bytes are those that the app and whoever it talks to say to each other, as often as they are
/// carried: without the handshakes of proxy protocols and fake TLS, without the records of fake TLS,
/// without headers of TCP and IP. A relay's line carries each of them twice.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Amounts {
    /// Connections whose key was shown, whatever came of them.
    pub connections: u64,
    /// Bytes from the app that its other side has taken.
    pub up: u64,
    /// Bytes to the app that it has taken.
    pub down: u64,
}

impl Amounts {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Bytes in both directions.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.up.saturating_add(self.down)
    }
}

impl std::ops::AddAssign for Amounts {
    fn add_assign(&mut self, more: Self) {
        self.connections = self.connections.saturating_add(more.connections);
        self.up = self.up.saturating_add(more.up);
        self.down = self.down.saturating_add(more.down);
    }
}

impl std::ops::SubAssign for Amounts {
    fn sub_assign(&mut self, less: Self) {
        self.connections = self.connections.saturating_sub(less.connections);
        self.up = self.up.saturating_sub(less.up);
        self.down = self.down.saturating_sub(less.down);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_has_a_number_of_its_own_and_is_found_by_it() {
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::from_number(protocol.number().into()), Some(protocol));
        }
        assert_eq!(Protocol::from_number(0), None);
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        assert_eq!((Day::at(86_399), Day::at(86_400)), (Day(0), Day(1)));
        assert_eq!(Day(1).start(), 86_400);
    }
}
