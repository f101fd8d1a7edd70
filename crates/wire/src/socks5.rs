//! SOCKS5 (RFC 1928) with user name and password (RFC 1929): the server's side here, the client's in
//! [`client`].
//!
//! Each message has a function that reads it from the front of what has come: [`Read::More`] until
//! it is whole, then the message and its length, however the bytes were cut. No message is longer
//! than [`MAX_MESSAGE`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::target::{Host, Target};

/// The first byte of every SOCKS5 connection, and of most messages.
pub const VERSION: u8 = 5;
/// The longest message: a log-in with two parts of 255 bytes each.
pub const MAX_MESSAGE: usize = 3 + 255 + 255;

/// The version of the log-in, which is its own (RFC 1929).
const LOGIN_VERSION: u8 = 1;
const PASSWORD: u8 = 2;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What reading came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read<T> {
    /// More bytes are needed.
    More,
    /// A message, and how many bytes it took.
    Whole(T, usize),
}

/// This is not SOCKS5.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    /// Another version, of the protocol or of the log-in.
    #[error("not SOCKS version 5")]
    Version,
    /// A kind of address that RFC 1928 does not know.
    #[error("unknown kind of address")]
    AddressKind,
    /// The host name is none.
    #[error("no host name")]
    Name,
}

/// A cursor over what has come: `None` where it ends too early.
struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.all.get(self.at..self.at + count)?;
        self.at += count;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// As many bytes as the one before them says.
    fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.byte()?;
        self.take(count.into())
    }

    fn expect(&mut self, version: u8) -> Option<Result<(), Malformed>> {
        Some(if self.byte()? == version { Ok(()) } else { Err(Malformed::Version) })
    }

    /// An address and a port (RFC 1928, section 5).
    fn target(&mut self) -> Option<Result<Target, Malformed>> {
        let host = match self.byte()? {
            IPV4 => Ok(Host::Address(Ipv4Addr::from(self.array::<4>()?).into())),
            IPV6 => Ok(Host::Address(Ipv6Addr::from(self.array::<16>()?).into())),
            NAME => {
                let name = std::str::from_utf8(self.counted()?).ok();
                name.and_then(Host::read).ok_or(Malformed::Name)
            }
            _ => return Some(Err(Malformed::AddressKind)),
        };
        let port = u16::from_be_bytes(self.array()?);
        Some(host.map(|host| Target { host, port }))
    }
}

fn read<'a, T>(
    bytes: &'a [u8],
    message: impl FnOnce(&mut Bytes<'a>) -> Option<Result<T, Malformed>>,
) -> Result<Read<T>, Malformed> {
    let mut bytes = Bytes::new(bytes);
    match message(&mut bytes) {
        None => Ok(Read::More),
        Some(read) => Ok(Read::Whole(read?, bytes.at)),
    }
}

/// Goes on if the part was good.
macro_rules! good {
    ($part:expr) => {
        match $part? {
            Ok(part) => part,
            Err(error) => return Some(Err(error)),
        }
    };
}

// Here, after the macro that it uses.
pub mod client;

/// Reads how a client is ready to log in: whether by user name and password.
///
/// # Errors
/// [`Malformed`] when this is not SOCKS5.
pub fn greeting(bytes: &[u8]) -> Result<Read<bool>, Malformed> {
    read(bytes, |bytes| {
        good!(bytes.expect(VERSION));
        Some(Ok(bytes.counted()?.contains(&PASSWORD)))
    })
}

/// The answer to a greeting: log in by name and password, or there is no way.
#[must_use]
pub fn choice(by_password: bool) -> [u8; 2] {
    [VERSION, if by_password { PASSWORD } else { 0xff }]
}

/// Who somebody says to be. Neither part needs to be text.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user: Vec<u8>,
    /// The password.
    pub password: Vec<u8>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Reads a log-in (RFC 1929).
///
/// # Errors
/// [`Malformed::Version`] when it is none.
pub fn login(bytes: &[u8]) -> Result<Read<Login>, Malformed> {
    read(bytes, |bytes| {
        good!(bytes.expect(LOGIN_VERSION));
        let (user, password) = (bytes.counted()?.to_vec(), bytes.counted()?.to_vec());
        Some(Ok(Login { user, password }))
    })
}

/// The answer to a log-in.
#[must_use]
pub fn verdict(welcome: bool) -> [u8; 2] {
    [LOGIN_VERSION, u8::from(!welcome)]
}

/// What somebody wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// What is to be done.
    pub command: Command,
    /// With whom. For [`Command::UdpAssociate`]: from where datagrams will come, if that is known.
    pub target: Target,
}

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// A connection.
    Connect,
    /// A way for datagrams.
    UdpAssociate,
    /// Anything else, BIND among it.
    Other(u8),
}

/// Reads a request.
///
/// # Errors
/// [`Malformed`] when it is none; [`Reply::for_malformed`] says how to answer.
pub fn request(bytes: &[u8]) -> Result<Read<Request>, Malformed> {
    read(bytes, |bytes| {
        good!(bytes.expect(VERSION));
        let command = match bytes.byte()? {
            1 => Command::Connect,
            3 => Command::UdpAssociate,
            other => Command::Other(other),
        };
        bytes.byte()?;
        let target = good!(bytes.target());
        Some(Ok(Request { command, target }))
    })
}

/// The answers to a request (RFC 1928, section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It is done.
    Succeeded = 0,
    /// Something went wrong here.
    Failure = 1,
    /// The rules forbid it.
    NotAllowed = 2,
    /// There is no way to that network.
    NetworkUnreachable = 3,
    /// That host does not answer, or there is none.
    HostUnreachable = 4,
    /// That host is there and refuses.
    Refused = 5,
    /// Only [`Command::Connect`] and [`Command::UdpAssociate`] are known.
    CommandUnknown = 7,
    /// This kind of address is unknown.
    AddressKindUnknown = 8,
}

impl Reply {
    /// How to answer a request that cannot be read.
    #[must_use]
    pub fn for_malformed(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Version => Self::Failure,
            Malformed::AddressKind => Self::AddressKindUnknown,
            Malformed::Name => Self::HostUnreachable,
        }
    }

    /// As bytes; `bound` is where the client may send its datagrams to, or the unspecified address.
    #[must_use]
    pub fn with(self, bound: SocketAddr) -> Vec<u8> {
        let mut bytes = vec![VERSION, self as u8, 0];
        put(&mut bytes, bound);
        bytes
    }

    /// As bytes, with nothing said of addresses.
    #[must_use]
    pub fn plain(self) -> Vec<u8> {
        self.with(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
    }
}

fn put(bytes: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(four) => {
            bytes.push(IPV4);
            bytes.extend(four.octets());
        }
        IpAddr::V6(six) => {
            bytes.push(IPV6);
            bytes.extend(six.octets());
        }
    }
    bytes.extend(address.port().to_be_bytes());
}

/// Reads a datagram from a client (RFC 1928, section 7): where it is to go, and what is in it.
/// `None` for what is no such datagram, or a part of one: nobody sends parts, and we put none
/// together, which the RFC allows.
#[must_use]
pub fn datagram(bytes: &[u8]) -> Option<(Target, &[u8])> {
    let mut bytes = Bytes::new(bytes);
    let [0, 0, 0] = bytes.array()? else { return None };
    let target = bytes.target()?.ok()?;
    (target.port != 0).then(|| (target, &bytes.all[bytes.at..]))
}

/// What stands before a datagram that goes to a client: where it came from.
#[must_use]
pub fn datagram_head(from: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0];
    put(&mut bytes, from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(text: &str) -> Target {
        Target::read(text, None).expect("a target")
    }

    #[test]
    fn what_curl_says_is_understood() {
        // Seen from curl 7.88 with --socks5-hostname and --proxy-user.
        assert_eq!(greeting(&[5, 2, 0, 2]), Ok(Read::Whole(true, 4)));
        assert_eq!(greeting(&[5, 1, 0]), Ok(Read::Whole(false, 3)));
        let said = login(b"\x01\x04user\x04pass");
        let meant = Login { user: b"user".to_vec(), password: b"pass".to_vec() };
        assert_eq!(said, Ok(Read::Whole(meant, 11)));
        let said = request(b"\x05\x01\x00\x03\x0bexample.org\x01\xbb");
        let meant = Request { command: Command::Connect, target: target("example.org:443") };
        assert_eq!(said, Ok(Read::Whole(meant, 18)));
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        let four = request(&[5, 1, 0, 1, 192, 0, 2, 1, 0, 80]);
        let meant = |text| Request { command: Command::Connect, target: target(text) };
        assert_eq!(four, Ok(Read::Whole(meant("192.0.2.1:80"), 10)));
        let mut six = vec![5, 3, 0, 4, 0x20, 1, 0x0d, 0xb8];
        six.extend([0; 11]);
        six.extend([1, 0, 80]);
        let meant = Request { command: Command::UdpAssociate, target: target("[2001:db8::1]:80") };
        assert_eq!(request(&six), Ok(Read::Whole(meant, 22)));
    }

    #[test]
    fn what_is_not_socks5_is_told_at_once() {
        assert_eq!(greeting(&[4]), Err(Malformed::Version));
        assert_eq!(login(&[5]), Err(Malformed::Version));
        assert_eq!(request(&[5, 1, 0, 2]), Err(Malformed::AddressKind));
        assert_eq!(request(&[5, 1, 0, 3, 1, b' ', 0, 1]), Err(Malformed::Name));
        let bind = request(&[5, 2, 0, 1, 192, 0, 2, 1, 0, 80]);
        assert!(matches!(bind, Ok(Read::Whole(Request { command: Command::Other(2), .. }, 10))));
    }

    #[test]
    fn a_reply_names_its_code_and_an_address() {
        assert_eq!(Reply::Refused.plain(), [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
        let bound = "[2001:db8::1]:258".parse().expect("an address");
        let bytes = Reply::Succeeded.with(bound);
        assert_eq!((&bytes[..4], &bytes[20..]), (&[5, 0, 0, 4][..], &[1, 2][..]));
    }

    #[test]
    fn a_datagram_keeps_its_place_and_its_bytes() {
        for at in ["192.0.2.1:53", "[2001:db8::1]:53"] {
            let mut bytes = datagram_head(at.parse().expect("an address"));
            bytes.extend(b"words");
            assert_eq!(datagram(&bytes), Some((target(at), &b"words"[..])));
            bytes[2] = 1;
            assert_eq!(datagram(&bytes), None, "a part of a datagram");
        }
        assert_eq!(datagram(&[0, 0, 0, 1, 192, 0, 2, 1, 0]), None, "cut off");
        assert_eq!(datagram(&[0, 0, 0, 1, 192, 0, 2, 1, 0, 0]), None, "no port");
    }

    /// However a stream is cut, what is read from it is the same.
    fn cuts_do_not_matter<T: PartialEq + std::fmt::Debug>(
        bytes: &[u8],
        read: impl Fn(&[u8]) -> Result<Read<T>, Malformed>,
    ) {
        let whole = read(bytes);
        for cut in 0..bytes.len() {
            let part = read(&bytes[..cut]);
            assert!(part == Ok(Read::More) || part == whole, "{cut}: {part:?}, then {whole:?}");
        }
        if let Ok(Read::Whole(_, length)) = whole {
            assert!(length <= bytes.len().min(MAX_MESSAGE));
        }
    }

    proptest! {
        #[test]
        fn any_segmentation_gives_the_same(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            for first in [5, 1] {
                if let Some(byte) = bytes.first_mut() {
                    *byte = first;
                }
                cuts_do_not_matter(&bytes, greeting);
                cuts_do_not_matter(&bytes, login);
                cuts_do_not_matter(&bytes, request);
            }
        }
    }
}
