//! One relay, as a bundle has it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use super::Refused;
use crate::cursor::Cursor;
use crate::derive::Secret;
use crate::echo::{EchoKey, MaskKey};

/// How many ports a list in a bundle has room for.
pub const MOST_PORTS: usize = 16;

/// Where a relay answers unless it is told otherwise. 443, 8443 and 80 are everybody's; in the
/// shutdown of January 2022 the ports of routers among themselves stayed open, BGP (179), LDP (646)
/// and BFD (3784, 3785, 4784), and that of names (53), by datagrams. Those above 1023 need no root.
///
/// Bundles mean these by "quiet", so that they must not change from the first release on; others need a
/// number of their own.
pub const QUIET_PORTS: [u16; 10] = [443, 8443, 80, 3785, 3784, 4784, 5222, 179, 646, 53];

/// On which ports a relay answered when its bundle was made. In a cut its operator has it answer on all,
/// and bundles are out there by then: only a list is kept to, since at an address that it shares, the
/// other ports may be another machine's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ports {
    /// On every one that no other program there has.
    All,
    /// On [`QUIET_PORTS`]; in a cut on all.
    Quiet,
    /// On these, the best first: 1 to [`MOST_PORTS`]; in a cut on all.
    First(Vec<NonZeroU16>),
    /// On these and never on others, the best first: 1 to [`MOST_PORTS`].
    List(Vec<NonZeroU16>),
}

impl Ports {
    /// Whether the relay may ever answer there.
    #[must_use]
    pub fn may_have(&self, port: NonZeroU16) -> bool {
        match self {
            Self::All | Self::Quiet | Self::First(_) => true,
            Self::List(list) => list.contains(&port),
        }
    }

    /// Where it answered when the bundle was made: to be tried first. None where it was everywhere.
    #[must_use]
    pub fn first(&self) -> Vec<NonZeroU16> {
        match self {
            Self::All => Vec::new(),
            Self::Quiet => QUIET_PORTS.into_iter().filter_map(NonZeroU16::new).collect(),
            Self::First(list) | Self::List(list) => list.clone(),
        }
    }

    fn list(&self) -> Option<&[NonZeroU16]> {
        match self {
            Self::All | Self::Quiet => None,
            Self::First(list) | Self::List(list) => Some(list),
        }
    }
}

/// Where a relay took datagrams when its bundle was made. Like [`Ports`], it changes: silence of UDP
/// elsewhere says nothing of the way there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagrams {
    /// On the ports on which it took connections.
    Everywhere,
    /// On those of them below 32,768: the others are where the relay's machine asks from.
    Low,
    /// Nowhere.
    Nowhere,
}

/// A relay and what to ask it with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Its address, if it has an IPv4 one.
    pub v4: Option<Ipv4Addr>,
    /// Its address, if it has an IPv6 one. One of both there is.
    pub v6: Option<Ipv6Addr>,
    /// Where it answers.
    pub ports: Ports,
    /// Where it takes datagrams.
    pub datagrams: Datagrams,
    /// What it and this bundle share.
    pub echo_key: EchoKey,
    /// What it and all its bundles share.
    pub mask_key: MaskKey,
    /// What opens Telegram there, for the bundle's reader alone.
    pub secret: Option<Secret>,
}

const V4: u8 = 1;
const V6: u8 = 1 << 1;
const ALL: u8 = 0;
const QUIET: u8 = 1;
const LIST: u8 = 2;
const FIRST: u8 = 3;
const SECRET: u8 = 1 << 4;
const LOW: u8 = 1;
const NOWHERE: u8 = 2;
const KNOWN: u8 = 0b111_1111;

impl Endpoint {
    /// Both, as far as there are.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.v4.map(IpAddr::from).into_iter().chain(self.v6.map(IpAddr::from))
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        if self.v4.is_none() && self.v6.is_none() {
            return Err(Refused::Damaged("a relay has no address"));
        }
        // Global unicast as it is routed: an IPv4 address in another dress would be a second name for
        // one relay. 6to4 (RFC 3056) and ISATAP (RFC 5214) are such.
        let is_odd = |six: Ipv6Addr| {
            let part = six.segments();
            part[0] & 0xe000 != 0x2000
                || part[0] == 0x2002
                || (part[4] & !0x0200 == 0 && part[5] == 0x5efe)
        };
        if self.v6.is_some_and(is_odd) {
            return Err(Refused::Damaged("an IPv6 address is none that a relay has"));
        }
        if let Some(list) = self.ports.list() {
            let twice = |(at, port)| list[..at].contains(port);
            if !(1..=MOST_PORTS).contains(&list.len()) || list.iter().enumerate().any(twice) {
                return Err(Refused::Damaged("a list of ports is none"));
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let ports = match self.ports {
            Ports::All => ALL,
            Ports::Quiet => QUIET,
            Ports::List(_) => LIST,
            Ports::First(_) => FIRST,
        };
        let datagrams = match self.datagrams {
            Datagrams::Everywhere => 0,
            Datagrams::Low => LOW,
            Datagrams::Nowhere => NOWHERE,
        };
        let flag = |is: bool, flag| if is { flag } else { 0 };
        let four = flag(self.v4.is_some(), V4) | flag(self.v6.is_some(), V6);
        out.push(four | ports << 2 | flag(self.secret.is_some(), SECRET) | datagrams << 5);
        out.extend(self.v4.iter().flat_map(Ipv4Addr::octets));
        out.extend(self.v6.iter().flat_map(Ipv6Addr::octets));
        if let Some(list) = self.ports.list() {
            out.push(u8::try_from(list.len()).unwrap_or(u8::MAX));
            out.extend(list.iter().flat_map(|port| port.get().to_be_bytes()));
        }
        out.extend(self.echo_key.0);
        out.extend(self.mask_key.0);
        out.extend(self.secret.iter().flat_map(|secret| secret.0));
    }

    pub(super) fn read(from: &mut Cursor<'_>) -> Result<Self, Refused> {
        let flags = from.byte().ok_or(Refused::Damaged("a relay is missing"))?;
        if flags & !KNOWN != 0 || flags >> 5 > NOWHERE {
            return Err(Refused::UnknownFlags);
        }
        Self::fields(flags, from).ok_or(Refused::Damaged("a relay is cut short"))
    }

    fn fields(flags: u8, from: &mut Cursor<'_>) -> Option<Self> {
        let mut v4 = None;
        if flags & V4 != 0 {
            v4 = Some(Ipv4Addr::from(from.array::<4>()?));
        }
        let mut v6 = None;
        if flags & V6 != 0 {
            v6 = Some(Ipv6Addr::from(from.array::<16>()?));
        }
        let ports = match flags >> 2 & 3 {
            ALL => Ports::All,
            QUIET => Ports::Quiet,
            kind => {
                let count = from.byte()?;
                let port = |_| NonZeroU16::new(from.short()?);
                let list = (0..count).map(port).collect::<Option<_>>()?;
                if kind == LIST { Ports::List(list) } else { Ports::First(list) }
            }
        };
        let datagrams = match flags >> 5 {
            0 => Datagrams::Everywhere,
            LOW => Datagrams::Low,
            _ => Datagrams::Nowhere,
        };
        let (echo_key, mask_key) = (EchoKey(from.array()?), MaskKey(from.array()?));
        let mut secret = None;
        if flags & SECRET != 0 {
            secret = Some(Secret(from.array()?));
        }
        Some(Self { v4, v6, ports, datagrams, echo_key, mask_key, secret })
    }
}
