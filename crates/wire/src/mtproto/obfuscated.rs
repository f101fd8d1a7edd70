//! obfuscated2: 64 bytes that look random, and an AES-CTR stream each way after them.
//! Source: Telegram's "MTProto transports, transport obfuscation"; TDLib's `TcpTransport.cpp`.
//!
//! ```text
//!  0..8    random         8..40  key        40..56  IV
//! 56..60   tag           60..62  DC id      62..64  random      (56..64 are sent encrypted)
//! ```
//! The client's stream has this key and IV; the other direction has those of the same 56 bytes
//! reversed. With a secret, each key is SHA-256(key ‖ secret); towards a datacentre it is used raw.

use aws_lc_rs::digest;

use super::DcId;
use crate::ctr::Ctr;
use crate::derive::Secret;

/// How long the first flight is.
pub const LENGTH: usize = 64;

/// How messages are framed inside; a relay passes the framing on untouched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tag {
    /// One length byte.
    Abridged,
    /// Four length bytes.
    Intermediate,
    /// Four length bytes and random padding: what `dd` and `ee` links ask for.
    Padded,
}

impl Tag {
    fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        match bytes {
            [0xef, 0xef, 0xef, 0xef] => Some(Self::Abridged),
            [0xee, 0xee, 0xee, 0xee] => Some(Self::Intermediate),
            [0xdd, 0xdd, 0xdd, 0xdd] => Some(Self::Padded),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Abridged => 0xef,
            Self::Intermediate => 0xee,
            Self::Padded => 0xdd,
        }
    }
}

/// The key and IV of one direction, as they stand in the 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Material {
    key: [u8; 32],
    iv: [u8; 16],
}

impl Material {
    fn forward(flight: &[u8; LENGTH]) -> Self {
        let (mut key, mut iv) = ([0; 32], [0; 16]);
        key.copy_from_slice(&flight[8..40]);
        iv.copy_from_slice(&flight[40..56]);
        Self { key, iv }
    }

    /// The other direction's: the same 48 bytes, read from the end.
    fn backward(flight: &[u8; LENGTH]) -> Self {
        let mut reversed = *flight;
        reversed[8..56].reverse();
        Self::forward(&reversed)
    }

    fn mixed_with(self, secret: Option<&Secret>) -> Self {
        let Some(secret) = secret else { return self };
        let mut salted = [0; 48];
        salted[..32].copy_from_slice(&self.key);
        salted[32..].copy_from_slice(&secret.0);
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, &salted).as_ref());
        Self { key, iv: self.iv }
    }

    fn stream(&self) -> Ctr {
        Ctr::new(&self.key, &self.iv)
    }
}

/// A client's first 64 bytes, understood.
#[derive(Debug)]
pub struct Opened {
    /// The framing that both sides use inside.
    pub tag: Tag,
    /// The datacentre that the client wants.
    pub dc: DcId,
    /// Decrypts what the client sends next.
    pub from_client: Ctr,
    /// What the client expects to be answered with: see [`Opened::to_client`] and [`Dial::fast`].
    answer: Material,
}

impl Opened {
    /// Encrypts what is sent to the client.
    #[must_use]
    pub fn to_client(&self) -> Ctr {
        self.answer.stream()
    }
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Material(..)")
    }
}

/// A client's first 64 bytes, on which one secret after another is tried.
#[derive(Debug)]
pub struct Trial {
    material: Material,
    /// Encrypted, as it came.
    tag: [u8; 4],
}

impl Trial {
    /// Takes what is needed of the 64 bytes.
    #[must_use]
    pub fn new(flight: &[u8; LENGTH]) -> Self {
        let tag = [flight[56], flight[57], flight[58], flight[59]];
        Self { material: Material::forward(flight), tag }
    }

    /// Whether [`open`] would open the flight with this secret; takes half as long.
    #[must_use]
    pub fn fits(&self, secret: &Secret) -> bool {
        let Material { key, iv } = self.material.mixed_with(Some(secret));
        // The tag stands in the middle of the fourth block.
        let stream = Ctr::glimpse(&key, &iv, 3);
        let mut tag = self.tag;
        tag.iter_mut().zip(&stream[8..]).for_each(|(byte, mask)| *byte ^= mask);
        Tag::from_bytes(tag).is_some()
    }
}

/// Tries one secret on a client's first 64 bytes. `None` is a datacentre's way: the key as it is.
///
/// A wrong secret is taken for the right one by a chance of three in 2³².
#[must_use]
pub fn open(flight: &[u8; LENGTH], secret: Option<&Secret>) -> Option<Opened> {
    let mut from_client = Material::forward(flight).mixed_with(secret).stream();
    let mut plain = *flight;
    from_client.apply(&mut plain);
    let tag = Tag::from_bytes([plain[56], plain[57], plain[58], plain[59]])?;
    Some(Opened {
        tag,
        dc: DcId(i16::from_le_bytes([plain[60], plain[61]])),
        from_client,
        answer: Material::backward(flight).mixed_with(secret),
    })
}

/// One end's opening of a connection: the 64 bytes to send first, and the streams after them.
#[derive(Debug)]
pub struct Dial {
    /// To be sent as they are.
    pub flight: [u8; LENGTH],
    /// Encrypts what is sent next.
    pub to_server: Ctr,
    /// Decrypts what comes back.
    pub from_server: Ctr,
}

impl Dial {
    /// Opens a connection as a client would: with a link's secret towards a relay, with none
    /// towards a datacentre.
    #[must_use]
    pub fn new(tag: Tag, dc: DcId, secret: Option<&Secret>) -> Self {
        let mut flight = [0; LENGTH];
        loop {
            crate::fill_random(&mut flight);
            if may_be_sent(&flight) {
                return Self::from_random(flight, tag, dc, secret);
            }
        }
    }

    /// Opens a connection to a datacentre in such a way that what it sends back is already
    /// encrypted as `client` expects: nothing need be decrypted or encrypted on the way down. (The
    /// other implementations call this fast mode.)
    #[must_use]
    pub fn fast(client: &Opened) -> Self {
        let mut flight = [0; LENGTH];
        loop {
            crate::fill_random(&mut flight);
            flight[8..40].copy_from_slice(&client.answer.key);
            flight[40..56].copy_from_slice(&client.answer.iv);
            flight[8..56].reverse();
            if may_be_sent(&flight) {
                return Self::from_random(flight, client.tag, client.dc, None);
            }
        }
    }

    /// Opens a connection with random bytes that were chosen elsewhere, such as those of a vector;
    /// the tag and the id take their places among them. It is not checked whether they may be sent.
    #[must_use]
    pub fn from_random(
        mut flight: [u8; LENGTH],
        tag: Tag,
        dc: DcId,
        secret: Option<&Secret>,
    ) -> Self {
        flight[56..60].fill(tag.byte());
        flight[60..62].copy_from_slice(&dc.0.to_le_bytes());
        let mut to_server = Material::forward(&flight).mixed_with(secret).stream();
        let from_server = Material::backward(&flight).mixed_with(secret).stream();
        let mut encrypted = flight;
        to_server.apply(&mut encrypted);
        flight[56..].copy_from_slice(&encrypted[56..]);
        Self { flight, to_server, from_server }
    }
}

/// Whether a server will not mistake these bytes for one of the other transports.
fn may_be_sent(flight: &[u8; LENGTH]) -> bool {
    const TAKEN: [[u8; 4]; 7] =
        [*b"HEAD", *b"POST", *b"GET ", *b"OPTI", [0xee; 4], [0xdd; 4], [0x16, 0x03, 0x01, 0x02]];
    flight[0] != 0xef
        && !TAKEN.iter().any(|taken| flight.starts_with(taken))
        && flight[4..8] != [0; 4]
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    const KEY: Secret = Secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

    struct Vector {
        random: &'static str,
        tag: Tag,
        dc: i16,
        secret: Option<Secret>,
        last_eight: &'static str,
        up: &'static str,
        down: &'static str,
    }

    /// Checked in both directions against two other proxies and TDLib.
    const VECTORS: [Vector; 3] = [
        Vector {
            random: "51967affd5ef50af79a5da3164bc440c49f3be395470e0293bc7ca9aacac3239d07afa86b4f7b0924b27e532f3e3e89f1f5c2fe8622e7f4c545b9312d5004055",
            tag: Tag::Intermediate,
            dc: 2,
            secret: None,
            last_eight: "0f25e08b2f6c0b12",
            up: "9d8c9c8aa9efbd30a415ab2322c56121",
            down: "5428fe6f6daedcd0aeae12653dedc0d8",
        },
        Vector {
            random: "64f0ef8a5e2b422ad0959e603a92dd6c0da665edeac0e15b7096e6d3d120e9b2513bb5118d4c28335bceeb7779e4c214f6e80aeedf101bdb245b2c31aef7965c",
            tag: Tag::Padded,
            dc: -4,
            secret: Some(KEY),
            last_eight: "947c84c7cac85691",
            up: "dc8622fc99ce4c9f0138cf43d6d1b2fc",
            down: "4451d3af8947ca068c605c08db5b841a",
        },
        Vector {
            random: "872451f52506d0a609e710dc1b4a8e239c6a19ad3f6d2f5718ea11cf0342df7aa64b83af25f832c62f1532a869a1a0d6dbdec5119d131c2f5749dc753954de71",
            tag: Tag::Abridged,
            dc: 203,
            secret: Some(KEY),
            last_eight: "7f0aff7ba4914169",
            up: "de1507793c0249d815b0640459ae2367",
            down: "38812db5018a793f991104430fe58e31",
        },
    ];

    fn keystream(ctr: &mut Ctr) -> String {
        let mut zeros = [0; 16];
        ctr.apply(&mut zeros);
        HEXLOWER.encode(&zeros)
    }

    #[test]
    fn both_ends_agree_with_the_vectors() {
        for vector in VECTORS {
            let random = HEXLOWER.decode(vector.random.as_bytes()).expect("hex");
            let random: [u8; LENGTH] = random.try_into().expect("64 bytes");
            let secret = vector.secret.as_ref();
            let mut dial = Dial::from_random(random, vector.tag, DcId(vector.dc), secret);
            assert_eq!(HEXLOWER.encode(&dial.flight[56..]), vector.last_eight);

            let mut opened = open(&dial.flight, secret).expect("the secret fits");
            let trial = Trial::new(&dial.flight);
            assert!(secret.is_none_or(|secret| trial.fits(secret)));
            assert_eq!((opened.tag, opened.dc), (vector.tag, DcId(vector.dc)));
            assert_eq!(keystream(&mut opened.from_client), vector.up);
            assert_eq!(keystream(&mut dial.to_server), vector.up);
            assert_eq!(keystream(&mut opened.to_client()), vector.down);
            assert_eq!(keystream(&mut dial.from_server), vector.down);
        }
    }

    #[test]
    fn a_wrong_secret_opens_nothing() {
        let dial = Dial::new(Tag::Padded, DcId(2), Some(&KEY));
        assert!(open(&dial.flight, Some(&Secret([9; 16]))).is_none());
        assert!(!Trial::new(&dial.flight).fits(&Secret([9; 16])));
        assert!(open(&dial.flight, None).is_none());
    }

    #[test]
    fn in_fast_mode_the_datacentre_writes_what_the_client_reads() {
        let mut client = Dial::new(Tag::Padded, DcId(-4), Some(&KEY));
        let at_relay = open(&client.flight, Some(&KEY)).expect("the secret fits");
        let onward = Dial::fast(&at_relay);
        let at_datacentre = open(&onward.flight, None).expect("no secret is needed");
        assert_eq!((at_datacentre.tag, at_datacentre.dc), (Tag::Padded, DcId(-4)));
        assert_eq!(keystream(&mut at_datacentre.to_client()), keystream(&mut client.from_server));
    }

    #[test]
    fn what_looks_like_another_transport_is_never_sent() {
        let mut flight = [0x55; LENGTH];
        assert!(may_be_sent(&flight));
        flight[4..8].fill(0);
        assert!(!may_be_sent(&flight));
        for start in [&b"GET "[..], &[0xef], &[0x16, 3, 1, 2], &[0xdd; 4]] {
            let mut flight = [0x55; LENGTH];
            flight[..start.len()].copy_from_slice(start);
            assert!(!may_be_sent(&flight), "{start:?}");
        }
    }
}
