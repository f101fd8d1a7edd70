//! Giving root up, once the sockets are there and before the first stranger's byte is read.

use std::collections::hash_map::RandomState;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use anyhow::{Context, bail};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, geteuid, setgroups, setresgid, setresuid};

/// The user ids that systemd, too, takes for services without a user of their own.
const UNCLAIMED: std::ops::RangeInclusive<u32> = 61_184..=65_519;

/// Becomes, for good, a user that owns the state directory and nothing else; tells which one. The
/// first time it is one that nobody else on this machine is. Without root nothing is done.
pub(crate) fn give_up(state: &Path) -> anyhow::Result<Option<Uid>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .with_context(|| format!("cannot make {}", state.display()))?;
    let state = state.canonicalize()?;
    within_reach(&state)?;
    let owner = fs::metadata(&state)?.uid();
    let user = if owner == 0 { unclaimed() } else { owner };
    hand_over(&state, user)?;

    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    setgroups(&[]).context("cannot leave root's groups")?;
    setresgid(gid, gid, gid).context("cannot leave root's group")?;
    setresuid(uid, uid, uid).context("cannot give up root")?;
    prctl::set_no_new_privs().context("cannot forbid new privileges")?;
    if setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
        bail!("root was given up and could be had back; this system is not what it seems");
    }
    Ok(Some(uid))
}

/// Somebody else than root must be able to get there.
fn within_reach(state: &Path) -> anyhow::Result<()> {
    for above in state.ancestors().skip(1) {
        if fs::metadata(above)?.permissions().mode() & 0o001 == 0 {
            bail!(
                "{} is closed to everyone but its owner, so the relay could not reach {} once it has \
                 given up root; use a directory below /var/lib, as in --state /var/lib/jaryq",
                above.display(),
                state.display()
            );
        }
    }
    Ok(())
}

fn unclaimed() -> u32 {
    let count = UNCLAIMED.end() - UNCLAIMED.start() + 1;
    // The standard library's hasher starts from the system's randomness.
    let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    let start = u32::from_ne_bytes([a, b, c, d]) % count;
    (0..count)
        .map(|step| UNCLAIMED.start() + start.wrapping_add(step) % count)
        .find(|&id| matches!(User::from_uid(Uid::from_raw(id)), Ok(None)))
        .unwrap_or(*UNCLAIMED.end())
}

/// The directory and what is in it, not following links.
fn hand_over(state: &Path, user: u32) -> anyhow::Result<()> {
    let give = |path: &Path| {
        lchown(path, Some(user), Some(user))
            .with_context(|| format!("cannot hand over {}", path.display()))
    };
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("jaryq.db") {
            give(&entry.path())?;
        }
    }
    give(state)
}
