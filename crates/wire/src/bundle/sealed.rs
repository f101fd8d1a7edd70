//! A bundle with its signature, as it travels.

use std::fmt;

use super::{Bundle, Refused};
use crate::armour;
use crate::signer::{PublicKey, Purpose, SIGNATURE, Signer};
use crate::tally::Day;
use crate::trusted::Trusted;

const WORD: &str = "jaryq-bundle";
/// The longest there can be, in bytes: 100 endpoints with everything, and 64 cracks.
const MOST: usize = 12 * 1024;

/// A bundle that one signer has signed, whoever that is. It can be looked at; to be used, it has to
/// be trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    bundle: Bundle,
    signer: PublicKey,
    bytes: Vec<u8>,
}

/// Without the bytes, which have secrets in them.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({:?}, by {})", self.bundle, self.signer)
    }
}

impl Sealed {
    pub(super) fn sign(bundle: Bundle, signer: &Signer) -> Self {
        let mut bytes = bundle.write(&signer.public());
        bytes.extend(signer.sign(Purpose::Bundle, &bytes));
        Self { bundle, signer: signer.public(), bytes }
    }

    /// Reads a file, or a message that a bundle stands in.
    ///
    /// # Errors
    /// When there is none in it, or it is not as it was signed.
    pub fn read(text: &str) -> Result<Self, Refused> {
        let (bytes, _) = armour::find(WORD, text, MOST).ok_or(Refused::Absent)?;
        Self::read_bytes(&bytes)
    }

    /// Reads what [`Self::bytes`] gives.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_bytes(bytes: &[u8]) -> Result<Self, Refused> {
        let (body, signature) = bytes
            .split_last_chunk::<SIGNATURE>()
            .ok_or(Refused::Damaged("it is shorter than a signature"))?;
        let (bundle, signer) = Bundle::parse(body)?;
        if !signer.verifies(Purpose::Bundle, body, signature) {
            return Err(Refused::Forged);
        }
        Ok(Self { bundle, signer, bytes: bytes.to_vec() })
    }

    /// Whoever has signed it must be among these, and `now` (Unix seconds) not after its last day.
    ///
    /// # Errors
    /// [`Refused::UnknownSigner`] or [`Refused::Expired`].
    pub fn trust(self, pinned: &[PublicKey], now: u64) -> Result<Trusted<Bundle>, Refused> {
        if !pinned.contains(&self.signer) {
            return Err(Refused::UnknownSigner(self.signer));
        }
        if Day::at(now) > self.bundle.expires {
            return Err(Refused::Expired(self.bundle.expires));
        }
        Ok(Trusted::vouch(self.bundle))
    }

    /// What it says; nothing that may be acted upon.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Who has signed it.
    #[must_use]
    pub fn signer(&self) -> PublicKey {
        self.signer
    }

    /// For programs.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// For files and messages: one line.
    #[must_use]
    pub fn text(&self) -> String {
        armour::text(WORD, &self.bytes)
    }

    /// For a QR code, which holds more of this than of [`Self::text`].
    #[must_use]
    pub fn capitals(&self) -> String {
        armour::capitals(WORD, &self.bytes)
    }
}
