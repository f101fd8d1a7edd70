//! Nothing outlives its lab, however the lab ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Doing, Result};

/// Waits until its pipe is closed, because the lab was dropped or its process killed. Then it ends
/// every process of the lab, until it finds none, and removes the lab's folder.
///
/// A process belongs to the lab if its environment says so. (Its namespace would not do: the kernel
/// gives the number of one that has gone to the next one that is made.)
const SCRIPT: &str = r#"
cat > /dev/null
end_all() {
    found=$(grep -lszxF "TMPDIR=$1" /proc/[0-9]*/environ)
    [ -n "$found" ] || return
    for environ in $found; do
        process=${environ#/proc/}
        kill -9 "${process%/environ}"
    done
}
for _ in 1 2 3 4 5 6 7 8 9; do end_all "$1" || break; sleep 0.02; done
rm -rf "$1"
"#;

/// A shell outside the lab that waits for the lab's end.
#[derive(Debug)]
pub(crate) struct Warden {
    shell: Child,
    folder: PathBuf,
    /// How many numbers it gave away.
    numbers: AtomicU32,
}

impl Warden {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("jaryq-lab-")
            // Programs that give up root must still find what is theirs.
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .doing("making the lab's folder")?
            .keep();
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "warden"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C ends the tests and not this.
            .process_group(0)
            .spawn()
            .doing("starting the lab's warden")?;
        let warden = Self { shell, folder, numbers: AtomicU32::new(0) };
        // Of names, a lab knows only its own; and it asks no name server.
        fs::write(warden.hosts(), "127.0.0.1 localhost\n::1 localhost\n")
            .and_then(|()| fs::write(warden.resolver(), ""))
            .doing("writing the lab's names")?;
        Ok(warden)
    }

    /// A number that nobody else in this lab has.
    pub(crate) fn next_number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// For whatever is made during a test; it goes when the lab goes.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What every host has as `/etc/hosts`.
    pub(crate) fn hosts(&self) -> PathBuf {
        self.folder.join("hosts")
    }

    /// What every host has as `/etc/resolv.conf`.
    pub(crate) fn resolver(&self) -> PathBuf {
        self.folder.join("resolv.conf")
    }

    /// Marks a program that is to end with the lab.
    pub(crate) fn mark(&self, command: &mut Command) {
        command.env("TMPDIR", &self.folder);
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        // Closes the pipe first.
        let _ = self.shell.wait();
    }
}
