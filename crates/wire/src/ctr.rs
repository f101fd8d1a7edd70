//! AES-256 in counter mode with a 128-bit big-endian counter, as one endless stream: bytes may be
//! fed in pieces of any size (NIST SP 800-38A, section 6.5).

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};

const BLOCK: usize = 16;

/// A running key stream; applying it encrypts and decrypts alike.
///
/// It keeps the key as it came: expanded, a key of this library takes half a KiB, and thousands of
/// these wait for bytes that do not come. To expand it anew costs less than a microsecond, which is
/// little beside the system call that brought the bytes.
pub struct Ctr {
    key: [u8; 32],
    counter: u128,
    /// Key stream of the block that the last call began, and how much of it is used up.
    begun: [u8; BLOCK],
    used: usize,
}

impl Ctr {
    /// A stream from its start.
    #[must_use]
    pub fn new(key: &[u8; 32], iv: &[u8; 16]) -> Self {
        let counter = u128::from_be_bytes(*iv);
        Self { key: *key, counter, begun: [0; BLOCK], used: BLOCK }
    }

    /// One block of a stream that is most likely nobody's: bytes `16 * block` and after.
    ///
    /// Not wiped from the stack, unlike the expanded keys of others: that would take longer than all the rest, and
    /// nothing is ever encrypted with a key that did not fit.
    pub(crate) fn glimpse(key: &[u8; 32], iv: &[u8; 16], block: u32) -> [u8; BLOCK] {
        let mut stream = Self::new(key, iv);
        stream.counter = stream.counter.wrapping_add(block.into());
        let key = stream.expanded();
        let mut glimpse = [0; BLOCK];
        stream.encrypt_blocks(&key, &mut glimpse);
        std::mem::forget(key);
        glimpse
    }

    /// Combines `data` in place with the next `data.len()` bytes of key stream.
    pub fn apply(&mut self, data: &mut [u8]) {
        let (head, rest) = data.split_at_mut(data.len().min(BLOCK - self.used));
        self.use_begun(head);
        if rest.is_empty() {
            return;
        }
        let key = self.expanded();
        let (whole, tail) = rest.split_at_mut(rest.len() / BLOCK * BLOCK);
        self.encrypt_blocks(&key, whole);
        if !tail.is_empty() {
            let mut begun = [0; BLOCK];
            self.encrypt_blocks(&key, &mut begun);
            self.begun = begun;
            self.used = 0;
            self.use_begun(tail);
        }
    }

    fn expanded(&self) -> EncryptingKey {
        UnboundCipherKey::new(&AES_256, &self.key)
            .and_then(EncryptingKey::ctr)
            .expect("32 bytes are an AES-256 key")
    }

    fn use_begun(&mut self, data: &mut [u8]) {
        for byte in data {
            *byte ^= self.begun[self.used];
            self.used += 1;
        }
    }

    fn encrypt_blocks(&mut self, key: &EncryptingKey, blocks: &mut [u8]) {
        if blocks.is_empty() {
            return;
        }
        let count = (blocks.len() / BLOCK) as u128;
        let context = EncryptionContext::Iv128((&self.counter.to_be_bytes()).into());
        key.less_safe_encrypt(blocks, context).expect("counter mode takes any length");
        self.counter = self.counter.wrapping_add(count);
    }
}

impl std::fmt::Debug for Ctr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ctr(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Ctr;
    use proptest::prelude::*;

    #[test]
    fn the_stream_matches_sp_800_38a_f_5_5() {
        let key = data_encoding::HEXLOWER
            .decode(b"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
            .expect("hex");
        let iv = data_encoding::HEXLOWER.decode(b"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").expect("hex");
        let mut data = data_encoding::HEXLOWER
            .decode(b"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
            .expect("hex");
        let mut ctr =
            Ctr::new(&key.try_into().expect("32 bytes"), &iv.try_into().expect("16 bytes"));
        ctr.apply(&mut data);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&data),
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        );
    }

    proptest! {
        #[test]
        fn any_segmentation_gives_the_same_stream(
            cuts in proptest::collection::vec(0usize..70, 0..20),
            key: [u8; 32],
            iv in prop_oneof![any::<[u8; 16]>(), Just([0xff; 16])],
        ) {
            let mut whole = vec![0x5a; 400];
            let mut pieces = whole.clone();
            Ctr::new(&key, &iv).apply(&mut whole);
            let mut ctr = Ctr::new(&key, &iv);
            let mut rest = pieces.as_mut_slice();
            for cut in cuts {
                let (piece, after) = rest.split_at_mut(cut.min(rest.len()));
                ctr.apply(piece);
                rest = after;
            }
            ctr.apply(rest);
            prop_assert_eq!(&whole, &pieces);
            for (block, part) in (0..).zip(whole.as_chunks::<16>().0) {
                let stream = Ctr::glimpse(&key, &iv, block).map(|byte| byte ^ 0x5a);
                prop_assert_eq!(part, &stream);
            }
        }
    }
}
