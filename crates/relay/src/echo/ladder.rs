//! A climb, whatever carries it: what came up, what is said to it.

use std::num::NonZeroU16;
use std::time::Duration;

use tokio::time::Instant;
use wire::crack::{Hour, Network, Passage};
use wire::echo::climb::{PIECE, PIECES};
use wire::echo::{Climb, Dress, Kind, Piece, Transport, Way};
use wire::receipt::{Rung, Statement};

use super::Asked;
use super::budget::Place;
use crate::Shared;
use crate::clock::unix_seconds;
use crate::datagrams::Flow;

/// How long a climb may last.
const LONGEST: Duration = Duration::from_secs(600);
/// How many pieces are heard beside the load.
const FEW: u16 = 32;
/// How often each piece of load may be asked again where they are lost.
const AGAIN: u16 = 4;
/// How long a way has to last to count as alive: a minute, as whoever climbs counts it.
const ALIVE: Duration = Duration::from_secs(59);
/// How many receipts are signed for a climb: one for each rung, and one more.
const RECEIPTS: u8 = 4;
/// How long a network's name may be, in bytes.
const LONGEST_NAME: usize = 32;

/// Somebody's climb.
pub(super) struct Ladder {
    climb: Climb,
    dress: Dress,
    /// The port of ours.
    port: u16,
    /// The network that the climber is in, as it was looked up.
    network: Option<Network>,
    place: Place,
    began: Instant,
    heard_at: Instant,
    /// How long it may go on without a piece.
    idle: Duration,
    /// How many pieces are heard yet.
    left: u16,
    /// A bit for each piece of load that came.
    came: u128,
    /// How many pieces of ours have arrived, as the climber says.
    arrived: u16,
    /// What was signed last, and how many more are.
    signed: Option<(Statement, Vec<u8>)>,
    receipts: u8,
}

impl Ladder {
    /// `flow` says who climbs, of which the network is all that is kept.
    pub(super) fn new(
        shared: &Shared,
        asked: &Asked,
        dress: Dress,
        flow: &Flow,
        place: Place,
    ) -> Self {
        let began = Instant::now();
        let load = match dress.transport() {
            Transport::Tcp => PIECES,
            Transport::Udp => PIECES * AGAIN,
        };
        Self {
            climb: asked.found.climb(),
            dress,
            port: flow.to.port(),
            network: shared.course.load().network(flow.from.ip()),
            place,
            began,
            heard_at: began,
            idle: shared.limits.climb_idle,
            left: load + FEW,
            came: 0,
            arrived: 0,
            signed: None,
            receipts: RECEIPTS,
        }
    }

    /// When it ends, unless something comes.
    pub(super) fn end(&self) -> Instant {
        (self.began + LONGEST).min(self.heard_at + self.idle)
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.place.is_revoked() || self.end() < Instant::now()
    }

    /// How it is dressed.
    pub(super) fn dress(&self) -> &Dress {
        &self.dress
    }

    /// A piece that came; `None` ends it: nobody of ours sent this, or it is one too many.
    pub(super) fn hear(&mut self, sealed: &[u8; PIECE]) -> Option<Piece> {
        let piece = self.climb.open(sealed)?;
        if self.place.is_revoked() || piece.kind == Kind::Load && piece.number >= PIECES {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.heard_at = Instant::now();
        self.arrived = self.arrived.max(piece.received);
        if piece.kind == Kind::Load {
            self.came |= 1 << piece.number;
        }
        Some(piece)
    }

    /// When the last piece came.
    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// How many pieces of load have come.
    pub(super) fn received(&self) -> u16 {
        u16::try_from(self.came.count_ones()).unwrap_or(PIECES)
    }

    /// What is said to a piece that came, in the datagram `asked` if it was one: one of the same kind and
    /// number.
    pub(super) fn answer(&mut self, shared: &Shared, piece: &Piece, asked: &[u8]) -> Vec<u8> {
        let body = match piece.kind {
            Kind::Receipt => self.receipt(shared, &piece.body),
            Kind::Load | Kind::Alive => None,
        };
        self.say(piece.kind, piece.number, body.unwrap_or_default(), asked)
    }

    /// One of our pieces of load, dressed.
    pub(super) fn load(&self, number: u16) -> Vec<u8> {
        self.say(Kind::Load, number, Vec::new(), &[])
    }

    fn say(&self, kind: Kind, number: u16, body: Vec<u8>, asked: &[u8]) -> Vec<u8> {
        let piece = Piece { kind, number, received: self.received(), body };
        self.dress.piece(Way::Down, &self.climb.seal(&piece), asked)
    }

    /// A receipt of how far they have come. What was looked up is worth more than what they say of
    /// their network.
    fn receipt(&mut self, shared: &Shared, told: &[u8]) -> Option<Vec<u8>> {
        let told = || {
            let told = std::str::from_utf8(told.get(..LONGEST_NAME).unwrap_or(told)).ok()?;
            told.parse().ok().filter(|network| *network != Network::Unknown)
        };
        let (network, is_told) = match (&self.network, told()) {
            (Some(network), _) => (network.clone(), false),
            (None, Some(network)) => (network, true),
            (None, None) => (Network::Unknown, false),
        };
        let (transport, shape) = (self.dress.transport(), self.dress.shape());
        let port = NonZeroU16::new(self.port)?;
        let passage = Passage { network, transport, port, shape };
        let rung = rung(self.received(), self.arrived, self.began.elapsed());
        let statement = Statement { passage, is_told, hour: Hour::at(unix_seconds()), rung };
        if let Some((_, receipt)) = self.signed.as_ref().filter(|(said, _)| *said == statement) {
            return Some(receipt.clone());
        }
        self.receipts = self.receipts.checked_sub(1)?;
        let receipt = shared.echoes.witness.load().as_ref()?.sign(&statement);
        self.signed = Some((statement, receipt.clone()));
        Some(receipt)
    }
}

/// How far somebody has come of whose load so many pieces came, to whom so many of ours have arrived,
/// and who has been here for so long.
fn rung(came: u16, arrived: u16, lasted: Duration) -> Rung {
    match came.min(arrived) >= PIECES {
        true if lasted >= ALIVE => Rung::Alive,
        true => Rung::Through,
        false => Rung::Echo,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_alive_a_minute_after_64_kib_have_passed_both_ways_and_not_without_those() {
        let [second, minute] = [1, 60].map(Duration::from_secs);
        assert_eq!(rung(PIECES, PIECES, minute), Rung::Alive);
        assert_eq!(rung(PIECES, PIECES, second), Rung::Through);
        for (came, arrived) in [(0, 0), (PIECES - 1, PIECES), (PIECES, PIECES - 1)] {
            assert_eq!(rung(came, arrived, minute), Rung::Echo);
        }
    }
}
