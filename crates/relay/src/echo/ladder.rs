//! A climb, whatever carries it: what came up, what is said to it.

use std::time::Duration;

use tokio::time::Instant;
use wire::echo::climb::{PIECE, PIECES};
use wire::echo::{Climb, Kind, Piece, Shape, Transport, Way, dress};

use super::Asked;
use super::budget::Place;

/// How long a climb may last without a piece: one asks whether the way still lives after a minute.
pub(super) const IDLE: Duration = Duration::from_secs(120);
/// And in all.
const LONGEST: Duration = Duration::from_secs(600);
/// How many pieces are heard beside the load.
const FEW: u16 = 32;
/// How often each piece of load may be asked again where they are lost.
const AGAIN: u16 = 4;

/// Somebody's climb.
pub(super) struct Ladder {
    climb: Climb,
    shape: Shape,
    transport: Transport,
    place: Place,
    until: Instant,
    heard_at: Instant,
    /// How many pieces are heard yet.
    left: u16,
    /// A bit for each piece of load that came.
    came: u128,
}

impl Ladder {
    pub(super) fn new(asked: &Asked, transport: Transport, place: Place) -> Self {
        let heard_at = Instant::now();
        let load = match transport {
            Transport::Tcp => PIECES,
            Transport::Udp => PIECES * AGAIN,
        };
        Self {
            climb: asked.found.climb(),
            shape: asked.shape,
            transport,
            place,
            until: heard_at + LONGEST,
            heard_at,
            left: load + FEW,
            came: 0,
        }
    }

    /// When it ends, unless something comes.
    pub(super) fn end(&self) -> Instant {
        self.until.min(self.heard_at + IDLE)
    }

    /// A piece that came; `None` ends it: nobody of ours sent this, or it is one too many.
    pub(super) fn hear(&mut self, sealed: &[u8; PIECE]) -> Option<Piece> {
        let piece = self.climb.open(sealed)?;
        if self.place.is_revoked() || piece.kind == Kind::Load && piece.number >= PIECES {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.heard_at = Instant::now();
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

    /// One of our pieces, dressed.
    pub(super) fn say(&self, kind: Kind, number: u16) -> Vec<u8> {
        let piece = Piece { kind, number, received: self.received(), body: Vec::new() };
        dress::piece(self.shape, self.transport, Way::Down, &self.climb.seal(&piece))
    }
}
