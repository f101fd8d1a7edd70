//! Shutdowns that there really were, as far as somebody wrote down what passed. Each names where.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use super::gate::Gate;
use super::shutdown::Shutdown;
use crate::censor::{
    Block, Freeze, HandshakeOnly, NoServerHello, Only, Packet, Piece, Transport, Way,
};
use crate::clock::Clock;

/// The TCP ports that were left in Kazakhstan in January 2022: BGP, LDP, and the three of BFD.
pub const FIVE: [u16; 5] = [179, 646, 3784, 3785, 4784];

/// Kazakhstan, 5 to 11 January 2022: [`FIVE`] ports and DNS passed; everything else vanished. A sweep
/// of all ports took nmap 344 s then. Source: github.com/net4people/bbs/issues/102.
#[must_use]
pub fn january_2022() -> Shutdown {
    Shutdown::new().gate(Gate::shut().tcp(FIVE).udp([53]))
}

/// The same with its hours: everything passes before the cut on 5 January at 10:30 UTC, in five windows
/// of three to eight hours, and after 11 January, 02:15. The clock's midnight is that of 5 January.
/// Source: github.com/net4people/bbs/issues/99, and RIPE Labs.
#[must_use]
pub fn january_2022_by_the_hour(clock: &Clock) -> Shutdown {
    Shutdown::new().piece(Only::tcp(FIVE).udp([53]).except(clock, january_2022_windows()))
}

/// When everything passed in January 2022, by that clock.
#[must_use]
pub fn january_2022_windows() -> Vec<Range<Duration>> {
    // Day, hour and minute of January.
    let at = |(day, hour, minute): (u64, u64, u64)| {
        Duration::from_secs((((day - 5) * 24 + hour) * 60 + minute) * 60)
    };
    let windows = [
        ((5, 0, 0), (5, 10, 30)),
        ((5, 17, 30), (5, 22, 0)),
        ((6, 10, 30), (6, 14, 0)),
        ((7, 2, 30), (7, 6, 0)),
        ((8, 2, 30), (8, 10, 0)),
        ((9, 2, 30), (9, 6, 0)),
        ((11, 2, 15), (1000, 0, 0)),
    ];
    windows.into_iter().map(|(from, to)| at(from)..at(to)).collect()
}

/// Belarus, August 2020: what looks like TLS is broken off by silence; what looks like nothing passes.
/// Source: Psiphon's report of that August.
#[must_use]
pub fn belarus_2020() -> Shutdown {
    Shutdown::new().piece(Block.when(|packet: &Packet<'_>| starts_tls(packet)))
}

/// Iran, autumn 2022: mobile providers pass nothing from 16:00 to midnight, day after day.
/// Source: github.com/net4people/bbs/issues/125.
#[must_use]
pub fn iran_2022(clock: &Clock) -> Shutdown {
    let hours = |day: u64| {
        let hour = |hour: u64| Duration::from_secs((day * 24 + hour) * 3600);
        hour(16)..hour(24)
    };
    Shutdown::new().piece(Block.during(clock, (0..30).map(hours)))
}

/// Iran, June 2025 and after: a ClientHello goes out and its ServerHello never comes in; of datagrams,
/// only those to port 53 pass; there is no IPv6. Source: github.com/net4people/bbs/issues/489.
#[must_use]
pub fn iran_2025() -> Shutdown {
    Shutdown::new()
        .gate(Gate::open().udp([53]))
        .piece(Block.when(|packet: &Packet<'_>| packet.is_v6()))
        .piece(NoServerHello::new())
}

/// Iran, January and February 2026: to whom the list does not name a connection is made, and nothing
/// ever returns on it; of datagrams, only those to port 53 pass; there is no IPv6. Source:
/// github.com/net4people/bbs/issues/586 and 626.
#[must_use]
pub fn iran_2026(list: impl IntoIterator<Item = IpAddr>) -> Shutdown {
    let list: HashSet<IpAddr> = list.into_iter().collect();
    Shutdown::new()
        .gate(Gate::open().udp([53]))
        .piece(Block.when(|packet: &Packet<'_>| packet.is_v6()))
        .piece(
            HandshakeOnly::new().when(move |packet: &Packet<'_>| !list.contains(&packet.outside())),
        )
}

/// Russia since 9 June 2025: of each connection to a foreign host, 16 KB come in, and then nothing, be
/// it over TCP or UDP. Source: Cloudflare's report of that month; others measured 14 to 32 KB.
#[must_use]
pub fn russia_16k() -> Shutdown {
    Shutdown::new().piece(Freeze::after(16 << 10).of(Way::In))
}

/// Russia's mobile providers, 2025 and 2026: a connection to whom the list does not name is made, and
/// what is said over it vanishes; of datagrams to anybody else, those to port 53 pass. Source:
/// github.com/net4people/bbs/issues/516 and 650.
#[must_use]
pub fn russia_mobile_2025(list: impl IntoIterator<Item = IpAddr>) -> Shutdown {
    let list: HashSet<IpAddr> = list.into_iter().collect();
    let hits = move |packet: &Packet<'_>| {
        let is_dns = packet.transport() == Some(Transport::Udp) && packet.port() == Some(53);
        let is_bare = packet.transport() == Some(Transport::Tcp) && packet.payload().is_empty();
        !(list.contains(&packet.outside()) || is_dns || is_bare)
    };
    Shutdown::new().piece(Block.when(hits))
}

fn starts_tls(packet: &Packet<'_>) -> bool {
    // A handshake record of any version (RFC 8446, section 5.1).
    packet.way() == Way::Out
        && packet.transport() == Some(Transport::Tcp)
        && packet.payload().starts_with(&[22, 3])
}
