//! The table by which nftables steers. In the words of nft(8):
//!
//! ```text
//! table inet jaryq_123 { flags owner
//!     set tcp_ports { type inet_service; flags interval; }
//!     chain steer { type filter hook prerouting priority -90
//!         meta l4proto tcp th dport != @tcp_ports accept
//!         fib daddr type != local accept            # forwarded, or for many
//!         socket transparent 0 accept               # somebody else has it
//!         meta nfproto ipv4 meta l4proto tcp ip daddr != 127.0.0.0/8 \
//!             tproxy ip to 127.106.97.114:1001
//!     }                                             # and the same of UDP and IPv6
//! }
//! ```
//!
//! `socket` finds whatever would get the packet: a connection, one that is being made or has just
//! ended, a listener, a bound UDP socket. `transparent 0` are all but ours. `tproxy` finds our
//! connections by itself, and a rule whose sockets are gone does nothing. Numbers without a name are
//! those of `linux/netfilter/nf_tables.h`.

use std::net::{Ipv6Addr, SocketAddr};

use crate::netlink::Attributes;
use crate::nftables::{Batch, CHAIN, ELEMENTS, RULE, SET, TABLE};
use crate::set::PortSet;
use crate::transport::Transport;

const STEER: &str = "steer";
/// After addresses were translated (-100), so that a packet shows whose it will be.
const PRIORITY: i32 = -90;
/// One message holds so many ranges of ports.
const RANGES: usize = 1000;

/// Where packets are handed over.
pub(crate) type Door = (Transport, SocketAddr);

/// What all that is in a table begins with, and all that it takes to delete one.
pub(crate) fn of(table: &str) -> Attributes {
    Attributes::default().text(1, table)
}

/// Makes a table that steers these ports, TCP and UDP, to these doors. With an owner (Linux 5.12), it
/// is gone when the line that made it is closed, and nobody else can touch it.
pub(crate) fn make(
    batch: &mut Batch,
    table: &str,
    owned: bool,
    ports: &[PortSet; 2],
    doors: &[Door],
) {
    const OWNER: u32 = 2;
    batch.make(TABLE, "a table", &of(table).number(2, if owned { OWNER } else { 0 }));
    let transports = [Transport::Tcp, Transport::Udp];
    for ((id, transport), ports) in (1..).zip(transports).zip(ports) {
        make_set(batch, table, (id, set(transport)), ports);
    }
    let hook = Attributes::default().number(1, 0).number(2, PRIORITY.cast_unsigned());
    batch.make(CHAIN, "a chain", &of(table).text(3, STEER).nest(4, &hook).text(7, "filter"));

    let mut rule = |called, parts: &[Attributes]| {
        let parts = parts.iter().fold(Attributes::default(), |all, part| all.nest(1, part));
        batch.make(RULE, called, &of(table).text(2, STEER).nest(4, &parts));
    };
    for transport in transports {
        let [load, this] = protocol(transport);
        rule("a rule", &[load, this, destination_port(), not_in(set(transport)), accept()]);
    }
    rule("a rule with 'fib'", &[destination_type(), compare(NOT, &LOCAL.to_ne_bytes()), accept()]);
    rule("a rule with 'socket'", &[transparent(), compare(IS, &[0]), accept()]);
    for &(transport, at) in doors {
        let address;
        let (family, outside) = match at {
            // Its first byte shows that an address is a loopback one.
            SocketAddr::V4(at) => {
                address = at.ip().octets().to_vec();
                (2, [network_header(16, 1), compare(NOT, &[127])])
            }
            SocketAddr::V6(at) => {
                address = at.ip().octets().to_vec();
                (10, [network_header(24, 16), compare(NOT, &Ipv6Addr::LOCALHOST.octets())])
            }
        };
        let ([a, b], [c, d], [e, f]) = (of_family(family), protocol(transport), outside);
        let to = [immediate(1, &address), immediate(2, &at.port().to_be_bytes())];
        let [g, h] = to;
        rule("a rule with 'tproxy'", &[a, b, c, d, e, f, g, h, tproxy(family)]);
    }
}

fn set(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp_ports",
        Transport::Udp => "udp_ports",
    }
}

fn make_set(batch: &mut Batch, table: &str, (id, name): (u32, &str), ports: &PortSet) {
    const INTERVALS: u32 = 4;
    const PORT: u32 = 13; // what nft(8) calls inet_service
    let this = of(table).text(2, name);
    let of_ports = this.clone().number(3, INTERVALS).number(4, PORT).number(5, 2);
    batch.make(SET, "a set", &of_ports.number(10, id));
    let element = |port: u16, flags: u32| {
        let key = Attributes::default().bytes(1, &port.to_be_bytes());
        Attributes::default().nest(1, &key).number(3, flags)
    };
    for ranges in ports.ranges().chunks(RANGES) {
        const END: u32 = 1;
        let elements = ranges.iter().fold(Attributes::default(), |all, range| {
            let all = all.nest(1, &element(*range.start(), 0));
            // A range ends where the next port begins; one up to the last port has no end.
            match range.end().checked_add(1) {
                Some(end) => all.nest(1, &element(end, END)),
                None => all,
            }
        });
        batch.make(ELEMENTS, "ports", &this.clone().nest(3, &elements));
    }
}

// ---- expressions: what they load goes to register 1, and is compared there ------------------------

fn expression(name: &str, what: &Attributes) -> Attributes {
    Attributes::default().text(1, name).nest(2, what)
}

fn value(bytes: &[u8]) -> Attributes {
    Attributes::default().bytes(1, bytes)
}

const IS: u32 = 0;
const NOT: u32 = 1;

fn compare(how: u32, with: &[u8]) -> Attributes {
    let how = Attributes::default().number(1, 1).number(2, how);
    expression("cmp", &how.nest(3, &value(with)))
}

fn meta(what: u32) -> Attributes {
    expression("meta", &Attributes::default().number(1, 1).number(2, what))
}

fn of_family(family: u8) -> [Attributes; 2] {
    [meta(15), compare(IS, &[family])]
}

fn protocol(transport: Transport) -> [Attributes; 2] {
    let number = match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    [meta(16), compare(IS, &[number])]
}

fn payload(header: u32, offset: u32, length: u32) -> Attributes {
    let place = Attributes::default().number(1, 1).number(2, header);
    expression("payload", &place.number(3, offset).number(4, length))
}

fn network_header(offset: u32, length: u32) -> Attributes {
    payload(1, offset, length)
}

fn destination_port() -> Attributes {
    payload(2, 2, 2)
}

fn not_in(set: &str) -> Attributes {
    const NOT: u32 = 1;
    expression("lookup", &Attributes::default().text(1, set).number(2, 1).number(5, NOT))
}

/// `RTN_LOCAL`.
const LOCAL: u32 = 2;

fn destination_type() -> Attributes {
    const TYPE: u32 = 3;
    const OF_DESTINATION: u32 = 2;
    let what = Attributes::default().number(1, 1).number(2, TYPE).number(3, OF_DESTINATION);
    expression("fib", &what)
}

fn transparent() -> Attributes {
    const TRANSPARENT: u32 = 0;
    expression("socket", &Attributes::default().number(1, TRANSPARENT).number(2, 1))
}

fn immediate(register: u32, what: &[u8]) -> Attributes {
    expression("immediate", &Attributes::default().number(1, register).nest(2, &value(what)))
}

fn accept() -> Attributes {
    const ACCEPT: u32 = 1;
    let verdict = Attributes::default().nest(2, &Attributes::default().number(1, ACCEPT));
    expression("immediate", &Attributes::default().number(1, 0).nest(2, &verdict))
}

/// To the address in register 1 and the port in register 2.
fn tproxy(family: u8) -> Attributes {
    let family = Attributes::default().number(1, family.into());
    expression("tproxy", &family.number(2, 1).number(3, 2))
}
