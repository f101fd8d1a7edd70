//! Where a user goes, and how they ask a proxy to take them to the datacentre.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};

use data_encoding::BASE64;
use lab::{Error, Result};
use wire::mtproto::{ProxyLink, ProxySecret};
use wire::webproxy::{Capability, WebLink, WebSecret};

use super::tls::Tls;
use crate::way::Way;

/// Where to, and with which secret.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) at: SocketAddr,
    way: Way,
    pub(super) entry: Entry,
    /// What is around all of it, if anything.
    pub(super) tls: Option<Tls>,
}

/// What is said to the proxy before anything else.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// Nothing: whoever is there is the datacentre, or leads to it.
    Nothing,
    /// Telegram's, which is in every byte that follows.
    Telegram {
        secret: ProxySecret,
        link: String,
    },
    Socks5 {
        login: Option<Login>,
        to: SocketAddr,
    },
    Connect {
        login: Option<Login>,
        to: SocketAddr,
    },
    /// The same by HTTP/2, inside TLS.
    Http2 {
        login: Option<Login>,
        to: SocketAddr,
    },
    /// Telegram's WEB proxy, inside TLS: what opens its session, and the secret in every byte.
    Web {
        capability: Capability,
        secret: ProxySecret,
    },
}

/// A user name and a password.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl Login {
    /// As HTTP writes it.
    pub(super) fn basic(&self) -> String {
        let Self { name, password } = self;
        format!("Basic {}", BASE64.encode(format!("{name}:{password}").as_bytes()))
    }
}

impl Target {
    fn new(at: SocketAddr, way: Way, entry: Entry) -> Self {
        Self { at, way, entry, tls: None }
    }

    /// Reads a link of a Telegram proxy.
    pub(crate) fn link(text: &str) -> Result<Self> {
        let bad = |why: &dyn ToString| Error::Unexpected(format!("{text}: {}", why.to_string()));
        let link: ProxyLink = text.parse().map_err(|error| bad(&error))?;
        let ip: IpAddr =
            link.server.parse().map_err(|error: std::net::AddrParseError| bad(&error))?;
        let way = match link.secret {
            ProxySecret::Plain(_) => Way::Plain,
            ProxySecret::Padded(_) => Way::Padded,
            ProxySecret::FakeTls(..) => Way::FakeTls,
        };
        let entry = Entry::Telegram { secret: link.secret, link: text.to_owned() };
        Ok(Self::new(SocketAddr::new(ip, link.port.get()), way, entry))
    }

    /// Straight to the datacentre.
    pub(crate) fn straight_to(at: SocketAddr) -> Self {
        Self::new(at, Way::Straight, Entry::Nothing)
    }

    /// To a port that is forwarded to the datacentre.
    pub(crate) fn forwarded(at: SocketAddr) -> Self {
        Self::new(at, Way::Forward, Entry::Nothing)
    }

    pub(crate) fn socks5(at: SocketAddr, login: Option<Login>, to: SocketAddr) -> Self {
        Self::new(at, Way::Socks5, Entry::Socks5 { login, to })
    }

    pub(crate) fn connect(at: SocketAddr, login: Option<Login>, to: SocketAddr) -> Self {
        Self::new(at, Way::Connect, Entry::Connect { login, to })
    }

    /// By way of a Shadowsocks client of the user's own, which takes SOCKS5 at this address.
    pub(crate) fn shadowsocks(client: SocketAddr, to: SocketAddr) -> Self {
        Self::new(client, Way::Shadowsocks, Entry::Socks5 { login: None, to })
    }

    /// To a port where TLS is taken off, and the rest forwarded to the datacentre.
    pub(crate) fn tls_forwarded(at: SocketAddr, tls: Tls) -> Self {
        Self { tls: Some(tls), ..Self::new(at, Way::TlsForward, Entry::Nothing) }
    }

    pub(crate) fn tls_connect(
        at: SocketAddr,
        tls: Tls,
        login: Option<Login>,
        to: SocketAddr,
    ) -> Self {
        let entry = Entry::Connect { login, to };
        Self { tls: Some(tls), ..Self::new(at, Way::TlsConnect, entry) }
    }

    pub(crate) fn http2(at: SocketAddr, tls: Tls, login: Option<Login>, to: SocketAddr) -> Self {
        Self { tls: Some(tls), ..Self::new(at, Way::Http2, Entry::Http2 { login, to }) }
    }

    /// Reads a link of a WEB proxy, which names no port.
    pub(crate) fn web(at: SocketAddr, tls: Tls, link: &str) -> Result<Self> {
        let link: WebLink =
            link.parse().map_err(|error| Error::Unexpected(format!("{link}: {error}")))?;
        let capability = Capability::of(&link.address, &link.secret);
        let secret = match link.secret {
            WebSecret::Plain(key) => ProxySecret::Plain(key),
            WebSecret::Padded(key) => ProxySecret::Padded(key),
        };
        let entry = Entry::Web { capability, secret };
        Ok(Self { tls: Some(tls), ..Self::new(at, Way::Web, entry) })
    }

    pub(crate) const fn way(&self) -> Way {
        self.way
    }

    /// The same at another port.
    pub(crate) fn at_port(&self, port: u16) -> Self {
        self.by_way_of(SocketAddr::new(self.at.ip(), port))
    }

    /// The same, but it is gone to at another address.
    pub(crate) fn by_way_of(&self, at: SocketAddr) -> Self {
        Self { at, ..self.clone() }
    }

    pub(crate) const fn at(&self) -> SocketAddr {
        self.at
    }

    /// The secret of a Telegram proxy.
    pub(super) const fn secret(&self) -> Option<&ProxySecret> {
        match &self.entry {
            Entry::Telegram { secret, .. } | Entry::Web { secret, .. } => Some(secret),
            Entry::Nothing | Entry::Socks5 { .. } | Entry::Connect { .. } | Entry::Http2 { .. } => {
                None
            }
        }
    }
}

/// Asks a SOCKS5 proxy, as RFC 1928 and 1929 say.
pub(super) fn socks5(
    stream: &mut (impl Read + Write),
    login: Option<&Login>,
    to: SocketAddr,
) -> Result {
    let refused = |what: &str| Error::Unexpected(format!("SOCKS5: {what}"));
    let method = if login.is_some() { 2 } else { 0 };
    stream.write_all(&[5, 1, method])?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer)?;
    if answer != [5, method] {
        return Err(refused("no such log-in"));
    }
    if let Some(Login { name, password }) = login {
        let mut words = vec![1];
        for word in [name, password] {
            words.push(u8::try_from(word.len()).map_err(|_| refused("too long a log-in"))?);
            words.extend_from_slice(word.as_bytes());
        }
        stream.write_all(&words)?;
        stream.read_exact(&mut answer)?;
        if answer[1] != 0 {
            return Err(refused("a wrong log-in"));
        }
    }
    stream.write_all(&[&[5, 1, 0][..], &address(to)].concat())?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    // The address that it is reached from, and its port.
    let length = match head {
        [5, 0, _, 1] => 4 + 2,
        [5, 0, _, 4] => 16 + 2,
        [_, code, ..] => return Err(refused(&format!("answer {code}"))),
    };
    Ok(stream.read_exact(&mut [0; 18][..length])?)
}

fn address(of: SocketAddr) -> Vec<u8> {
    let mut bytes = match of.ip() {
        IpAddr::V4(ip) => [&[1][..], &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[4][..], &ip.octets()].concat(),
    };
    bytes.extend(of.port().to_be_bytes());
    bytes
}
