//! What follows an answer: pieces both ways, each sealed, until 64 KiB have passed.
//!
//! Over TCP the asker sends [`PIECES`] pieces of [`Kind::Load`], and the relay as many from the first
//! of them on, without waiting for the others; each says how many have come the other way so far. Its
//! last one it keeps back until all of theirs have come, or none has for a second. So both sides'
//! freezes show, and where. Over UDP each piece of the asker's is answered by one of the
//! relay's, of the same number and length; what is lost is asked again.
//!
//! Then the asker may ask for a receipt ([`Kind::Receipt`]), and later whether the way still lives
//! ([`Kind::Alive`]).

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

use super::Question;
use super::question::{NONCE, aead};
use crate::derive::Root;

/// How long a piece is before it is dressed, in bytes.
pub const PIECE: usize = 768;
/// How many pieces are 64 KiB.
pub const PIECES: u16 = 86;
/// The longest body of a piece, in bytes.
pub const MOST: usize = PIECE - NONCE - SEAL - HEADER;

const SEAL: usize = 16;
const HEADER: usize = 8;

/// Which way a piece goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// From the asker to the relay.
    Up,
    /// From the relay to the asker.
    Down,
}

/// What a piece is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// To be counted.
    Load,
    /// Up: a receipt is wanted, and the body may name the asker's network. Down: the receipt.
    Receipt,
    /// The way still lives; answered in kind.
    Alive,
}

/// A piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// What it is for.
    pub kind: Kind,
    /// Which one it is of its kind, from 0 on.
    pub number: u16,
    /// How many pieces of load have come the other way so far.
    pub received: u16,
    /// At most [`MOST`] bytes; empty in a load.
    pub body: Vec<u8>,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Load, Self::Receipt, Self::Alive];

    fn number(self) -> u8 {
        match self {
            Self::Load => 0,
            Self::Receipt => 1,
            Self::Alive => 2,
        }
    }
}

/// The keys of one question's pieces.
pub struct Climb {
    ours: LessSafeKey,
    theirs: LessSafeKey,
}

impl Climb {
    /// For the side that sends this way.
    pub(super) fn new(root: &Root, question: &Question, way: Way) -> Self {
        let up = aead(&root.derive(&[b"up", question]));
        let down = aead(&root.derive(&[b"down", question]));
        match way {
            Way::Up => Self { ours: up, theirs: down },
            Way::Down => Self { ours: down, theirs: up },
        }
    }

    /// Seals a piece of ours, under a nonce that is drawn for it.
    ///
    /// # Panics
    /// When its body is longer than [`MOST`].
    #[must_use]
    pub fn seal(&self, piece: &Piece) -> [u8; PIECE] {
        assert!(piece.body.len() <= MOST, "a body of at most {MOST} bytes");
        let nonce: [u8; NONCE] = crate::random();
        let mut plain = Vec::with_capacity(PIECE);
        plain.extend([piece.kind.number(), 0]);
        plain.extend(piece.number.to_be_bytes());
        plain.extend(piece.received.to_be_bytes());
        let length = u16::try_from(piece.body.len()).expect("at most a piece");
        plain.extend(length.to_be_bytes());
        plain.extend_from_slice(&piece.body);
        plain.resize(HEADER + MOST, 0);
        let unique = Nonce::assume_unique_for_key(nonce);
        self.ours.seal_in_place_append_tag(unique, Aad::empty(), &mut plain).expect("a piece");
        let mut sealed = [0; PIECE];
        sealed[..NONCE].copy_from_slice(&nonce);
        sealed[NONCE..].copy_from_slice(&plain);
        sealed
    }

    /// Opens a piece of theirs; `None` if anybody else made it, or for another question.
    #[must_use]
    pub fn open(&self, sealed: &[u8; PIECE]) -> Option<Piece> {
        let (nonce, sealed) = sealed.split_first_chunk()?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.theirs.open_in_place(nonce, Aad::empty(), &mut plain).ok()?;
        let (header, body) = plain.split_first_chunk::<HEADER>()?;
        let [kind, _, n0, n1, r0, r1, l0, l1] = *header;
        Some(Piece {
            kind: Kind::ALL.into_iter().find(|known| known.number() == kind)?,
            number: u16::from_be_bytes([n0, n1]),
            received: u16::from_be_bytes([r0, r1]),
            body: body.get(..usize::from(u16::from_be_bytes([l0, l1])))?.to_vec(),
        })
    }
}
