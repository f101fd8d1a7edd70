//! How every secret of a relay follows from one key, and how a key is found again among 100,000.
//!
//! ```text
//! fleet key ──┬── relay key      = HKDF(fleet key, relay id)
//!             └── pseudonym      = HKDF(fleet key, "id" ‖ relay id ‖ person)      (a [`KeyId`])
//! fleet key ──┬── signer         = HKDF(fleet key, "signer")                    (of bundles)
//!             └── room           = HKDF(fleet key, "room")                      (the hub's path)
//! relay key ──┬── secret         = HKDF(relay key, form ‖ pseudonym ‖ epoch)
//!             ├── echo key       = HKDF(relay key, "echo" ‖ bundle)
//!             ├── receipt key    = HKDF(relay key, "receipts")                    (signs them)
//!             ├── hub key        = HKDF(relay key, "hub")                         (of its heartbeats)
//!             └── bucket         = HKDF(relay key, pseudonym ‖ epoch)             (its port, its label)
//! ```
//!
//! So a relay holds only secrets that are valid on itself, two relays cannot join their records,
//! one form's secret says nothing of another's, and epochs end. A relay without a hub keeps the
//! fleet key itself and plays both parts.
//!
//! HKDF is RFC 5869 with SHA-256 and no salt; every part of its info is preceded by its length, so
//! that no two different lists of parts give the same bytes.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use aws_lc_rs::{hkdf, hmac};
use data_encoding::{Encoding, HEXLOWER, Specification};

use crate::echo::{BundleId, EchoKey, MaskKey};
use crate::signer::Signer;

/// How many buckets the keys of a relay fall into: enough that a bucket is searched in
/// microseconds, few enough that a bucket holds many people and so names none.
pub const BUCKETS: u16 = 1024;

/// Where the buckets' ports lie: above the privileged ports, below the ephemeral ones, so that
/// neither a system service nor an outgoing connection wants them.
const BUCKET_PORTS: std::ops::Range<u16> = 1024..32_768;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key from which others follow, extracted once: that is half the work of deriving one.
fn root(key: &[u8]) -> hkdf::Prk {
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(key)
}

fn derive<const N: usize>(root: &hkdf::Prk, parts: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    expand(root, parts, &mut out);
    out
}

/// A secret from which several things follow, extracted once.
#[derive(Clone)]
pub(crate) struct Root(hkdf::Prk);

impl Root {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(root(secret))
    }

    pub(crate) fn derive<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        derive(&self.0, parts)
    }
}

/// What follows from a secret that is no relay's key.
pub(crate) fn from_secret<const N: usize>(secret: &[u8], parts: &[&[u8]]) -> [u8; N] {
    derive(&root(secret), parts)
}

/// `out` takes at most 8,160 bytes (255 blocks of SHA-256, RFC 5869).
fn expand(root: &hkdf::Prk, parts: &[&[u8]], out: &mut [u8]) {
    let mut info = b"jaryq 1".to_vec();
    for part in parts {
        info.extend((part.len() as u64).to_be_bytes());
        info.extend_from_slice(part);
    }
    root.expand(&[&info], Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("HKDF gives up to 8,160 bytes");
}

/// The organisers' key. It is never on a relay that has a hub.
#[derive(Clone)]
pub struct FleetKey([u8; 32]);

impl FleetKey {
    /// A new one, from the machine's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(crate::random())
    }

    /// As it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For the store alone.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that the relay `id` holds.
    #[must_use]
    pub fn relay_key(&self, id: &RelayId) -> RelayKey {
        self.relay_seed(id).key()
    }

    /// The same as the relay is given it, to keep.
    #[must_use]
    pub fn relay_seed(&self, id: &RelayId) -> RelaySeed {
        RelaySeed(derive(&root(&self.0), &[b"relay", &id.0]))
    }

    /// What `person` is called on the relay `id`, and nowhere else.
    #[must_use]
    pub fn pseudonym(&self, id: &RelayId, person: Person) -> KeyId {
        KeyId(derive(&root(&self.0), &[b"id", &id.0, &person.0.to_be_bytes()]))
    }

    /// Below which path their hub hears those who know it, see [`crate::fleet::invite::path`].
    #[must_use]
    pub fn room(&self) -> [u8; 16] {
        derive(&root(&self.0), &[b"room"])
    }

    /// What the organisers' office marks people with, and what it gives them. `what` tells its uses
    /// apart.
    #[must_use]
    pub fn marker(&self, what: &str) -> Marker {
        let key: [u8; 32] = derive(&root(&self.0), &[b"marker", what.as_bytes()]);
        Marker(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// Who signs the bundles of these organisers, and certifies their relays' receipt keys.
    #[must_use]
    pub fn signer(&self) -> Signer {
        Signer::from_seed(&derive(&root(&self.0), &[b"signer"]))
    }
}

/// Which relay this is. Random and public.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RelayId(pub [u8; 16]);

impl RelayId {
    /// A new one, from the machine's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(crate::random())
    }

    /// As it is written, in 32 letters.
    #[must_use]
    pub fn long(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// As much of it as people are shown: eight letters.
    #[must_use]
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }
}

/// Whom the organisers gave a key: their number for that person, never seen by a relay that has a
/// hub.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Person(pub u64);

impl Person {
    /// A number that nobody else has.
    #[must_use]
    pub fn generate() -> Self {
        // 63 bits: what an SQL integer holds without a sign.
        Self(u64::from_be_bytes(crate::random()) >> 1)
    }
}

/// A stretch of time after which secrets, ports and labels change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Epoch(pub u32);

/// A person's pseudonym on one relay: what an access key is called there, in lists and commands.
///
/// It is written in 13 characters of Crockford's base 32; eight of them are enough to name one
/// of 100,000 keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

/// Crockford's base 32 in small letters; what is easily misread is taken for what was meant.
pub(crate) static CROCKFORD: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    spec.translate.from.push_str("ABCDEFGHJKMNPQRSTVWXYZoOiIlL");
    spec.translate.to.push_str("abcdefghjkmnpqrstvwxyz001111");
    spec.encoding().expect("the table is complete")
});

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&CROCKFORD.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl KeyId {
    /// Whether the id, as it is written, begins with this; what is easily misread is taken for what
    /// was meant.
    #[must_use]
    pub fn begins_with(&self, prefix: &str) -> bool {
        let meant = |c: char| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        };
        self.to_string().starts_with(&prefix.chars().map(meant).collect::<String>())
    }
}

/// This is not a whole key id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a key id has 13 letters and digits")]
pub struct BadKeyId;

/// Whole, as a program passes it on.
impl FromStr for KeyId {
    type Err = BadKeyId;

    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        let bytes = CROCKFORD.decode(text.as_bytes()).map_err(|_| BadKeyId)?;
        Ok(Self(bytes.try_into().map_err(|_| BadKeyId)?))
    }
}

/// What an access key opens: one secret is derived for each form, and says nothing of the others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Form {
    /// Telegram's own proxy protocol; the same 16 bytes serve its plain, padded and fake-TLS links.
    Telegram,
    /// SOCKS5 and HTTP proxies, for browsers and other apps.
    Web,
}

impl Form {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Telegram, Self::Web];

    /// The name that goes into the derivation and into commands. Never change one: every link that
    /// was ever handed out depends on it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Web => "web",
        }
    }
}

/// There is nothing of this name that a key could open.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a key opens 'telegram' or 'web', and nothing else yet")]
pub struct BadForm;

impl FromStr for Form {
    type Err = BadForm;

    fn from_str(text: &str) -> Result<Self, BadForm> {
        Self::ALL.into_iter().find(|form| form.name() == text).ok_or(BadForm)
    }
}

/// The 16 bytes that a Telegram link carries, or that a password stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A relay's key as it is kept and, once, sent.
#[derive(Clone, PartialEq, Eq)]
pub struct RelaySeed(pub [u8; 32]);

impl RelaySeed {
    /// The key.
    #[must_use]
    pub fn key(&self) -> RelayKey {
        RelayKey(root(&self.0))
    }
}

/// What one relay holds; everything that its keys open follows from it.
#[derive(Clone)]
pub struct RelayKey(hkdf::Prk);

impl RelayKey {
    /// The secret of the key `id` for one form, in one epoch.
    #[must_use]
    pub fn secret(&self, form: Form, id: KeyId, epoch: Epoch) -> Secret {
        let parts: [&[u8]; 4] = [b"secret", form.name().as_bytes(), &id.0, &epoch.0.to_be_bytes()];
        Secret(derive(&self.0, &parts))
    }

    /// Something of the key `id` that is no form: the address of a page for its person, say.
    /// `number` tells several of a kind apart.
    #[must_use]
    pub fn token(&self, what: &str, id: KeyId, epoch: Epoch, number: u32) -> Secret {
        let (epoch, number) = (epoch.0.to_be_bytes(), number.to_be_bytes());
        Secret(derive(&self.0, &[b"token", what.as_bytes(), &id.0, &epoch, &number]))
    }

    /// What this relay and one bundle share, for [`crate::echo`].
    #[must_use]
    pub fn echo_key(&self, bundle: BundleId) -> EchoKey {
        EchoKey(derive(&self.0, &[b"echo", &bundle.0]))
    }

    /// What all bundles of this relay share.
    #[must_use]
    pub fn mask_key(&self) -> MaskKey {
        MaskKey(derive(&self.0, &[b"echo mask"]))
    }

    /// What this relay signs receipts with.
    #[must_use]
    pub fn receipt_key(&self) -> Signer {
        Signer::from_seed(&derive(&self.0, &[b"receipts"]))
    }

    /// What this relay and its hub share, for [`crate::fleet::heartbeat`].
    #[must_use]
    pub fn hub_key(&self) -> [u8; 32] {
        derive(&self.0, &[b"hub"])
    }

    /// A number below `bound` that is this relay's own and stays the same: for what should differ
    /// from relay to relay, but not from one connection to the next.
    ///
    /// # Panics
    /// When `bound` is 0.
    #[must_use]
    pub fn constant(&self, what: &str, bound: usize) -> usize {
        let drawn: [u8; 2] = derive(&self.0, &[b"constant", what.as_bytes()]);
        usize::from(u16::from_be_bytes(drawn)) % bound
    }

    /// What this relay marks things of one kind with.
    #[must_use]
    pub fn marker(&self, what: &str) -> Marker {
        let key: [u8; 32] = derive(&self.0, &[b"marker", what.as_bytes()]);
        Marker(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }
}

/// Gives what was seen a number that can be written down: it is the same each time, and says nothing
/// to whoever does not have the key from which this follows.
pub struct Marker(hmac::Key);

impl Marker {
    /// The first 64 bits of an HMAC-SHA256: among two million things, two have the same number with a
    /// probability of 10^-7.
    #[must_use]
    pub fn mark(&self, seen: &[u8]) -> u64 {
        u64::from_be_bytes(self.tag(seen))
    }

    /// The first bytes of it, at most 32: 16 are enough where somebody else must not be able to make
    /// one.
    ///
    /// # Panics
    /// When more than 32 are asked for.
    #[must_use]
    pub fn tag<const N: usize>(&self, seen: &[u8]) -> [u8; N] {
        let tag = hmac::sign(&self.0, seen);
        *tag.as_ref().first_chunk().expect("32 bytes")
    }
}

/// The part of a relay's keys that one port and one server-name label lead to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bucket(u16);

impl Bucket {
    /// Its place among the [`BUCKETS`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A relay's buckets in one epoch. Ports and labels differ from relay to relay and change with the
/// epoch, and each stands for about a thousandth of the keys: so they are a hint to the relay and
/// name no person to anyone else.
pub struct Buckets {
    key: RelayKey,
    epoch: Epoch,
    ports: Vec<u16>,
    labels: Vec<String>,
    by_port: HashMap<u16, Bucket>,
    by_label: HashMap<String, Bucket>,
}

impl Buckets {
    /// Draws the ports and labels.
    #[must_use]
    pub fn new(key: &RelayKey, epoch: Epoch) -> Self {
        let at = epoch.0.to_be_bytes();
        let mut draw = [0; BUCKETS as usize * 4];
        expand(&key.0, &[b"bucket ports", &at], &mut draw);
        // Fisher and Yates: the first BUCKETS of a shuffled deck, so that no port comes twice.
        let mut ports: Vec<u16> = BUCKET_PORTS.collect();
        for (place, chance) in draw.as_chunks().0.iter().enumerate() {
            let left = ports.len() - place;
            let chosen = place + u32::from_be_bytes(*chance) as usize % left;
            ports.swap(place, chosen);
        }
        ports.truncate(BUCKETS.into());

        let mut draw = [0; BUCKETS as usize * 5];
        expand(&key.0, &[b"bucket labels", &at], &mut draw);
        let labels: Vec<String> = draw.chunks(5).map(|chunk| CROCKFORD.encode(chunk)).collect();

        let all = || (0..BUCKETS).map(Bucket);
        Self {
            key: key.clone(),
            epoch,
            by_port: ports.iter().copied().zip(all()).collect(),
            by_label: labels.iter().cloned().zip(all()).collect(),
            ports,
            labels,
        }
    }

    /// Where the key `id` belongs.
    #[must_use]
    pub fn of(&self, id: KeyId) -> Bucket {
        let drawn: [u8; 2] = derive(&self.key.0, &[b"bucket", &id.0, &self.epoch.0.to_be_bytes()]);
        Bucket(u16::from_be_bytes(drawn) % BUCKETS)
    }

    /// The ports of all buckets, each once, in no order that means anything.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The port of a bucket.
    #[must_use]
    pub fn port(&self, bucket: Bucket) -> u16 {
        self.ports[bucket.index()]
    }

    /// The server-name label of a bucket: eight letters and digits.
    #[must_use]
    pub fn label(&self, bucket: Bucket) -> &str {
        &self.labels[bucket.index()]
    }

    /// The bucket whose port this is.
    #[must_use]
    pub fn at_port(&self, port: u16) -> Option<Bucket> {
        self.by_port.get(&port).copied()
    }

    /// The bucket whose label a server name begins with.
    #[must_use]
    pub fn at_name(&self, server_name: &str) -> Option<Bucket> {
        let label = server_name.split('.').next()?;
        self.by_label.get(&label.to_ascii_lowercase()).copied()
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buckets({:?})", self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: FleetKey = FleetKey([7; 32]);
    const HERE: RelayId = RelayId([1; 16]);
    const THERE: RelayId = RelayId([2; 16]);

    #[test]
    fn a_derived_secret_never_changes_between_versions() {
        let key = FLEET.relay_key(&HERE);
        let id = FLEET.pseudonym(&HERE, Person(1));
        assert_eq!(id.to_string(), "nne53ax8tr6k6");
        for (form, secret) in [
            (Form::Telegram, "a3d7869e2a6b0e518ace06c21270907b"),
            (Form::Web, "a294d19b07f7a015e9a8bfe7931c1024"),
        ] {
            let derived = HEXLOWER.encode(&key.secret(form, id, Epoch(1)).0);
            assert_eq!(derived, secret, "computed apart from this program, from RFC 5869");
        }
    }

    #[test]
    fn relays_people_and_epochs_have_nothing_in_common() {
        let here = FLEET.pseudonym(&HERE, Person(1));
        assert_ne!(here, FLEET.pseudonym(&THERE, Person(1)));
        assert_ne!(here, FLEET.pseudonym(&HERE, Person(2)));
        let key = FLEET.relay_key(&HERE);
        let token = |what, id, epoch, number| key.token(what, id, Epoch(epoch), number);
        let one = token("page", here, 1, 0);
        let there = FLEET.pseudonym(&HERE, Person(2));
        for other in [
            ("ticket", here, 1, 0),
            ("page", there, 1, 0),
            ("page", here, 2, 0),
            ("page", here, 1, 1),
        ] {
            assert!(one != token(other.0, other.1, other.2, other.3));
        }
        let secret = key.secret(Form::Telegram, here, Epoch(1));
        assert!(secret != key.secret(Form::Telegram, here, Epoch(2)));
        assert!(secret != FLEET.relay_key(&THERE).secret(Form::Telegram, here, Epoch(1)));
    }

    #[test]
    fn a_key_id_is_read_back_as_people_copy_it() {
        let id = KeyId([8, 1, 2, 3, 4, 5, 6, 7]);
        let text = id.to_string();
        assert_eq!(text.len(), 13);
        assert!(text.contains('0') && text.contains('1'), "{text}");
        assert!(id.begins_with(&text.to_uppercase().replace('1', "l").replace('0', "O")));
        assert!(id.begins_with(&text[..5]) && !id.begins_with("zz"));
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text[..12].parse::<KeyId>(), Err(BadKeyId));
    }

    #[test]
    fn every_bucket_has_a_port_and_a_label_of_its_own() {
        let buckets = Buckets::new(&FLEET.relay_key(&HERE), Epoch(1));
        for index in 0..BUCKETS {
            let bucket = Bucket(index);
            assert_eq!(buckets.at_port(buckets.port(bucket)), Some(bucket));
            let name = format!("{}.example.org", buckets.label(bucket).to_uppercase());
            assert_eq!(buckets.at_name(&name), Some(bucket));
        }
        let other = Buckets::new(&FLEET.relay_key(&THERE), Epoch(1));
        let shared = (0..BUCKETS)
            .filter(|&index| other.at_port(buckets.port(Bucket(index))).is_some())
            .count();
        assert!(shared < usize::from(BUCKETS) / 4, "two relays share {shared} of {BUCKETS} ports");
    }

    #[test]
    fn keys_spread_evenly_over_the_buckets() {
        let buckets = Buckets::new(&FLEET.relay_key(&HERE), Epoch(1));
        let mut load = vec![0u32; BUCKETS.into()];
        for person in 0..20_000 {
            load[buckets.of(FLEET.pseudonym(&HERE, Person(person))).index()] += 1;
        }
        let (least, most) = (load.iter().min().expect("some"), load.iter().max().expect("some"));
        assert!(*least > 0 && *most < 60, "from {least} to {most} keys in a bucket");
    }
}
