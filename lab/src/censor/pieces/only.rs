//! A list of ports, and nothing else.

use std::fmt;

use crate::censor::{Border, Packet, Piece, Transport, Verdict};

/// Drops whatever is not TCP or UDP from or to one of these ports in the world.
///
/// ```no_run
/// # use lab::censor::{Censor, Only};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // What was left in Kazakhstan in January 2022.
/// let left = Only::tcp([179, 646, 3784, 3785, 4784]).udp([53]);
/// let censor = Censor::on(inside).piece(left).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Only {
    tcp: Ports,
    udp: Ports,
}

impl Only {
    /// TCP with these ports; `0..=65535` is all, `[]` none.
    #[must_use]
    pub fn tcp(ports: impl IntoIterator<Item = u16>) -> Self {
        Self { tcp: Ports::new(ports), udp: Ports::new([]) }
    }

    /// And UDP with these.
    #[must_use]
    pub fn udp(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.udp = Ports::new(ports);
        self
    }
}

impl Piece for Only {
    fn judge(&mut self, packet: &mut Packet<'_>, _: &mut Border<'_>) -> Verdict {
        let left = match packet.transport() {
            Some(Transport::Tcp) => &self.tcp,
            Some(Transport::Udp) => &self.udp,
            None => return Verdict::Drop,
        };
        match packet.port() {
            Some(port) if left.contains(port) => Verdict::Pass,
            _ => Verdict::Drop,
        }
    }
}

impl fmt::Debug for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [tcp, udp] = [&self.tcp, &self.udp].map(Ports::count);
        write!(f, "Only({tcp} TCP, {udp} UDP)")
    }
}

/// A set of ports, a bit each.
#[derive(Clone)]
struct Ports(Box<[u64; 1024]>);

impl Ports {
    fn new(ports: impl IntoIterator<Item = u16>) -> Self {
        let mut bits = Box::new([0; 1024]);
        for port in ports {
            bits[usize::from(port / 64)] |= 1 << (port % 64);
        }
        Self(bits)
    }

    fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)] & 1 << (port % 64) != 0
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|bits| bits.count_ones()).sum()
    }
}
