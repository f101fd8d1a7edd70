//! Giving root up, once the sockets and files are there and before the first stranger's byte is read.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, fchown, fchownat, geteuid, setgroups, setresgid, setresuid};

/// The user ids that systemd, too, takes for services without a user of their own.
const UNCLAIMED: std::ops::RangeInclusive<u32> = 61_184..=65_519;

/// The files of the state, and those whose names begin with [`relay::SEEN`]; nothing else in the
/// directory is ever touched, but the folder of certificates.
const FILES: [&str; 8] = [
    "jaryq.db",
    "jaryq.db-wal",
    "jaryq.db-shm",
    crate::hub::KEY_FILE,
    "hub.db",
    "hub.db-wal",
    "hub.db-shm",
    crate::hub::SOCKET,
];
/// Of those, what a relay and a hub have from their first start on.
const FIRST: [&str; 2] = [FILES[0], FILES[3]];

/// Becomes, for good, a user that owns the state directory and nothing else; tells which one. The
/// first time it is one that has no name on this machine. Whoever is not root, but came with some of
/// its capabilities as a service does, gives those up.
pub(crate) fn give_up(state: &Path) -> anyhow::Result<Option<Uid>> {
    if !geteuid().is_root() {
        give_up_capabilities()?;
        return Ok(None);
    }
    make(state)?;
    let dir = open(state)?;
    let owner = dir.metadata()?.uid();
    let user = if owner == 0 { unclaimed() } else { owner };
    within_reach(state, user)?;
    if owner == 0 {
        hand_over(state, &dir, user)?;
    }
    become_user(user)?;
    Ok(Some(Uid::from_raw(user)))
}

/// Becomes, for good, a user that owns nothing and has no name on this machine. Where root is only
/// called so and there is no such user, as in some containers, it keeps its name, and none of what root
/// may do. Whoever is not root gives up what capabilities there are.
pub(crate) fn become_nobody() -> anyhow::Result<()> {
    if geteuid().is_root() && become_user(unclaimed()).is_ok() {
        return Ok(());
    }
    give_up_capabilities()
}

fn give_up_capabilities() -> anyhow::Result<()> {
    ports::give_up_capabilities().context("cannot give up capabilities")?;
    prctl::set_no_new_privs().context("cannot forbid new privileges")?;
    Ok(())
}

/// Becomes the user that owns the state, if there is one: what a relay has in its directory is not
/// for root to follow.
pub(crate) fn become_owner(state: &Path) -> anyhow::Result<()> {
    // Where there is nothing, whoever looks there says so. Anything else, a link for one, is not
    // for root to follow either.
    if !geteuid().is_root() || fs::symlink_metadata(state).is_err_and(is_absent) {
        return Ok(());
    }
    let owner = open(state)?.metadata()?.uid();
    if owner == 0 { Ok(()) } else { become_user(owner) }
}

#[allow(clippy::needless_pass_by_value)] // for is_err_and
fn is_absent(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Makes the directory: open to its owner alone, those above it to everyone.
fn make(state: &Path) -> anyhow::Result<()> {
    if let Some(above) = state.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(above)
            .with_context(|| format!("cannot make {}", above.display()))?;
    }
    match DirBuilder::new().mode(0o700).create(state) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make {}", state.display()))
        }
        _ => Ok(()),
    }
}

fn open(state: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
        .open(state)
        .with_context(|| format!("cannot open the directory {}", state.display()))
}

/// Somebody else than root must be able to get there.
fn within_reach(state: &Path, user: u32) -> anyhow::Result<()> {
    let state = state.canonicalize()?;
    for above in state.ancestors().skip(1) {
        let found = fs::metadata(above)?;
        let needed = if found.uid() == user { 0o100 } else { 0o001 };
        if found.mode() & needed == 0 {
            bail!(
                "{} is closed to others, so it could not reach {} once it has given up root; \
                 use a directory below /var/lib, as in --state /var/lib/jaryq",
                above.display(),
                state.display()
            );
        }
    }
    Ok(())
}

/// Gives the directory and the state in it to a user; not a directory that serves another purpose.
fn hand_over(state: &Path, dir: &File, user: u32) -> anyhow::Result<()> {
    let entries = fs::read_dir(state)?.collect::<io::Result<Vec<_>>>()?;
    let names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
    if !names.is_empty() && !names.iter().any(|name| FIRST.iter().any(|first| name == first)) {
        bail!(
            "{} holds other things than a relay's or a hub's state; give a directory that is empty or new",
            state.display()
        );
    }
    let (uid, gid) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(user)));
    let is_ours = |name: &OsStr| {
        FILES.iter().any(|file| name == *file)
            || name.as_encoded_bytes().starts_with(relay::SEEN.as_bytes())
    };
    for name in names.iter().filter(|name| is_ours(name)) {
        fchownat(dir, Path::new(name), uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)
            .with_context(|| format!("cannot hand over {}", name.display()))?;
    }
    if names.iter().any(|name| name == TLS) {
        // Made by a relay, and root's since somebody copied it here.
        let tls = state.join(TLS);
        let folder = open(&tls)?;
        for entry in fs::read_dir(&tls)? {
            let name = entry?.file_name();
            fchownat(&folder, Path::new(&name), uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)
                .with_context(|| format!("cannot hand over {}", tls.display()))?;
        }
        fchown(&folder, uid, gid).with_context(|| format!("cannot hand over {}", tls.display()))?;
    }
    fchown(dir, uid, gid).with_context(|| format!("cannot hand over {}", state.display()))
}

/// The folder of the state in which certificates are.
pub(crate) const TLS: &str = "tls";

fn become_user(user: u32) -> anyhow::Result<()> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    setgroups(&[]).context("cannot leave root's groups")?;
    setresgid(gid, gid, gid).context("cannot leave root's group")?;
    setresuid(uid, uid, uid).context("cannot give up root")?;
    prctl::set_no_new_privs().context("cannot forbid new privileges")?;
    let root = Uid::from_raw(0);
    if setresuid(root, root, root).is_ok() {
        bail!("root was given up and could be had back; this system is not what it seems");
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
