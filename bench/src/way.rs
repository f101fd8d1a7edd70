//! The ways in which a user reaches the datacentre.

/// What is spoken between the user and a proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Way {
    /// Nothing: there is no proxy.
    Straight,
    /// Telegram's, 16 bytes of secret.
    Plain,
    /// Telegram's, `dd`.
    Padded,
    /// Telegram's, `ee`.
    FakeTls,
    Socks5,
    /// HTTP's.
    Connect,
    Shadowsocks,
    /// Nothing either: the proxy forwards a port, and speaks no protocol at all.
    Forward,
    /// HTTP/1.1's CONNECT inside TLS.
    TlsConnect,
    /// HTTP/2's CONNECT, which is always inside TLS.
    Http2,
    /// Telegram's WEB proxy, by a WebSocket inside TLS.
    Web,
    /// TLS alone: the proxy takes it off and forwards what is inside.
    TlsForward,
}

impl Way {
    /// Those of Telegram's own proxies.
    pub(crate) const TELEGRAM: [Self; 3] = [Self::Plain, Self::Padded, Self::FakeTls];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Straight => "direct",
            Self::Plain => "plain",
            Self::Padded => "dd",
            Self::FakeTls => "ee",
            Self::Socks5 => "SOCKS5",
            Self::Connect => "CONNECT",
            Self::Shadowsocks => "Shadowsocks",
            Self::Forward => "TCP",
            Self::TlsConnect => "CONNECT in TLS",
            Self::Http2 => "CONNECT in HTTP/2",
            Self::Web => "WEB",
            Self::TlsForward => "TCP in TLS",
        }
    }

    /// A way of Telegram's proxies by its name.
    pub(crate) fn telegram(name: &str) -> Result<Self, String> {
        let found = Self::TELEGRAM.into_iter().find(|way| way.name() == name);
        found.ok_or_else(|| "the forms are plain, dd and ee".to_owned())
    }
}
