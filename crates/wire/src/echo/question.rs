//! Questions and answers.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::dress::Dress;
use super::{Climb, EchoKey, LENGTH, MaskKey, Shape, Transport, Way};
use crate::ctr::Ctr;
use crate::cursor::{Cursor, ip, write_ip};
use crate::derive::{self, Root};

/// How long a stretch of time is in which a bundle has one tag, in seconds.
pub(super) const WINDOW: u32 = 600;
/// How long the random part of a question is.
pub const NONCE: usize = NONCE_LEN;
/// How much of a question is not encrypted: the nonce and the masked tag.
const HEAD: usize = NONCE + 4;
/// How long the tag of AES-GCM is.
const SEAL: usize = 16;
const QUESTION: usize = LENGTH - HEAD - SEAL;
const ANSWER: usize = LENGTH - SEAL;
const VERSION: u8 = 1;
/// How long a network is in a question.
const NEAR: usize = 6;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// How it goes.
    pub transport: Transport,
    /// What it looks like.
    pub shape: Shape,
    /// What was dialled.
    pub relay: SocketAddr,
    /// When, in seconds since 1970. A question that got lost on the way is worth an answer to whoever has
    /// it until this is [`super::SKEW`] ago: who knows the relay's clock, from an answer, dates it
    /// `SKEW - 30` seconds back.
    pub time: u32,
    /// Where from, if that is known: the relay answers nobody else then.
    pub near: Option<Near>,
}

/// A network of 256 IPv4 addresses, or an IPv6 /48: who asks, as a relay saw them when it answered
/// before. Behind some carriers' translators one person has several; they must not name any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Near([u8; NEAR]);

impl Near {
    /// The network that this address is in.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                [0, 0, 0, a, b, c]
            }
            IpAddr::V6(v6) => *v6.octets().first_chunk().expect("6 of 16"),
        })
    }
}

/// What the relay saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Which of its addresses and ports was reached. Behind a translator of addresses a relay sees
    /// another address than was dialled; the port is the same, or somebody rewrites ports.
    pub relay: SocketAddr,
    /// Whom it saw asking, behind all translators.
    pub asker: SocketAddr,
    /// Its time, in seconds since 1970.
    pub time: u32,
    /// Nothing yet: zeros.
    pub reserved: [u8; 8],
}

/// A sealed question, before it is dressed.
pub type Question = [u8; LENGTH];

/// The keys that follow from an echo key.
pub(super) struct Keys {
    question: LessSafeKey,
    root: Root,
}

pub(super) fn aead(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key"))
}

/// A tag of a bundle for a stretch of time.
pub(super) fn tag(key: &[u8; 32], window: u32) -> [u8; 4] {
    first4(&Ctr::glimpse(key, &[0; 16], window))
}

/// What hides a tag: the same nonce never comes twice.
pub(super) fn hide(mask: &[u8; 32], nonce: &[u8; NONCE], tag: [u8; 4]) -> [u8; 4] {
    let mut block = [0; 16];
    block[..NONCE].copy_from_slice(nonce);
    let hidden = first4(&Ctr::glimpse(mask, &block, 0));
    std::array::from_fn(|at| tag[at] ^ hidden[at])
}

fn first4(block: &[u8; 16]) -> [u8; 4] {
    [block[0], block[1], block[2], block[3]]
}

pub(super) fn mask(key: &MaskKey) -> [u8; 32] {
    derive::from_secret(&key.0, &[b"mask"])
}

impl EchoKey {
    pub(super) fn tags(&self) -> [u8; 32] {
        derive::from_secret(&self.0, &[b"tag"])
    }

    pub(super) fn keys(&self) -> Keys {
        let root = Root::of(&self.0);
        Keys { question: aead(&root.derive(&[b"question"])), root }
    }
}

impl Keys {
    pub(super) fn open(&self, question: &Question) -> Option<Wanted> {
        let (head, sealed) = question.split_at(HEAD);
        let mut sealed: [u8; QUESTION + SEAL] = sealed.try_into().ok()?;
        let nonce = Nonce::try_assume_unique_for_key(&head[..NONCE]).ok()?;
        let plain = self.question.open_in_place(nonce, Aad::from(head), &mut sealed).ok()?;
        let (&[version, transport, shape, _], rest) = plain.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let mut rest = Cursor(rest);
        let (transport, shape) = (Transport::of(transport)?, Shape::of(shape)?);
        let (time, relay, near) = (rest.word()?, address(&mut rest)?, rest.array()?);
        let near = Some(Near(near)).filter(|near| near.0 != [0; NEAR]);
        Some(Wanted { transport, shape, relay, time, near })
    }

    /// Answers a question that was opened with these keys.
    pub(super) fn answer(&self, question: &Question, answer: &Answer) -> [u8; LENGTH] {
        let mut plain = Vec::with_capacity(LENGTH);
        plain.extend(answer.time.to_be_bytes());
        put(&mut plain, answer.relay);
        put(&mut plain, answer.asker);
        plain.extend(answer.reserved);
        debug_assert_eq!(plain.len(), ANSWER);
        let key = self.answer_key(question);
        key.seal_in_place_append_tag(nonce_zero(), Aad::empty(), &mut plain).expect("48 bytes");
        plain.try_into().expect("48 bytes and a tag")
    }

    fn read(&self, question: &Question, answer: &[u8; LENGTH]) -> Option<Answer> {
        let mut sealed = *answer;
        let key = self.answer_key(question);
        let plain = key.open_in_place(nonce_zero(), Aad::empty(), &mut sealed).ok()?;
        let mut fields = Cursor(plain);
        Some(Answer {
            time: fields.word()?,
            relay: address(&mut fields)?,
            asker: address(&mut fields)?,
            reserved: fields.array()?,
        })
    }

    pub(super) fn climb(&self, question: &Question, way: Way) -> Climb {
        Climb::new(&self.root, question, way)
    }

    pub(super) fn dress(&self, transport: Transport, shape: Shape, name: &str) -> Dress {
        let is_bare = (transport, shape) == (Transport::Tcp, Shape::Random);
        let pads = is_bare.then(|| self.root.derive(&[b"pads"]));
        Dress::new(transport, shape, name, pads)
    }

    /// Used once, so that its nonce may be 0.
    fn answer_key(&self, question: &Question) -> LessSafeKey {
        aead(&self.root.derive(&[b"answer", question]))
    }
}

fn nonce_zero() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE])
}

/// An address and port in 18 bytes.
fn put(out: &mut Vec<u8>, address: SocketAddr) {
    write_ip(&address.ip(), out);
    out.extend(address.port().to_be_bytes());
}

/// As [`put`] writes them.
fn address(from: &mut Cursor<'_>) -> Option<SocketAddr> {
    Some(SocketAddr::new(ip(from)?, from.short()?))
}

/// Somebody who asks one relay.
pub struct Asker {
    keys: Keys,
    tags: [u8; 32],
    mask: [u8; 32],
}

impl Asker {
    /// With what a bundle says of the relay.
    #[must_use]
    pub fn new(key: &EchoKey, mask: &MaskKey) -> Self {
        Self { keys: key.keys(), tags: key.tags(), mask: self::mask(mask) }
    }

    /// Seals a question. The same nonce must never be given twice, but for the very same question.
    #[must_use]
    pub fn ask(&self, wanted: &Wanted, nonce: [u8; NONCE]) -> Question {
        let tag = hide(&self.mask, &nonce, tag(&self.tags, wanted.time / WINDOW));
        let mut plain = vec![VERSION, wanted.transport.number(), wanted.shape.number(), 0];
        plain.reserve_exact(LENGTH);
        plain.extend(wanted.time.to_be_bytes());
        put(&mut plain, wanted.relay);
        plain.extend(wanted.near.map_or([0; NEAR], |near| near.0));
        debug_assert_eq!(plain.len(), QUESTION);
        let mut question = [0; LENGTH];
        question[..NONCE].copy_from_slice(&nonce);
        question[NONCE..HEAD].copy_from_slice(&tag);
        let aad = Aad::from(&question[..HEAD]);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.keys.question.seal_in_place_append_tag(nonce, aad, &mut plain).expect("32 bytes");
        question[HEAD..].copy_from_slice(&plain);
        question
    }

    /// Reads the answer to this question; `None` if anybody else than the relay wrote it, or if it
    /// answers another one.
    #[must_use]
    pub fn read(&self, question: &Question, answer: &[u8; LENGTH]) -> Option<Answer> {
        self.keys.read(question, answer)
    }

    /// What may follow an answer.
    #[must_use]
    pub fn climb(&self, question: &Question) -> Climb {
        self.keys.climb(question, Way::Up)
    }

    /// How a conversation in this shape looks. `name` is the host that a hello, a request or a query
    /// names: at most [`super::dress::LONGEST_NAME`] bytes of a host's name.
    ///
    /// # Panics
    /// When the name is longer.
    #[must_use]
    pub fn dress(&self, transport: Transport, shape: Shape, name: &str) -> Dress {
        self.keys.dress(transport, shape, name)
    }
}
