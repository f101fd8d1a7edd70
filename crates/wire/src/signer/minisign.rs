//! Keys and signatures as minisign writes them.
//!
//! A key is `RW` and 54 more letters: base 64 of `Ed`, 8 bytes that name it, and its 32. A signature
//! stands in a file of four lines of its own, `FILE.minisig`, with a comment that it covers too.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;

use super::{PUBLIC, PublicKey, Signer, hash};

const KEY_KIND: &[u8] = b"Ed";
/// Ed25519 over BLAKE2b-512.
const SIGNATURE_KIND: &[u8] = b"ED";
const NAME: usize = 8;

/// As `minisign -P` takes it.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&BASE64.encode(&[KEY_KIND, &self.id(), &self.0].concat()))
    }
}

/// This is no public key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a signer's key has 56 letters and digits and begins with RW, as 'jaryq trust' shows it")]
pub struct BadPublicKey;

/// Reads a key of ours or of minisign's; the last line of its `.pub` file, where it stands in one.
impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, BadPublicKey> {
        let line = text.trim().lines().next_back().unwrap_or_default().trim();
        let bytes = BASE64.decode(line.as_bytes()).map_err(|_| BadPublicKey)?;
        let key = bytes.strip_prefix(KEY_KIND).and_then(|rest| rest.get(NAME..));
        let key: [u8; PUBLIC] = key.ok_or(BadPublicKey)?.try_into().map_err(|_| BadPublicKey)?;
        Ok(Self(key))
    }
}

impl Signer {
    /// The content of `FILE.minisig` for a file. The comment, of one line, is what minisign shows
    /// and vouches for.
    #[must_use]
    pub fn minisig(&self, file: &[u8], comment: &str) -> String {
        let comment: String = comment.chars().filter(|c| !c.is_control()).take(500).collect();
        let signature = self.sign_raw(&hash(&[file]));
        let whole = [SIGNATURE_KIND, &self.public().id(), &signature].concat();
        let of_both = self.sign_raw(&[&signature, comment.as_bytes()].concat());
        format!(
            "untrusted comment: signature of key {}\n{}\ntrusted comment: {comment}\n{}\n",
            self.public(),
            BASE64.encode(&whole),
            BASE64.encode(&of_both)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written_and_as_minisign_writes_it() {
        let key = Signer::from_seed(&[3; 32]).public();
        let text = key.to_string();
        assert!(text.len() == 56 && text.starts_with("RW"), "{text}");
        assert_eq!(text.parse(), Ok(key));
        let file = format!("untrusted comment: minisign public key 1\n{text}\n");
        assert_eq!(file.parse(), Ok(key));
        for bad in ["", "RW", &text[..55], &text.replace("RW", "AW"), &format!("{text}AAAA")] {
            assert_eq!(bad.parse::<PublicKey>(), Err(BadPublicKey), "{bad}");
        }
    }
}
