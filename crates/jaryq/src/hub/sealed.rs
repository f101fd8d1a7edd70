//! The fleet key at rest: every relay's keys and everybody's links follow from it, so it is on the disk
//! only under a passphrase.
//!
//! ```text
//! 16  "jaryq fleet key\n"
//! 1   version: 1
//! 4   memory in KiB      4  rounds      4  lanes
//! 16  salt
//! 48  the key, sealed with AES-256-GCM
//! ```
//!
//! The sealing key is Argon2id of the passphrase and the salt; all before the key is authenticated
//! with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use front::Kept;
use wire::derive::FleetKey;

/// The name of the file in the state directory.
pub(crate) const KEY_FILE: &str = "fleet.key";

const MAGIC: &[u8] = b"jaryq fleet key\n";
const VERSION: u8 = 1;
const SALT: usize = 16;
const SEALED: usize = 32 + 16;
const HEAD: usize = MAGIC.len() + 1 + 3 * 4 + SALT;

/// The second choice of RFC 9106, section 4 (memory in KiB, rounds, lanes), for machines that have not
/// 2 GiB to spare; OWASP's Password Storage Cheat Sheet asks for a third of the memory.
const USUAL: Cost = Cost { memory: 64 << 10, rounds: 3, lanes: 4 };
/// What a file may ask for at most: whoever can write it must not be able to take all memory.
const MOST: Cost = Cost { memory: 1 << 20, rounds: 16, lanes: 16 };

/// How dear a try is.
#[derive(Clone, Copy)]
struct Cost {
    memory: u32,
    rounds: u32,
    lanes: u32,
}

impl Cost {
    fn is_bearable(self) -> bool {
        self.memory <= MOST.memory && self.rounds <= MOST.rounds && self.lanes <= MOST.lanes
    }

    fn key(self, passphrase: &[u8], salt: &[u8]) -> anyhow::Result<LessSafeKey> {
        let params = Params::new(self.memory, self.rounds, self.lanes, Some(32));
        let params = params.map_err(|error| anyhow::anyhow!("Argon2: {error}"))?;
        let mut memory = vec![Block::default(); params.block_count()];
        let mut key = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, salt, &mut key, &mut memory)
            .map_err(|error| anyhow::anyhow!("Argon2: {error}"))?;
        let key = UnboundKey::new(&AES_256_GCM, &key).context("a key of 32 bytes")?;
        Ok(LessSafeKey::new(key))
    }
}

/// Where the key of the hub with this state is.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join(KEY_FILE)
}

/// The fleet key of this state; the first time, a new one. No two processes may do this at a time. Takes a
/// tenth of a second to a second.
///
/// # Errors
/// When the passphrase is another one, or the file cannot be read, written or understood.
pub(crate) fn open_or_make(state: &Path, passphrase: &str) -> anyhow::Result<FleetKey> {
    let path = path(state);
    let mut bytes = Vec::new();
    match File::open(&path) {
        Ok(file) => file.take(1024).read_to_end(&mut bytes).map(drop),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = FleetKey::generate();
            let sealed = seal(&key, passphrase, USUAL)?;
            Kept::open(state)
                .and_then(|kept| kept.write(KEY_FILE, &sealed))
                .with_context(|| format!("cannot write {}", path.display()))?;
            return Ok(key);
        }
        Err(error) => Err(error),
    }
    .with_context(|| format!("cannot read {}", path.display()))?;
    open(&bytes, passphrase).with_context(|| format!("in {}", path.display()))
}

fn seal(key: &FleetKey, passphrase: &str, cost: Cost) -> anyhow::Result<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    for number in [cost.memory, cost.rounds, cost.lanes] {
        out.extend(number.to_be_bytes());
    }
    let salt: [u8; SALT] = wire::random();
    out.extend(salt);
    let mut sealed = key.as_bytes().to_vec();
    let with = cost.key(passphrase.as_bytes(), &salt)?;
    with.seal_in_place_append_tag(nonce(), Aad::from(&out), &mut sealed).context("sealing")?;
    out.extend(sealed);
    Ok(out)
}

fn open(bytes: &[u8], passphrase: &str) -> anyhow::Result<FleetKey> {
    let no_key = "this is no fleet key as this version of jaryq writes it";
    let (head, sealed) = bytes.split_at_checked(HEAD).context(no_key)?;
    let rest = head.strip_prefix(MAGIC).context(no_key)?;
    let (&version, rest) = rest.split_first().context(no_key)?;
    let (numbers, salt) = rest.split_at_checked(12).context(no_key)?;
    let mut numbers = numbers.as_chunks().0.iter().map(|four| u32::from_be_bytes(*four));
    let mut number = || numbers.next().context(no_key);
    let cost = Cost { memory: number()?, rounds: number()?, lanes: number()? };
    let mut sealed: [u8; SEALED] = sealed.try_into().context(no_key)?;
    if version != VERSION || !cost.is_bearable() {
        bail!(no_key);
    }
    let with = cost.key(passphrase.as_bytes(), salt)?;
    let opened = with.open_in_place(nonce(), Aad::from(head), &mut sealed);
    let key = opened.ok().and_then(|key| <[u8; 32]>::try_from(&*key).ok());
    key.map(FleetKey::from_bytes).context("the passphrase is wrong, or the file was changed")
}

/// A sealing key has a salt of its own and seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const CHEAP: Cost = Cost { memory: 64, rounds: 1, lanes: 1 };

    fn key() -> FleetKey {
        FleetKey::from_bytes([7; 32])
    }

    #[test]
    fn the_key_is_opened_by_its_passphrase_and_by_no_other() {
        let sealed = seal(&key(), "apples of Almaty", CHEAP).expect("sealed");
        let opened = open(&sealed, "apples of Almaty").expect("opened");
        assert_eq!(opened.as_bytes(), key().as_bytes());
        let wrong = open(&sealed, "apples of Astana").err().expect("refused").to_string();
        assert!(wrong.contains("passphrase is wrong"), "{wrong}");
        let holds = sealed.windows(32).any(|window| window == key().as_bytes());
        assert!(!holds, "the key is not in the file");
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed_and_no_file_asks_for_all_memory() {
        let sealed = seal(&key(), "apples", CHEAP).expect("sealed");
        for place in 0..sealed.len() {
            let mut spoilt = sealed.clone();
            spoilt[place] ^= 1;
            assert!(open(&spoilt, "apples").is_err(), "byte {place}");
        }
        let mut dear = sealed;
        dear[MAGIC.len() + 1..][..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(open(&dear, "apples").is_err());
    }

    #[test]
    fn the_first_start_makes_the_key_and_the_next_ones_find_it_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = open_or_make(dir.path(), "apples of Almaty").expect("made");
        let again = open_or_make(dir.path(), "apples of Almaty").expect("opened");
        assert_eq!(first.as_bytes(), again.as_bytes());
        assert!(open_or_make(dir.path(), "pears").is_err());
        let mode = fs::metadata(path(dir.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "nothing else is left");
    }
}
