//! Telegram's datacentres: which one a client means, and where it is.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The ports on which a datacentre answers, the usual one first.
pub const PORTS: [u16; 3] = [443, 80, 5222];

/// What somebody asks for who wants the relay's hub: no datacentre of Telegram's has it, nor will one
/// soon.
pub const HUB: DcId = DcId(i16::from_be_bytes(*b"JQ"));

/// The datacentre id in a client's first flight, as it stands there: negative for a connection
/// that carries media, 10,000 more (or, with media, less) for the test servers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DcId(pub i16);

impl DcId {
    /// Which datacentre is meant. Telegram's apps know of no other ids; what they have never named
    /// goes to the second, as other proxies do it, and is sorted out there.
    #[must_use]
    pub fn datacentre(self) -> Datacentre {
        match self.0.unsigned_abs() {
            id @ 1..=5 => Datacentre::Main(id),
            203 => Datacentre::Media,
            id @ 10_001..=10_003 => Datacentre::Test(id - 10_000),
            _ if self == HUB => Datacentre::Hub,
            _ => Datacentre::Main(2),
        }
    }
}

/// One of Telegram's datacentres, or what stands in for one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Datacentre {
    /// One of the five where people's accounts live.
    Main(u16),
    /// The one for files, which calls itself 203.
    Media,
    /// One of the three for testing apps.
    Test(u16),
    /// None of Telegram's: the office of the relay's own fleet, by HTTPS. What follows the first
    /// flight is not framed.
    Hub,
}

impl Datacentre {
    /// The id that apps give it: see [`DcId::datacentre`], which leads back.
    #[must_use]
    pub fn id(self) -> DcId {
        let id = match self {
            Self::Main(id) => id,
            Self::Media => 203,
            Self::Test(id) => 10_000 + id,
            Self::Hub => return HUB,
        };
        DcId(id.cast_signed())
    }
}

impl fmt::Display for Datacentre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main(id) => write!(f, "{id}"),
            Self::Media => f.write_str("203"),
            Self::Test(id) => write!(f, "test{id}"),
            Self::Hub => f.write_str("hub"),
        }
    }
}

/// There is no such datacentre.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is none of Telegram's datacentres: 1 to 5, 203, test1 to test3")]
pub struct BadDatacentre(String);

impl FromStr for Datacentre {
    type Err = BadDatacentre;

    fn from_str(text: &str) -> Result<Self, BadDatacentre> {
        ALL.into_iter()
            .find(|dc| dc.to_string() == text)
            .ok_or_else(|| BadDatacentre(text.chars().take(40).collect()))
    }
}

/// Telegram's own.
const ALL: [Datacentre; 9] = [
    Datacentre::Main(1),
    Datacentre::Main(2),
    Datacentre::Main(3),
    Datacentre::Main(4),
    Datacentre::Main(5),
    Datacentre::Media,
    Datacentre::Test(1),
    Datacentre::Test(2),
    Datacentre::Test(3),
];

/// An address of a datacentre; without a port, all of [`PORTS`] are meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Host {
    /// Where it is.
    pub ip: IpAddr,
    /// The only port to be tried, if there is but one.
    pub port: Option<u16>,
}

/// This is no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is neither an IP address nor an address and a port, as in 192.0.2.1:443 or [2001:db8::1]:443"
)]
pub struct BadHost(String);

impl FromStr for Host {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        if let Ok(ip) = text.parse() {
            return Ok(Self { ip, port: None });
        }
        match text.parse::<SocketAddr>() {
            Ok(at) if at.port() != 0 => Ok(Self { ip: at.ip(), port: Some(at.port()) }),
            _ => Err(BadHost(text.chars().take(80).collect())),
        }
    }
}

/// Where every datacentre is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datacentres(BTreeMap<Datacentre, Vec<Host>>);

impl Datacentres {
    /// Says where one is, in place of what was known.
    pub fn set(&mut self, dc: Datacentre, hosts: Vec<Host>) {
        self.0.insert(dc, hosts);
    }

    /// Where to dial for a datacentre, best first: every address on the usual port, then every
    /// address on the next, the families taking turns.
    #[must_use]
    pub fn endpoints(&self, dc: Datacentre) -> Vec<SocketAddr> {
        let hosts = self.0.get(&dc).map_or(&[][..], Vec::as_slice);
        let (six, four): (Vec<Host>, Vec<Host>) = hosts.iter().partition(|host| host.ip.is_ipv6());
        let mut turns: Vec<&Host> = Vec::new();
        for place in 0..four.len().max(six.len()) {
            turns.extend(four.get(place));
            turns.extend(six.get(place));
        }
        let mut endpoints: Vec<SocketAddr> = Vec::new();
        for (round, port) in PORTS.into_iter().enumerate() {
            for host in &turns {
                match host.port {
                    None => endpoints.push((host.ip, port).into()),
                    Some(only) if round == 0 => endpoints.push((host.ip, only).into()),
                    Some(_) => {}
                }
            }
        }
        endpoints
    }
}

/// Telegram's own addresses, as its apps have them built in (state of November 2026).
impl Default for Datacentres {
    fn default() -> Self {
        let four = |a, b, c, d| IpAddr::from(Ipv4Addr::new(a, b, c, d));
        let six = |text: &str| IpAddr::from(text.parse::<Ipv6Addr>().expect("an address"));
        let known = [
            (Datacentre::Main(1), vec![four(149, 154, 175, 50), six("2001:b28:f23d:f001::a")]),
            (
                Datacentre::Main(2),
                vec![four(149, 154, 167, 51), four(95, 161, 76, 100), six("2001:67c:4e8:f002::a")],
            ),
            (Datacentre::Main(3), vec![four(149, 154, 175, 100), six("2001:b28:f23d:f003::a")]),
            (Datacentre::Main(4), vec![four(149, 154, 167, 91), six("2001:67c:4e8:f004::a")]),
            (Datacentre::Main(5), vec![four(149, 154, 171, 5), six("2001:b28:f23f:f005::a")]),
            (Datacentre::Media, vec![four(91, 105, 192, 100), six("2a0a:f280:203:a:5000::100")]),
            (Datacentre::Test(1), vec![four(149, 154, 175, 10), six("2001:b28:f23d:f001::e")]),
            (Datacentre::Test(2), vec![four(149, 154, 167, 40), six("2001:67c:4e8:f002::e")]),
            (Datacentre::Test(3), vec![four(149, 154, 175, 117), six("2001:b28:f23d:f003::e")]),
        ];
        let host = |ip| Host { ip, port: None };
        Self(known.into_iter().map(|(dc, ips)| (dc, ips.into_iter().map(host).collect())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_mean_what_the_apps_mean_by_them() {
        for (id, meant) in [
            (1, Datacentre::Main(1)),
            (-5, Datacentre::Main(5)),
            (203, Datacentre::Media),
            (-203, Datacentre::Media),
            (10_002, Datacentre::Test(2)),
            (-10_002, Datacentre::Test(2)),
            (0, Datacentre::Main(2)),
            (i16::MIN, Datacentre::Main(2)),
            (HUB.0, Datacentre::Hub),
            (-HUB.0, Datacentre::Main(2)),
        ] {
            assert_eq!(DcId(id).datacentre(), meant, "{id}");
        }
    }

    #[test]
    fn every_datacentre_is_known_by_its_name_and_has_addresses_of_both_families() {
        let known = Datacentres::default();
        for dc in ALL {
            assert_eq!(dc.to_string().parse(), Ok(dc));
            let endpoints = known.endpoints(dc);
            assert!(endpoints.iter().any(SocketAddr::is_ipv4), "{dc}");
            assert!(endpoints.iter().any(SocketAddr::is_ipv6), "{dc}");
        }
        assert!("6".parse::<Datacentre>().is_err());
    }

    #[test]
    fn families_take_turns_and_the_usual_port_comes_first() {
        let endpoints = Datacentres::default().endpoints(Datacentre::Main(2));
        let texts: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts[..4],
            [
                "149.154.167.51:443",
                "[2001:67c:4e8:f002::a]:443",
                "95.161.76.100:443",
                "149.154.167.51:80"
            ]
        );
        assert_eq!(texts.len(), 9);
    }

    #[test]
    fn an_address_with_a_port_is_tried_on_that_port_alone() {
        let mut table = Datacentres::default();
        let host = "127.0.0.1:9000".parse().expect("a host");
        table.set(Datacentre::Main(2), vec![host]);
        assert_eq!(table.endpoints(Datacentre::Main(2)), ["127.0.0.1:9000".parse().expect("it")]);
        assert!("telegram.org:443".parse::<Host>().is_err());
        assert!("127.0.0.1:0".parse::<Host>().is_err());
    }
}
