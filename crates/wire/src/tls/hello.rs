//! A client's hello: the first record of a TLS connection (RFC 8446, section 4.1.2).

use super::record::{HANDSHAKE, HEADER};

/// The largest hello record that is read: a whole record of the largest size that TLS allows.
pub const MAX_RECORD: usize = HEADER + 16_384;
/// Where the 32 random bytes stand in the record.
pub const RANDOM: std::ops::Range<usize> = 11..43;

/// The group of a key share, as it is numbered in TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group(pub u16);

/// X25519 (RFC 8446, section 4.2.7): a share is a public key of 32 bytes.
pub const X25519: Group = Group(0x001d);
/// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): a client's share is an ML-KEM-768 key of 1,184 bytes
/// and an X25519 key.
pub const X25519_MLKEM768: Group = Group(0x11ec);

/// Bytes that begin like a hello, as far as they go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prefix {
    /// No hello begins like that.
    Impossible,
    /// All of it fits so far; more is to come.
    Partial,
    /// The first `0` bytes are the hello's record.
    Whole(usize),
}

/// Looks at the fixed fields of a hello's record, as far as they are there.
#[must_use]
#[inline]
pub fn prefix(bytes: &[u8]) -> Prefix {
    let length = |high: usize| match (bytes.get(high), bytes.get(high + 1)) {
        (Some(&high), Some(&low)) => Some(usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    };
    // What a byte may be, where it is there already.
    let fits = |at: usize, allowed: std::ops::RangeInclusive<u8>| {
        bytes.get(at).is_none_or(|byte| allowed.contains(byte))
    };
    let fixed = fits(0, HANDSHAKE..=HANDSHAKE)
        && fits(1, 3..=3)
        && fits(2, 1..=3)
        && fits(3, 0..=0x40)
        && fits(5, 1..=1)
        && fits(6, 0..=0)
        && fits(9, 3..=3)
        && fits(10, 3..=3);
    if !fixed {
        return Prefix::Impossible;
    }
    let Some(record) = length(3) else {
        return Prefix::Partial;
    };
    if record + HEADER > MAX_RECORD
        || record < 43
        || length(7).is_some_and(|body| body + 4 != record)
    {
        return Prefix::Impossible;
    }
    if bytes.len() < HEADER + record {
        return Prefix::Partial;
    }
    Prefix::Whole(HEADER + record)
}

/// A client's hello, read.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    /// The whole record, header included.
    pub record: &'a [u8],
    /// The client's random bytes.
    pub random: &'a [u8; 32],
    /// The session id, which a TLS 1.3 server repeats.
    pub session_id: &'a [u8],
    /// The cipher suites on offer, two bytes each.
    ciphers: &'a [u8],
    /// The host that the client says it wants.
    pub server_name: Option<&'a str>,
    /// The key shares on offer, each a group, a length and a key.
    shares: &'a [u8],
    /// Whether the client would go on with an earlier session (RFC 8446, section 4.2.11), to which a
    /// server need sign nothing.
    pub resumes: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads a record that [`prefix`] found whole. What is not understood is passed over, what does
    /// not add up gives `None`.
    #[must_use]
    pub fn read(record: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(record.get(HEADER + 6..)?);
        let random = fields.take(32)?.try_into().ok()?;
        let session_id = fields.short_list()?;
        let ciphers = fields.list()?;
        let _compression = fields.short_list()?;
        let mut hello = Self {
            record,
            random,
            session_id,
            ciphers,
            server_name: None,
            shares: &[],
            resumes: false,
        };
        let mut extensions = Fields(fields.list()?);
        while !extensions.0.is_empty() {
            let kind = extensions.number()?;
            let mut body = Fields(extensions.list()?);
            match kind {
                0x0000 => hello.server_name = server_name(&mut body),
                0x0029 => hello.resumes = true,
                0x0033 => hello.shares = body.list()?,
                _ => {}
            }
        }
        Some(hello)
    }

    /// Whether the client offers this cipher suite.
    #[must_use]
    pub fn offers(&self, cipher: u16) -> bool {
        self.ciphers.as_chunks().0.iter().any(|&offered| u16::from_be_bytes(offered) == cipher)
    }

    /// The client's key for a group, if it sent one.
    #[must_use]
    pub fn share(&self, group: Group) -> Option<&'a [u8]> {
        let mut shares = Fields(self.shares);
        loop {
            let offered = Group(shares.number()?);
            let key = shares.list()?;
            if offered == group {
                return Some(key);
            }
        }
    }
}

fn server_name<'a>(body: &mut Fields<'a>) -> Option<&'a str> {
    let mut names = Fields(body.list()?);
    let kind = names.take(1)?;
    let name = names.list()?;
    (kind == [0]).then(|| std::str::from_utf8(name).ok())?
}

/// Bytes that are read field by field; none is ever read beyond the end.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A field with its length in one byte before it.
    pub(super) fn short_list(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }

    /// A field with its length in two bytes before it.
    pub(super) fn list(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    /// A hello with one cipher suite, a server name and a key share, made by hand.
    const HELLO: &str = concat!(
        "1603010075010000710303",
        "0101010101010101010101010101010101010101010101010101010101010101",
        "20",
        "0202020202020202020202020202020202020202020202020202020202020202",
        "00021301",
        "0100",
        "0026",
        "0000000b0009000006612e74657374",
        "003300130011",
        "aaaa000100",
        "001d0008",
        "0303030303030303",
    );

    fn hello() -> Vec<u8> {
        HEXLOWER.decode(HELLO.as_bytes()).expect("hex")
    }

    #[test]
    fn a_hello_is_read() {
        let bytes = hello();
        assert_eq!(prefix(&bytes), Prefix::Whole(bytes.len()));
        let hello = ClientHello::read(&bytes).expect("a hello");
        assert_eq!(hello.random, &[1; 32]);
        assert_eq!(hello.session_id, &[2; 32]);
        assert_eq!(hello.server_name, Some("a.test"));
        assert!(hello.offers(0x1301) && !hello.offers(0x1302));
        assert_eq!(hello.share(X25519), Some(&[3; 8][..]));
        assert_eq!(hello.share(X25519_MLKEM768), None);
        assert!(!hello.resumes);
        // The same length, but of another kind.
        let shares = bytes.windows(4).position(|four| four == [0, 0x33, 0, 0x13]).expect("there");
        let mut bytes = bytes.clone();
        bytes[shares + 1] = 0x29;
        let resuming = ClientHello::read(&bytes).expect("a hello");
        assert!(resuming.resumes);
    }

    #[test]
    fn every_part_of_a_hello_is_partial_and_no_part_is_taken_for_whole() {
        let bytes = hello();
        for cut in 0..bytes.len() {
            assert_eq!(prefix(&bytes[..cut]), Prefix::Partial, "{cut} bytes");
        }
    }

    #[test]
    fn what_differs_in_a_fixed_field_is_no_hello() {
        for at in [0, 1, 2, 3, 5, 6, 7, 8, 9, 10] {
            let mut bytes = hello();
            bytes[at] ^= 0x80;
            assert_eq!(prefix(&bytes), Prefix::Impossible, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_hello_is_read_or_refused_and_nothing_else(
            damage in proptest::collection::vec((0usize..200, any::<u8>()), 1..8),
            cut in 0usize..200,
        ) {
            let mut bytes = hello();
            for (at, byte) in damage {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(cut.max(1));
            if let Some(hello) = ClientHello::read(&bytes) {
                let _ = (hello.offers(1), hello.share(X25519_MLKEM768));
            }
        }
    }
}
