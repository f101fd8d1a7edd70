//! Where a user goes, and how they ask a proxy to take them to the datacentre.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use data_encoding::BASE64;
use lab::{Error, Result};
use wire::mtproto::{ProxyLink, ProxySecret};

use crate::way::Way;

/// An answer to `CONNECT` is shorter than this, in bytes.
const HEAD: usize = 4096;

/// Where to, and with which secret.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) at: SocketAddr,
    way: Way,
    pub(super) entry: Entry,
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
}

/// A user name and a password.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl Target {
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
        Ok(Self { at: SocketAddr::new(ip, link.port.get()), way, entry })
    }

    /// Straight to the datacentre.
    pub(crate) fn straight_to(at: SocketAddr) -> Self {
        Self { at, way: Way::Straight, entry: Entry::Nothing }
    }

    /// To a port that is forwarded to the datacentre.
    pub(crate) fn forwarded(at: SocketAddr) -> Self {
        Self { at, way: Way::Forward, entry: Entry::Nothing }
    }

    pub(crate) fn socks5(at: SocketAddr, login: Option<Login>, to: SocketAddr) -> Self {
        Self { at, way: Way::Socks5, entry: Entry::Socks5 { login, to } }
    }

    pub(crate) fn connect(at: SocketAddr, login: Option<Login>, to: SocketAddr) -> Self {
        Self { at, way: Way::Connect, entry: Entry::Connect { login, to } }
    }

    /// By way of a Shadowsocks client of the user's own, which takes SOCKS5 at this address.
    pub(crate) fn shadowsocks(client: SocketAddr, to: SocketAddr) -> Self {
        let entry = Entry::Socks5 { login: None, to };
        Self { at: client, way: Way::Shadowsocks, entry }
    }

    pub(crate) const fn way(&self) -> Way {
        self.way
    }

    /// The same at another port.
    pub(crate) fn at_port(&self, port: u16) -> Self {
        Self { at: SocketAddr::new(self.at.ip(), port), ..self.clone() }
    }

    pub(crate) const fn at(&self) -> SocketAddr {
        self.at
    }

    /// The secret of a Telegram proxy.
    pub(super) const fn secret(&self) -> Option<&ProxySecret> {
        match &self.entry {
            Entry::Telegram { secret, .. } => Some(secret),
            Entry::Nothing | Entry::Socks5 { .. } | Entry::Connect { .. } => None,
        }
    }
}

/// Asks a SOCKS5 proxy, as RFC 1928 and 1929 say.
pub(super) fn socks5(stream: &mut TcpStream, login: Option<&Login>, to: SocketAddr) -> Result {
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

/// Asks an HTTP proxy for a tunnel. The datacentre says nothing unasked, so what comes is the
/// proxy's answer and nothing else.
pub(super) fn connect(stream: &mut TcpStream, login: Option<&Login>, to: SocketAddr) -> Result {
    let login = login.map_or_else(String::new, |Login { name, password }| {
        let pair = BASE64.encode(format!("{name}:{password}").as_bytes());
        format!("Proxy-Authorization: Basic {pair}\r\n")
    });
    stream.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n").as_bytes())?;
    let (mut answer, mut have) = ([0; HEAD], 0);
    while !answer[..have].ends_with(b"\r\n\r\n") {
        match stream.read(&mut answer[have..])? {
            0 => return Err(Error::Unexpected("CONNECT: no whole answer".to_owned())),
            got => have += got,
        }
    }
    let said = String::from_utf8_lossy(&answer[..have]);
    if said.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(Error::Unexpected(format!("CONNECT: {}", said.lines().next().unwrap_or_default())))
}
