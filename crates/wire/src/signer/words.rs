//! A public key's fingerprint in words, which people can read to each other.

use std::fmt;

use aws_lc_rs::digest;

use super::PublicKey;

/// The English list of BIP-39 (MIT licence; from https://github.com/bitcoin/bips, bip-0039): 2,048
/// words that differ in their first four letters.
const LIST: &str = include_str!("english.txt");
/// How many words are shown: 132 bits of SHA-256.
const COUNT: usize = 12;
const BITS_A_WORD: usize = 11;

/// Twelve words for a public key. To find another key with the same ones takes 2^132 tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint([u16; COUNT]);

impl Fingerprint {
    pub(super) fn of(key: &PublicKey) -> Self {
        let hash = digest::digest(&digest::SHA256, &key.0);
        let bit = |at: usize| u16::from(hash.as_ref()[at / 8] >> (7 - at % 8) & 1);
        let word = |at: usize| {
            (at * BITS_A_WORD..(at + 1) * BITS_A_WORD).fold(0, |word, at| word << 1 | bit(at))
        };
        Self(std::array::from_fn(word))
    }

    /// The words.
    ///
    /// # Panics
    /// Never: the list has 2,048.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.map(|at| LIST.lines().nth(at.into()).expect("2,048 words")).into_iter()
    }
}

/// In one line.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.words().collect();
        f.pad(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_published_one() {
        let hash = digest::digest(&digest::SHA256, LIST.as_bytes());
        assert_eq!(
            data_encoding::HEXLOWER.encode(hash.as_ref()),
            "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
        );
        assert_eq!(LIST.lines().count(), 1 << BITS_A_WORD);
    }

    #[test]
    fn the_words_of_a_key_never_change() {
        let words = PublicKey([7; 32]).fingerprint().to_string();
        // Computed apart from this program.
        let expected = "entry lock toe organ polar memory elite deny inherit luxury mountain human";
        assert_eq!(words, expected);
        assert_ne!(words, PublicKey([8; 32]).fingerprint().to_string());
    }
}
