//! One packet, read where it lies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::checksum;

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// From the inside to the world.
    Out,
    /// From the world to the inside.
    In,
}

impl Way {
    /// The other way.
    #[must_use]
    pub fn back(self) -> Self {
        match self {
            Self::Out => Self::In,
            Self::In => Self::Out,
        }
    }
}

/// What is said over a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Who speaks with whom, whichever of them a packet comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// Over what.
    pub transport: Transport,
    /// The end that is inside, as the border sees it: behind a NAT, its router's.
    pub inside: SocketAddr,
    /// The end in the world.
    pub outside: SocketAddr,
}

impl Flow {
    /// Who sends what goes this way, and who gets it.
    #[must_use]
    pub fn ends(&self, way: Way) -> [SocketAddr; 2] {
        match way {
            Way::Out => [self.inside, self.outside],
            Way::In => [self.outside, self.inside],
        }
    }
}

/// The flag of TCP that ends a stream.
pub const FIN: u8 = 0x01;
/// The flag of TCP that opens a connection.
pub const SYN: u8 = 0x02;
/// The flag of TCP that breaks a connection off.
pub const RST: u8 = 0x04;
/// The flag of TCP that makes the acknowledgement number count.
pub const ACK: u8 = 0x10;

/// The fields of a TCP segment that pieces look at (RFC 9293, section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// [`SYN`], [`ACK`] and so on.
    pub flags: u8,
    /// The number of its first byte.
    pub sequence: u32,
    /// The number of the next byte that its sender expects.
    pub acknowledged: u32,
    /// The number that comes after all of it.
    pub next: u32,
}

impl Segment {
    /// Whether it asks for a connection.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.flags & (SYN | ACK) == SYN
    }

    /// Whether it grants one.
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.has(SYN | ACK)
    }

    /// Whether all these flags are set.
    #[must_use]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// An IPv4 or IPv6 packet on its way over the border. Later fragments, and IPv6 packets with extension
/// headers, count as neither TCP nor UDP.
#[derive(Debug)]
pub struct Packet<'a> {
    bytes: &'a mut [u8],
    way: Way,
    transport: Option<Transport>,
    /// Where the header of TCP or UDP begins.
    header: usize,
    /// Where what is said begins.
    payload: usize,
    is_changed: bool,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Where IPv4 has the checksum of its header.
const SUM: usize = 10;

impl<'a> Packet<'a> {
    /// Reads a packet; `None` when it is none.
    pub(super) fn read(bytes: &'a mut [u8], way: Way) -> Option<Self> {
        let (length, header, protocol) = match bytes.first()? >> 4 {
            4 => {
                let fixed: &[u8; 20] = bytes.first_chunk()?;
                let is_later = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff != 0;
                let length = u16::from_be_bytes([fixed[2], fixed[3]]);
                let protocol = if is_later { 0 } else { fixed[9] };
                (usize::from(length), usize::from(fixed[0] & 0xf) * 4, protocol)
            }
            6 => {
                let fixed: &[u8; 40] = bytes.first_chunk()?;
                (40 + usize::from(u16::from_be_bytes([fixed[4], fixed[5]])), 40, fixed[6])
            }
            _ => return None,
        };
        let bytes = bytes.get_mut(..length)?;
        let upper = bytes.get(header..)?;
        let (transport, above) = match protocol {
            TCP if upper.len() >= 20 => {
                (Some(Transport::Tcp), usize::from(upper[12] >> 4).max(5) * 4)
            }
            UDP if upper.len() >= 8 => (Some(Transport::Udp), 8),
            _ => (None, 0),
        };
        let payload = header + above;
        (header >= 20 && payload <= length).then_some(Self {
            bytes,
            way,
            transport,
            header,
            payload,
            is_changed: false,
        })
    }

    /// All of it, from the first byte of its IP header.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Where it goes.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// Whether it is IPv6.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.bytes[0] >> 4 == 6
    }

    /// TCP or UDP, or something else.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// The address it comes from and that it goes to.
    fn addresses(&self) -> [IpAddr; 2] {
        let v4 = |at: usize| self.bytes[at..].first_chunk().map(|&ip: &[u8; 4]| Ipv4Addr::from(ip));
        let v6 =
            |at: usize| self.bytes[at..].first_chunk().map(|&ip: &[u8; 16]| Ipv6Addr::from(ip));
        let here = "the whole header was read";
        match self.is_v6() {
            false => [v4(12).expect(here).into(), v4(16).expect(here).into()],
            true => [v6(8).expect(here).into(), v6(24).expect(here).into()],
        }
    }

    /// The address of its end inside.
    #[must_use]
    pub fn inside(&self) -> IpAddr {
        let [from, to] = self.addresses();
        if self.way == Way::Out { from } else { to }
    }

    /// The address of its end in the world.
    #[must_use]
    pub fn outside(&self) -> IpAddr {
        let [from, to] = self.addresses();
        if self.way == Way::Out { to } else { from }
    }

    /// Whether it is for everybody on a link, as neighbours and routers talk; that crosses no border.
    pub(super) fn is_for_neighbours(&self) -> bool {
        self.addresses()[1].is_multicast()
    }

    /// The ports it comes from and goes to, of TCP and UDP.
    fn ports(&self) -> [u16; 2] {
        [self.number(self.header), self.number(self.header + 2)]
    }

    /// The port in the world that it comes from or goes to, of TCP and UDP.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.transport?;
        let [from, to] = self.ports();
        Some(if self.way == Way::Out { to } else { from })
    }

    /// Who speaks with whom, if it is TCP or UDP.
    #[must_use]
    pub fn flow(&self) -> Option<Flow> {
        let transport = self.transport?;
        let ([from, to], [source, port]) = (self.addresses(), self.ports());
        let (from, to) = (SocketAddr::new(from, source), SocketAddr::new(to, port));
        Some(match self.way {
            Way::Out => Flow { transport, inside: from, outside: to },
            Way::In => Flow { transport, inside: to, outside: from },
        })
    }

    /// What it says over TCP or UDP, without their headers; of anything else, nothing.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        if self.transport.is_some() { &self.bytes[self.payload..] } else { &[] }
    }

    /// Its TCP header.
    #[must_use]
    pub fn segment(&self) -> Option<Segment> {
        if self.transport != Some(Transport::Tcp) {
            return None;
        }
        let number = |at: usize| {
            let [high, low] = [self.number(self.header + at), self.number(self.header + at + 2)];
            u32::from(high) << 16 | u32::from(low)
        };
        let flags = self.bytes[self.header + 13];
        let sequence = number(4);
        let said = u32::try_from(self.payload().len()).expect("a packet is short");
        let counted = said + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let next = sequence.wrapping_add(counted);
        Some(Segment { flags, sequence, acknowledged: number(8), next })
    }

    /// Lets it come from somewhere else, of the same family. The checksums stay right.
    pub fn set_source(&mut self, source: SocketAddr) {
        self.set_end(source, 0);
    }

    /// Sends it somewhere else, of the same family. The checksums stay right.
    pub fn set_destination(&mut self, destination: SocketAddr) {
        self.set_end(destination, 1);
    }

    /// Whether a piece has changed it.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// What is neither TCP nor UDP, or of the other family, stays as it is.
    fn set_end(&mut self, end: SocketAddr, which: usize) {
        if self.transport.is_none() || end.is_ipv6() != self.is_v6() {
            return;
        }
        match end.ip() {
            IpAddr::V4(ip) => {
                let at = 12 + 4 * which;
                let sum = checksum::change(self.number(SUM), &self.bytes[at..at + 4], &ip.octets());
                self.bytes[SUM..SUM + 2].copy_from_slice(&sum.to_be_bytes());
                self.replace(at, &ip.octets());
            }
            IpAddr::V6(ip) => self.replace(8 + 16 * which, &ip.octets()),
        }
        self.replace(self.header + 2 * which, &end.port().to_be_bytes());
        self.is_changed = true;
    }

    /// Replaces bytes that the checksum of TCP or UDP covers.
    fn replace(&mut self, at: usize, new: &[u8]) {
        let is_udp = self.transport == Some(Transport::Udp);
        let place = self.header + if is_udp { 6 } else { 16 };
        let (old, sum) = (at..at + new.len(), self.number(place));
        // Of a datagram, zero says that there is none.
        if !(is_udp && sum == 0) {
            let sum = checksum::change(sum, &self.bytes[old.clone()], new);
            let sum = if is_udp && sum == 0 { 0xffff } else { sum };
            self.bytes[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        }
        self.bytes[old].copy_from_slice(new);
    }

    fn number(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }
}

#[cfg(test)]
mod tests {
    use super::super::forge;
    use super::*;

    fn flow(transport: Transport, inside: &str, outside: &str) -> Flow {
        let end = |text: &str| text.parse().expect("an address and a port");
        Flow { transport, inside: end(inside), outside: end(outside) }
    }

    fn made(flow: Flow, said: &[u8]) -> Vec<u8> {
        let header = Segment { flags: ACK, sequence: 7, acknowledged: 9, next: 0 };
        match flow.transport {
            Transport::Tcp => forge::segment(flow, Way::Out, header, said),
            Transport::Udp => forge::datagram(flow, Way::Out, said),
        }
    }

    #[test]
    fn a_packet_that_is_sent_elsewhere_is_the_one_that_was_made_for_there() {
        for (inside, outside, elsewhere) in [
            ("5.76.1.10:40000", "116.203.7.7:443", "185.98.5.5:8443"),
            ("[2a00:5da0:1::10]:40000", "[2a01:4f8:7::7]:443", "[2a00:5da0:98::5]:1"),
        ] {
            for transport in [Transport::Tcp, Transport::Udp] {
                let (here, there) =
                    (flow(transport, inside, outside), flow(transport, inside, elsewhere));
                let mut bytes = made(here, b"some words");
                let mut packet = Packet::read(&mut bytes, Way::Out).expect("a packet");
                assert_eq!((packet.flow(), packet.payload()), (Some(here), &b"some words"[..]));
                packet.set_destination(there.outside);
                assert_eq!(packet.flow(), Some(there));
                assert_eq!(packet.bytes(), made(there, b"some words"));
            }
        }
    }

    #[test]
    fn a_packet_that_is_cut_or_lies_about_its_lengths_is_none() {
        let whole = made(flow(Transport::Tcp, "5.76.1.10:40000", "116.203.7.7:443"), b"some words");
        for length in 0..whole.len() {
            assert!(Packet::read(&mut whole.clone()[..length], Way::Out).is_none());
        }
        for place in [0, 2, 3, 32] {
            for value in 0..=255 {
                let mut bytes = whole.clone();
                bytes[place] = value;
                // It is enough that nothing panics.
                let packet = Packet::read(&mut bytes, Way::In);
                let _ =
                    packet.map(|packet| (packet.flow(), packet.segment(), packet.payload().len()));
            }
        }
    }
}
