//! The pieces in a row, and what waits between them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::chance::Chance;
use super::packet::{Packet, Way};
use super::piece::{Border, Piece, Verdict};
use super::witness::{Count, Witness};

/// How often packets of the censor's own may lead to further ones: two pieces that answer each other
/// would go on for ever.
const MAX_DEPTH: u8 = 8;

/// A piece in its place.
#[derive(Debug)]
struct Seat {
    piece: Box<dyn Piece>,
    /// Dice for each way, so that what comes in does not change what is lost of what goes out.
    chances: [Chance; 2],
    count: Count,
}

/// A packet that waits. The earliest is the greatest, and of those the first that came.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Held {
    due: Reverse<(Instant, u64)>,
    is_inward: bool,
    /// How many pieces it has passed.
    passed: usize,
    bytes: Vec<u8>,
}

/// The pieces of a censor, the first nearest to the inside: what goes out passes them in their order,
/// what comes in the other way round.
#[derive(Debug)]
pub(super) struct Row {
    seats: Vec<Seat>,
    held: BinaryHeap<Held>,
    holds: u64,
    seed: u64,
    pub(super) witness: Witness,
}

impl Row {
    pub(super) fn new(pieces: Vec<Box<dyn Piece>>, seed: u64) -> Self {
        let witness = Witness::new();
        let mut row = Self { seats: Vec::new(), held: BinaryHeap::new(), holds: 0, seed, witness };
        row.set(pieces);
        row
    }

    /// Puts other pieces into the places of all, with new counts.
    pub(super) fn set(&mut self, pieces: Vec<Box<dyn Piece>>) {
        self.seats = (0..).zip(pieces).map(|(place, piece)| self.seat(place, piece)).collect();
    }

    /// Puts another piece into the place of one, if there is one.
    pub(super) fn replace(&mut self, place: usize, piece: Box<dyn Piece>) -> bool {
        let new = self.seat(place, piece);
        self.seats.get_mut(place).map(|seat| *seat = new).is_some()
    }

    fn seat(&self, place: usize, piece: Box<dyn Piece>) -> Seat {
        let chance = |way| Chance::new(self.seed ^ ((place as u64) << 32) ^ ((way as u64) << 48));
        let chances = [Way::Out, Way::In].map(chance);
        Seat { piece, chances, count: Count::default() }
    }

    pub(super) fn counts(&self) -> Vec<Count> {
        self.seats.iter().map(|seat| seat.count).collect()
    }

    /// Judges a packet that comes to the border.
    pub(super) fn take(
        &mut self,
        bytes: &mut [u8],
        way: Way,
        now: Instant,
        out: &mut impl FnMut(Way, &[u8]),
    ) {
        let packet = Packet::read(bytes, way);
        if let Some(packet) = packet.filter(|packet| !packet.is_for_neighbours()) {
            self.witness.see(&packet, now);
            self.lead(packet, 0, now, 0, out);
        }
    }

    /// Lets packets go on whose time has come.
    pub(super) fn release(&mut self, now: Instant, out: &mut impl FnMut(Way, &[u8])) {
        while self.next().is_some_and(|due| due <= now) {
            let Some(mut held) = self.held.pop() else { return };
            let way = if held.is_inward { Way::In } else { Way::Out };
            if let Some(packet) = Packet::read(&mut held.bytes, way) {
                self.lead(packet, held.passed, now, 0, out);
            }
        }
    }

    /// When the next packet's time comes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.held.peek().map(|held| held.due.0.0)
    }

    /// Leads a packet through the pieces that it has not passed yet.
    fn lead(
        &mut self,
        mut packet: Packet<'_>,
        passed: usize,
        now: Instant,
        depth: u8,
        out: &mut impl FnMut(Way, &[u8]),
    ) {
        let way = packet.way();
        let mut forged = Vec::new();
        for passed in passed..self.seats.len() {
            let place = match way {
                Way::Out => passed,
                Way::In => self.seats.len() - 1 - passed,
            };
            let seat = &mut self.seats[place];
            let was_changed = packet.is_changed();
            let chance = &mut seat.chances[way as usize];
            let mut border = Border { now, chance, forged: &mut forged };
            let verdict = seat.piece.judge(&mut packet, &mut border);
            let is_harmed = verdict != Verdict::Pass
                || packet.is_changed() != was_changed
                || !forged.is_empty();
            seat.count.seen += 1;
            seat.count.harmed += u64::from(is_harmed);
            for (way, mut bytes) in forged.drain(..) {
                let passed = match way {
                    Way::Out => place + 1,
                    Way::In => self.seats.len() - place,
                };
                if let Some(packet) = Packet::read(&mut bytes, way).filter(|_| depth < MAX_DEPTH) {
                    self.lead(packet, passed, now, depth + 1, out);
                }
            }
            match verdict {
                Verdict::Pass => {}
                Verdict::Drop => return,
                Verdict::Hold(until) if until <= now => {}
                Verdict::Hold(until) => {
                    self.holds += 1;
                    self.held.push(Held {
                        due: Reverse((until, self.holds)),
                        is_inward: way == Way::In,
                        passed: passed + 1,
                        bytes: packet.bytes().to_vec(),
                    });
                    return;
                }
            }
        }
        self.witness.let_go(way, packet.bytes().len());
        out(way, packet.bytes());
    }
}
