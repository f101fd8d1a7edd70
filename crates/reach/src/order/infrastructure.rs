//! Ports that a country keeps open for itself: tried before all others.
//!
//! Those with an [`Evidence`] stayed open in a shutdown that somebody wrote down; they go first, the
//! events taking turns, so that no single one rules the order. The others are what the machines of
//! providers, banks and phones need from each other; nobody has seen them open, or shut.

use wire::echo::{Shape, Transport};

use Evidence::{Iran2022, Iran2026, Kazakhstan2022, None as Unseen, Russia2025};
use Shape::{Dns, Printable, Random, Tls};
use Transport::{Tcp, Udp};

/// Where a port was seen open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// A full scan into the country in January 2022, and proxies that worked (net4people/bbs #102).
    Kazakhstan2022,
    /// Scans and reports of September and October 2022 (net4people/bbs #125).
    Iran2022,
    /// January to March 2026 (net4people/bbs #561, #586, #626).
    Iran2026,
    /// Mobile whitelists and the curtain of 16 KB (net4people/bbs #516, #650).
    Russia2025,
    /// Nowhere; a reason is all there is.
    None,
}

/// A port that is tried early.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// What carries it.
    pub transport: Transport,
    /// Its number.
    pub port: u16,
    /// What is said there by others, so that we stand out less.
    pub shape: Shape,
    /// Where it was seen open.
    pub evidence: Evidence,
    /// What it is for.
    pub purpose: &'static str,
}

const fn port(
    transport: Transport,
    port: u16,
    shape: Shape,
    evidence: Evidence,
    purpose: &'static str,
) -> Port {
    Port { transport, port, shape, evidence, purpose }
}

/// The list, first to last.
pub const PORTS: &[Port] = &[
    port(Udp, 53, Dns, Kazakhstan2022, "names (DNS); tunnels over it worked in three events"),
    port(Tcp, 443, Tls, Iran2026, "the web"),
    port(Tcp, 179, Random, Kazakhstan2022, "routes between networks (BGP)"),
    port(Tcp, 80, Printable, Russia2025, "the web, in clear"),
    port(Tcp, 53, Dns, Iran2026, "names (DNS)"),
    port(Tcp, 3785, Random, Kazakhstan2022, "whether a link lives (BFD echo)"),
    port(Tcp, 8443, Tls, Russia2025, "the web, second door"),
    port(Tcp, 22, Random, Iran2022, "logins of administrators (SSH)"),
    port(Tcp, 646, Random, Kazakhstan2022, "labels of paths (LDP)"),
    port(Tcp, 8080, Printable, Russia2025, "the web, second door, in clear"),
    port(Tcp, 3784, Random, Kazakhstan2022, "whether a link lives (BFD)"),
    port(Udp, 443, Tls, Unseen, "the web (QUIC)"),
    port(Tcp, 4784, Random, Kazakhstan2022, "whether a far link lives (BFD multihop)"),
    port(Tcp, 1723, Random, Iran2022, "offices (PPTP)"),
    port(
        Tcp,
        5060,
        Printable,
        Kazakhstan2022,
        "calls (SIP); perhaps a box that answers for others",
    ),
    port(Tcp, 21, Printable, Iran2022, "files (FTP)"),
    // From here on: reasons only.
    port(Udp, 123, Random, Unseen, "time (NTP)"),
    port(Udp, 3784, Random, Unseen, "whether a link lives (BFD, as routers speak it)"),
    port(Udp, 500, Random, Unseen, "offices (IKE)"),
    port(Udp, 4500, Random, Unseen, "offices and calls over Wi-Fi (IPsec)"),
    port(Tcp, 853, Tls, Unseen, "names (DNS over TLS)"),
    port(Udp, 3785, Random, Unseen, "whether a link lives (BFD echo)"),
    port(Udp, 4784, Random, Unseen, "whether a far link lives (BFD multihop)"),
    port(Udp, 646, Random, Unseen, "labels of paths (LDP)"),
    port(Tcp, 993, Tls, Unseen, "mail, reading (IMAP)"),
    port(Udp, 5060, Printable, Unseen, "calls (SIP)"),
    port(Tcp, 5223, Tls, Unseen, "phones being woken (Apple)"),
    port(Tcp, 5228, Tls, Unseen, "phones being woken (Google)"),
    port(Udp, 3478, Random, Unseen, "calls (STUN)"),
    port(Tcp, 5222, Random, Unseen, "messages (XMPP)"),
    port(Udp, 2152, Random, Unseen, "between mobile networks (GTP-U)"),
    port(Udp, 2123, Random, Unseen, "between mobile networks (GTP-C)"),
    port(Tcp, 7547, Printable, Unseen, "a provider's hand on home routers (TR-069)"),
    port(Udp, 1194, Random, Unseen, "offices (OpenVPN)"),
    port(Udp, 51820, Random, Unseen, "offices (WireGuard)"),
    port(Udp, 1701, Random, Unseen, "offices, subscribers (L2TP)"),
    port(Tcp, 3868, Random, Unseen, "who may use a mobile network (Diameter)"),
    port(Udp, 1812, Random, Unseen, "who may log in (RADIUS)"),
    port(Udp, 1813, Random, Unseen, "what they used (RADIUS)"),
    port(Tcp, 49, Random, Unseen, "who may log in to routers (TACACS+)"),
    port(Udp, 161, Random, Unseen, "how routers are (SNMP)"),
    port(Udp, 162, Random, Unseen, "what routers report (SNMP)"),
    port(Udp, 514, Printable, Unseen, "what machines report (syslog)"),
    port(Tcp, 639, Random, Unseen, "sources of multicast (MSDP)"),
    port(Udp, 6784, Random, Unseen, "whether one of many links lives (micro-BFD)"),
    port(Udp, 1967, Random, Unseen, "how good a link is (IP SLA)"),
    port(Udp, 862, Random, Unseen, "how good a link is (TWAMP)"),
    port(Tcp, 862, Random, Unseen, "how good a link is (TWAMP)"),
    port(Udp, 2055, Random, Unseen, "what passed through routers (NetFlow)"),
    port(Udp, 4739, Random, Unseen, "what passed through routers (IPFIX)"),
    port(Udp, 6343, Random, Unseen, "what passed through switches (sFlow)"),
    port(Udp, 4789, Random, Unseen, "between data centres (VXLAN)"),
    port(Tcp, 830, Random, Unseen, "settings of routers (NETCONF)"),
    port(Tcp, 23, Random, Unseen, "logins of administrators (telnet)"),
    port(Udp, 520, Random, Unseen, "routes within networks (RIP)"),
    port(Tcp, 2404, Random, Unseen, "power grids (IEC 104)"),
    port(Tcp, 102, Random, Unseen, "factories (ISO TSAP)"),
    port(Tcp, 502, Random, Unseen, "factories (Modbus)"),
    port(Tcp, 1883, Random, Unseen, "meters and payment terminals (MQTT)"),
    port(Tcp, 8883, Tls, Unseen, "meters and payment terminals (MQTT)"),
    port(Tcp, 995, Tls, Unseen, "mail, reading (POP3)"),
    port(Tcp, 3389, Random, Unseen, "screens from afar (RDP)"),
    port(Tcp, 1194, Random, Unseen, "offices (OpenVPN)"),
    port(Tcp, 500, Random, Unseen, "offices (IKE over TCP)"),
    port(Tcp, 123, Random, Unseen, "time, where a rule forgot the transport"),
    port(Tcp, 5061, Tls, Unseen, "calls (SIP over TLS)"),
    port(Udp, 80, Random, Unseen, "the web, where a rule forgot the transport"),
    port(Udp, 179, Random, Unseen, "routes, where a rule forgot the transport"),
    port(Udp, 853, Tls, Unseen, "names (DNS over QUIC)"),
];

/// What is said first at a port.
pub(crate) fn shape(transport: Transport, port: u16) -> Shape {
    place(transport, port).map_or(Random, |place| PORTS[place].shape)
}

/// Where it is on the list, from 0 on, if it is there.
pub(crate) fn place(transport: Transport, port: u16) -> Option<usize> {
    PORTS.iter().position(|known| known.transport == transport && known.port == port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_port_is_in_it_twice_or_never_to_be_dialled() {
        let mut seen = HashSet::new();
        for port in PORTS {
            assert!(seen.insert((port.transport, port.port)), "{port:?}");
            assert!(!crate::target::NEVER.contains(&port.port), "{port:?}");
        }
    }

    #[test]
    fn what_was_seen_open_goes_before_what_was_not() {
        let unseen = |port: &Port| port.evidence == Unseen && port.port != 443;
        let first = PORTS.iter().position(unseen).expect("some");
        assert!(PORTS[first..].iter().all(|port| port.evidence == Unseen));
    }
}
