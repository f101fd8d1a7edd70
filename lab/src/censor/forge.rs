//! Packets that a censor makes itself.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use super::checksum;
use super::packet::{ACK, Flow, RST, SYN, Segment, Way};

/// How many bytes a packet can say to fit wherever IPv6 fits. The links of a lab take 200 more; what is
/// too long for them gets lost.
pub const MAX_SAID: usize = 1220;

/// A TCP segment of a flow, going this way, as if the end that it comes from had sent it.
#[must_use]
pub fn segment(flow: Flow, way: Way, header: Segment, said: &[u8]) -> Vec<u8> {
    let [from, to] = flow.ends(way);
    let mut upper = Vec::with_capacity(20 + said.len());
    upper.extend(from.port().to_be_bytes());
    upper.extend(to.port().to_be_bytes());
    upper.extend(header.sequence.to_be_bytes());
    upper.extend(header.acknowledged.to_be_bytes());
    // Five words of header; a window of 64 KiB; the checksum; nothing is urgent.
    upper.extend([0x50, header.flags, 0xff, 0xff, 0, 0, 0, 0]);
    upper.extend(said);
    packet(from, to, 6, upper, 16)
}

/// A datagram of a flow, going this way.
#[must_use]
pub fn datagram(flow: Flow, way: Way, said: &[u8]) -> Vec<u8> {
    let [from, to] = flow.ends(way);
    let mut upper = Vec::with_capacity(8 + said.len());
    upper.extend(from.port().to_be_bytes());
    upper.extend(to.port().to_be_bytes());
    upper.extend(short(8 + said.len()).to_be_bytes());
    upper.extend([0, 0]);
    upper.extend(said);
    packet(from, to, 17, upper, 6)
}

/// What breaks a connection off at both ends, as if the other end did so (RFC 9293, section 3.10.7):
/// the reset for the inside, which sent `seen`, and the one for the world.
#[must_use]
pub fn resets(flow: Flow, seen: Segment) -> [Vec<u8>; 2] {
    let sequence = if seen.has(ACK) { seen.acknowledged } else { 0 };
    let flags = RST | ACK;
    let back = Segment { flags, sequence, acknowledged: seen.next, next: sequence };
    let on = Segment { flags, ..seen };
    [segment(flow, Way::In, back, &[]), segment(flow, Way::Out, on, &[])]
}

/// A box that accepts every connection and remembers none of them. This is what it answers to `seen`,
/// a segment from the inside: it grants what opens, and acknowledges what is said; `say` is what it
/// says to that, with the flags [`ACK`], and
/// [`FIN`](super::FIN) if that is all. Where
/// nothing is to be answered, `None`.
#[must_use]
pub fn accept(flow: Flow, seen: Segment, say: Option<(u8, &[u8])>) -> Option<Vec<u8>> {
    let (flags, sequence, said) = match say {
        _ if seen.has(RST) => return None,
        _ if seen.opens() => (SYN | ACK, first(flow), &[][..]),
        Some((flags, said)) => (flags, seen.acknowledged, said),
        None if seen.next == seen.sequence => return None,
        None => (ACK, seen.acknowledged, &[][..]),
    };
    let header = Segment { flags, sequence, acknowledged: seen.next, next: sequence };
    Some(segment(flow, Way::In, header, said))
}

/// Whether such a box has said nothing yet to whoever sends `seen`.
#[must_use]
pub fn is_fresh(flow: Flow, seen: Segment) -> bool {
    let is_within = seen.has(ACK) && !seen.has(RST) && !seen.has(SYN);
    is_within && seen.acknowledged == first(flow).wrapping_add(1)
}

/// The number with which such a box begins: the same for the same flow.
#[must_use]
pub fn first(flow: Flow) -> u32 {
    let mut hasher = DefaultHasher::new();
    flow.hash(&mut hasher);
    let [_, _, _, _, number @ ..] = hasher.finish().to_be_bytes();
    u32::from_be_bytes(number)
}

/// Puts the IP header before what is sent, and the checksum into it at `place`.
fn packet(from: SocketAddr, to: SocketAddr, protocol: u8, upper: Vec<u8>, place: usize) -> Vec<u8> {
    let mut upper = upper;
    let length = short(upper.len());
    let (mut packet, addresses) = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, 0];
            header.extend((20 + length).to_be_bytes());
            // No number; not to be cut; 64 hops; the checksum.
            header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = checksum::finish(checksum::add(0, &header));
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            (header, 12..20)
        }
        (from, to) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(length.to_be_bytes());
            header.extend([protocol, 64]);
            header.extend(octets(from));
            header.extend(octets(to));
            (header, 8..40)
        }
    };
    let sum = checksum::add(u32::from(length) + u32::from(protocol), &packet[addresses]);
    let sum = checksum::finish(checksum::add(sum, &upper));
    // Of a datagram, zero would say that there is none.
    let sum = if protocol == 17 && sum == 0 { 0xffff } else { sum };
    upper[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    packet.extend(upper);
    packet
}

fn short(length: usize) -> u16 {
    u16::try_from(length).expect("a packet is short")
}
