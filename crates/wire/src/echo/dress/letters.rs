//! Bytes as letters (RFC 4648, section 5), of any number: those at the end mean nothing.

use data_encoding::BASE64URL_NOPAD;

/// How many letters so many bytes take.
pub(super) const fn length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// These bytes, and `more` letters of noise.
pub(super) fn encode(bytes: &[u8], more: usize) -> Vec<u8> {
    let letters = length(bytes.len()) + more;
    let noise = super::noise(letters.div_ceil(4) * 3 - bytes.len());
    let mut text = BASE64URL_NOPAD.encode(&[bytes, &noise].concat()).into_bytes();
    text.truncate(letters);
    text
}

/// The bytes that these letters begin with.
pub(super) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let bytes = BASE64URL_NOPAD.decode(text.get(..length(N))?).ok()?;
    bytes.first_chunk().copied()
}

/// Whether it is one of them.
pub(super) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}
