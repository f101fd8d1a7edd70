//! What was seen at a border.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::packet::{Packet, Transport, Way};

/// How many knocks are remembered: sixteen sweeps of all ports.
const MAX_KNOCKS: usize = 1 << 20;

/// How many packets went over a border, and how many bytes of them from their IP headers on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Traffic {
    fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// Somebody inside asked for a connection, with a SYN, or sent a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Knock {
    /// When, since the censor was started or told to forget.
    pub at: Duration,
    /// Which of the two.
    pub transport: Transport,
    /// Who, as the border sees it.
    pub from: SocketAddr,
    /// Where.
    pub to: SocketAddr,
    /// How long the packet was.
    pub length: usize,
}

/// What a border saw before any piece of its censor did anything about it: a capture, as far as tests
/// ask for one.
#[derive(Clone, Debug)]
pub struct Witness {
    since: Instant,
    came: [Traffic; 2],
    left: [Traffic; 2],
    knocks: Vec<Knock>,
    missed: u64,
}

impl Witness {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            came: Default::default(),
            left: Default::default(),
            knocks: Vec::new(),
            missed: 0,
        }
    }

    pub(super) fn see(&mut self, packet: &Packet<'_>, now: Instant) {
        let length = packet.bytes().len();
        self.came[packet.way() as usize].add(length);
        if packet.way() == Way::In || packet.segment().is_some_and(|segment| !segment.opens()) {
            return;
        }
        let Some(flow) = packet.flow() else { return };
        if self.knocks.len() == MAX_KNOCKS {
            self.missed += 1;
            return;
        }
        let at = now.saturating_duration_since(self.since);
        let [from, to] = [flow.inside, flow.outside];
        self.knocks.push(Knock { at, transport: flow.transport, from, to, length });
    }

    pub(super) fn let_go(&mut self, way: Way, bytes: usize) {
        self.left[way as usize].add(bytes);
    }

    /// What came to the border this way.
    #[must_use]
    pub fn came(&self, way: Way) -> Traffic {
        self.came[way as usize]
    }

    /// What left the border this way, packets of the censor's own among it.
    #[must_use]
    pub fn left(&self, way: Way) -> Traffic {
        self.left[way as usize]
    }

    /// All knocks in their order, up to a million.
    #[must_use]
    pub fn knocks(&self) -> &[Knock] {
        &self.knocks
    }

    /// How many knocks there were after that million.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// How many knocks each place in the world heard.
    #[must_use]
    pub fn heard(&self, transport: Transport) -> BTreeMap<SocketAddr, usize> {
        let mut heard = BTreeMap::new();
        for knock in self.knocks.iter().filter(|knock| knock.transport == transport) {
            *heard.entry(knock.to).or_default() += 1;
        }
        heard
    }

    /// How many knocks there were within `span` at most, whenever that was.
    #[must_use]
    pub fn most_within(&self, span: Duration) -> usize {
        let mut recent = VecDeque::new();
        let mut most = 0;
        for knock in &self.knocks {
            while recent.front().is_some_and(|&first| knock.at.saturating_sub(first) >= span) {
                recent.pop_front();
            }
            recent.push_back(knock.at);
            most = most.max(recent.len());
        }
        most
    }
}

/// What a piece has done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Count {
    /// How many packets it judged.
    pub seen: u64,
    /// How many of them it dropped, held, changed or answered.
    pub harmed: u64,
}
