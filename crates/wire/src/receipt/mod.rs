//! A receipt: what a relay signs for whoever has shown that one of its ports is reached, and how. It
//! says nothing of the person, and no address; others can check it, and a censor cannot make one for
//! a port where nothing arrives.
//!
//! ```text
//! 1   version: 1                                         │ 1   kind: the way's (wire::crack::Passage),
//! 8   which signer: the beginning of its key's SHA-256   │         bits 5-6: rung, 7: network was told
//! 32  the relay's own public key     ┐                   │     network, if known
//! 8   its tag, from its mask key     │ certified by      │ 2   port
//! 2   last day of the certificate    ┘ the signer        │ 3   hour
//! 64  that signature                                     │ 64  the relay's signature of all this
//! ```
//!
//! The tag says of which relay it is to whoever has a bundle with that relay, and to nobody else. Two
//! people in one network, at one port, in one hour have the same receipt to the last bit: it counts
//! once, and names neither.

use std::fmt;

use crate::armour;
use crate::bundle::Endpoint;
use crate::crack::{Hour, Passage};
use crate::cursor::Cursor;
use crate::derive;
use crate::echo::MaskKey;
use crate::signer::{PublicKey, Purpose, SIGNATURE, Signer};
use crate::tally::Day;
use crate::trusted::Trusted;

/// The longest one, in bytes.
pub const LONGEST: usize = 202;

const VERSION: u8 = 1;
const WORD: &str = "jaryq-receipt";
/// How many hours a relay's clock may be ahead of its reader's.
const AHEAD: u32 = 2;

/// How far somebody climbed at a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rung {
    /// The echo was answered.
    Echo,
    /// 64 KiB passed each way.
    Through,
    /// It still passed after 60 seconds.
    Alive,
}

impl Rung {
    /// All there are, the lowest first.
    pub const ALL: [Self; 3] = [Self::Echo, Self::Through, Self::Alive];

    /// `echo`, `through` or `alive`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Through => "through",
            Self::Alive => "alive",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Echo => 0,
            Self::Through => 1,
            Self::Alive => 2,
        }
    }

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|rung| rung.number() == number)
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which relay, to whoever has a bundle with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RelayTag(pub [u8; 8]);

impl RelayTag {
    /// That of the relay whose mask key this is.
    #[must_use]
    pub fn of(mask: &MaskKey) -> Self {
        Self(derive::from_secret(&mask.0, &[b"receipt tag"]))
    }
}

/// What a receipt says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Statement {
    /// The way that was taken.
    pub passage: Passage,
    /// Whether the network is the person's word, and not what the relay looked up.
    pub is_told: bool,
    /// When.
    pub hour: Hour,
    /// How far.
    pub rung: Rung,
}

/// The signer's word for a relay's key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Certificate {
    signer: [u8; 8],
    relay: PublicKey,
    tag: RelayTag,
    expires: Day,
    signature: [u8; SIGNATURE],
}

impl Certificate {
    /// Certifies the key with which a relay signs receipts, until the end of a day.
    #[must_use]
    pub fn issue(signer: &Signer, relay: PublicKey, mask: &MaskKey, expires: Day) -> Self {
        let tag = RelayTag::of(mask);
        let expires = Day(expires.0.clamp(0, u16::MAX.into()));
        let mut certificate =
            Self { signer: signer.public().id(), relay, tag, expires, signature: [0; SIGNATURE] };
        certificate.signature = signer.sign(Purpose::Certificate, &certificate.said());
        certificate
    }

    /// 8 bytes of the signer's hash, then what it has signed, then that signature.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.signer);
        out.extend(self.said());
        out.extend(self.signature);
    }

    /// The inverse of [`Self::write`]; the signature is not checked.
    pub(crate) fn read(from: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            signer: from.array()?,
            relay: PublicKey(from.array()?),
            tag: RelayTag(from.array()?),
            expires: Day(from.short()?.into()),
            signature: from.array()?,
        })
    }

    fn said(&self) -> Vec<u8> {
        let expires = u16::try_from(self.expires.0).unwrap_or(u16::MAX).to_be_bytes();
        [&self.relay.0[..], &self.tag.0, &expires].concat()
    }
}

/// A relay that signs receipts.
#[derive(Debug)]
pub struct Witness {
    key: Signer,
    certificate: Certificate,
}

/// This certificate is another relay's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the certificate is for another relay's key")]
pub struct NotMine;

impl Witness {
    /// The relay whose receipt key this is and to whom the certificate was issued.
    ///
    /// # Errors
    /// When it was issued to another.
    pub fn new(key: Signer, certificate: Certificate) -> Result<Self, NotMine> {
        if key.public() != certificate.relay {
            return Err(NotMine);
        }
        Ok(Self { key, certificate })
    }

    /// Signs; what comes has at most [`LONGEST`] bytes, and is always the same for the same words.
    #[must_use]
    pub fn sign(&self, statement: &Statement) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.certificate.write(&mut out);
        let more = statement.rung.number() | u8::from(statement.is_told) << 2;
        statement.passage.write(more, &mut out);
        out.extend(statement.hour.bytes());
        out.extend(self.key.sign(Purpose::Receipt, &out));
        out
    }
}

/// Why a receipt does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Worthless {
    /// It is none, or cut short.
    #[error("this is no receipt, or not a whole one")]
    Damaged,
    /// A newer version has made it.
    #[error("this receipt was made by a newer version of jaryq (format {0})")]
    Newer(u8),
    /// Nobody who is trusted has certified the relay.
    #[error("this receipt is of a relay that nobody whom you trust vouches for")]
    UnknownSigner,
    /// A signature is wrong.
    #[error("this receipt was changed after it was signed, or is a forgery")]
    Forged,
    /// It is from the future, or the relay was not certified any more.
    #[error("this receipt is from a time when its relay could not have signed it")]
    Time,
}

/// A relay's word that a way carried traffic.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Receipt {
    certificate: Certificate,
    statement: Statement,
}

impl Receipt {
    /// Reads a receipt, whoever has signed it; nothing is checked yet but its form.
    ///
    /// # Errors
    /// [`Worthless::Damaged`] or [`Worthless::Newer`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Worthless> {
        match bytes.first() {
            Some(&VERSION) => Self::fields(&mut Cursor(&bytes[1..])).ok_or(Worthless::Damaged),
            None | Some(0) => Err(Worthless::Damaged),
            Some(newer) => Err(Worthless::Newer(*newer)),
        }
    }

    fn fields(from: &mut Cursor<'_>) -> Option<Self> {
        let certificate = Certificate::read(from)?;
        let (passage, more) = Passage::read(from)?;
        let (rung, is_told) = (Rung::of(more & 3)?, more >> 2 == 1);
        let statement = Statement { passage, is_told, hour: Hour::read(from)?, rung };
        from.array::<SIGNATURE>()?;
        from.0.is_empty().then_some(Self { certificate, statement })
    }

    /// Reads a receipt and checks it against the signers whom somebody has pinned, at `now` (Unix
    /// seconds). How old it may be is for its reader to say.
    ///
    /// # Errors
    /// [`Worthless`].
    pub fn open(bytes: &[u8], pinned: &[PublicKey], now: u64) -> Result<Trusted<Self>, Worthless> {
        let receipt = Self::parse(bytes)?;
        let Self { certificate, statement } = &receipt;
        let named = pinned.iter().filter(|key| key.id() == certificate.signer);
        let mut named = named.peekable();
        if named.peek().is_none() {
            return Err(Worthless::UnknownSigner);
        }
        let (said, signature) = bytes.split_last_chunk::<SIGNATURE>().ok_or(Worthless::Damaged)?;
        let certified = |key: &PublicKey| {
            key.verifies(Purpose::Certificate, &certificate.said(), &certificate.signature)
        };
        let is_signed = certificate.relay.verifies(Purpose::Receipt, said, signature);
        if !is_signed || !named.any(certified) {
            return Err(Worthless::Forged);
        }
        let was_certified = Day::at(statement.hour.start()) <= certificate.expires;
        if !was_certified || statement.hour.0 > Hour::at(now).0.saturating_add(AHEAD) {
            return Err(Worthless::Time);
        }
        Ok(Trusted::vouch(receipt))
    }

    /// The receipts in a report, or in whatever text they stand in; at most `most`, and each once.
    pub fn find(text: &str, most: usize) -> Vec<Vec<u8>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut rest = text;
        while found.len() < most
            && let Some((bytes, after)) = armour::find(WORD, rest, LONGEST)
        {
            if !found.contains(&bytes) {
                found.push(bytes);
            }
            rest = after;
        }
        found
    }

    /// As it stands in reports and messages.
    #[must_use]
    pub fn text(bytes: &[u8]) -> String {
        armour::text(WORD, bytes)
    }

    /// What it says.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Which relay has signed it.
    #[must_use]
    pub fn tag(&self) -> RelayTag {
        self.certificate.tag
    }

    /// Whether it is of this endpoint's relay; it counts for no other.
    #[must_use]
    pub fn is_of(&self, endpoint: &Endpoint) -> bool {
        self.tag() == RelayTag::of(&endpoint.mask_key)
    }
}

#[cfg(test)]
mod tests;
