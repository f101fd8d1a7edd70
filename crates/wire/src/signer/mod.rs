//! Who signs bundles and receipts: Ed25519 (RFC 8032), over the BLAKE2b-512 of what is signed.
//!
//! That is how [minisign](https://jedisct1.github.io/minisign/) signs, so that its keys and ours are
//! written alike, and it checks what we sign. (It also takes what earlier versions of it signed,
//! without BLAKE2b; some of its kin no longer do.)
//!
//! Whoever reads something pins its signer once, by the words of [`Fingerprint`].

mod minisign;
mod words;

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};

pub use minisign::BadPublicKey;
pub use words::Fingerprint;

/// How long a public key is, in bytes.
pub const PUBLIC: usize = 32;
/// How long a signature is, in bytes.
pub const SIGNATURE: usize = 64;

/// What is signed begins with this, so that a signature of one kind is worth nothing as another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// A bundle, as the organisers sign it.
    Bundle,
    /// A relay's own key, which signs receipts.
    Certificate,
    /// A receipt, as the relay signs it.
    Receipt,
    /// What a relay is to do, as its hub signs it.
    Order,
}

impl Purpose {
    /// With a zero byte at the end, which no text has: files that are signed in minisign's manner
    /// have no such beginning, and are text.
    fn tag(self) -> &'static [u8] {
        match self {
            Self::Bundle => b"jaryq bundle\0",
            Self::Certificate => b"jaryq certificate\0",
            Self::Receipt => b"jaryq receipt\0",
            Self::Order => b"jaryq order\0",
        }
    }
}

/// Somebody's public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; PUBLIC]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl PublicKey {
    /// What a person compares.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }

    /// What stands for the key where 32 bytes are too many.
    ///
    /// # Panics
    /// Never: SHA-256 has 32 bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 8] {
        let hash = digest::digest(&digest::SHA256, &self.0);
        *hash.as_ref().first_chunk().expect("32 bytes")
    }

    pub(crate) fn verifies(&self, purpose: Purpose, said: &[u8], signature: &[u8]) -> bool {
        let message = hash(&[purpose.tag(), said]);
        ParsedPublicKey::new(&ED25519, self.0)
            .is_ok_and(|key| key.verify_sig(&message, signature).is_ok())
    }
}

/// Somebody's secret key.
pub struct Signer(Ed25519KeyPair);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

impl Signer {
    /// From the 32 secret bytes that everything else follows from.
    ///
    /// # Panics
    /// Never: all 32 bytes make a key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes make a key"))
    }

    /// What others check its signatures with.
    ///
    /// # Panics
    /// Never: a public key is 32 bytes.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().try_into().expect("32 bytes"))
    }

    pub(crate) fn sign(&self, purpose: Purpose, said: &[u8]) -> [u8; SIGNATURE] {
        self.sign_raw(&hash(&[purpose.tag(), said]))
    }

    fn sign_raw(&self, message: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(message).as_ref().try_into().expect("64 bytes")
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 64] {
    let mut state = blake2b_simd::State::new();
    for part in parts {
        state.update(part);
    }
    *state.finalize().as_array()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_one_purpose_and_one_text() {
        let (ours, theirs) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
        let signature = ours.sign(Purpose::Bundle, b"text");
        assert!(ours.public().verifies(Purpose::Bundle, b"text", &signature));
        assert!(!theirs.public().verifies(Purpose::Bundle, b"text", &signature));
        assert!(!ours.public().verifies(Purpose::Receipt, b"text", &signature));
        assert!(!ours.public().verifies(Purpose::Bundle, b"test", &signature));
        assert!(!ours.public().verifies(Purpose::Bundle, b"text", &signature[1..]));
        assert!(!PublicKey([0xff; 32]).verifies(Purpose::Bundle, b"text", &signature));
    }

    #[test]
    fn the_key_of_a_seed_is_what_rfc_8032_says() {
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hex");
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signer = Signer::from_seed(&seed.try_into().expect("32 bytes"));
        assert_eq!(signer.public().0.to_vec(), public);
    }
}
