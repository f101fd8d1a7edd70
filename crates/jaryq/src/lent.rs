//! Files that only root can read, lent to a relay that is not root: its service runs `jaryq lend` as
//! root before each start and at each reload. (systemd's own credentials stay as they were at the
//! start, and certificates are renewed.)

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use anyhow::{Context, bail};
use nix::unistd::{Group, geteuid};

use crate::house::HouseFlags;

/// The most bytes of a file.
const MOST: u64 = 1 << 20;

/// Copies what is set into a folder that this group alone can read, and removes what is set no more.
///
/// All of it is tried, and the first thing that went wrong is told.
pub(crate) fn lend(house: &HouseFlags, to: &Path, group: &str) -> anyhow::Result<()> {
    let group = match group.parse() {
        Ok(number) => number,
        Err(_) => {
            Group::from_name(group)?.with_context(|| format!("no group {group}"))?.gid.as_raw()
        }
    };
    let shown = to.display();
    match DirBuilder::new().mode(0o750).create(to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make {shown}"));
        }
        _ => {}
    }
    let folder = fs::symlink_metadata(to)?;
    // Whoever could put something else there would be given root's files.
    if !folder.is_dir() || folder.uid() != geteuid().as_raw() {
        bail!("{shown} is somebody else's");
    }
    std::os::unix::fs::chown(to, None, Some(group))?;
    fs::set_permissions(to, Permissions::from_mode(0o750))?;
    let mut done = Ok(());
    for (name, path) in house.lendable() {
        let lent = to.join(name);
        let one = match path {
            Some(path) => copy(path, &lent, group)
                .with_context(|| format!("cannot lend {} to the service", path.display())),
            None => remove(&lent).with_context(|| format!("cannot remove {}", lent.display())),
        };
        done = done.and(one);
    }
    done
}

fn copy(from: &Path, to: &Path, group: u32) -> io::Result<()> {
    let bytes = read(from)?;
    // One that is new without being different would be looked at for nothing.
    if read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let new = to.with_added_extension("new");
    remove(&new)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&new)?;
    fchown(&file, None, Some(group))?;
    file.set_permissions(Permissions::from_mode(0o640))?;
    file.write_all(&bytes)?;
    fs::rename(&new, to)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
