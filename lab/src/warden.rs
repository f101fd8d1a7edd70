//! Nothing outlives its lab, however the lab ends.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::error::{Doing, Result};
use crate::namespace::Namespace;

/// Reads the namespaces to watch, a line each. When no more can come, because the lab was dropped
/// or its process killed, it ends every process in them, until it finds none, and removes the lab's
/// folder.
const SCRIPT: &str = r#"
watched=
while read -r namespace; do watched="$watched'$namespace'"; done
end_all() {
    stat -c %N /proc/[0-9]*/ns/net 2>/dev/null | {
        found=1
        while read -r link arrow namespace; do
            case $watched in *"$namespace"*)
                process=${link#??proc/}
                kill -9 "${process%%/*}" && found=0 ;;
            esac
        done
        return $found
    }
}
for _ in 1 2 3 4 5 6 7 8 9; do end_all || break; sleep 0.05; done
rm -rf "$1"
"#;

/// A shell outside the lab that waits for the lab's end.
#[derive(Debug)]
pub(crate) struct Warden {
    shell: Child,
    watch: Mutex<Option<ChildStdin>>,
    folder: PathBuf,
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
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "warden"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C ends the tests and not this.
            .process_group(0)
            .spawn()
            .doing("starting the lab's warden")?;
        let watch = Mutex::new(shell.stdin.take());
        let warden = Self {
            shell,
            watch,
            folder,
        };
        // Of names, a lab knows only its own; and it asks no name server.
        fs::write(warden.hosts(), "127.0.0.1 localhost\n::1 localhost\n")
            .and_then(|()| fs::write(warden.resolver(), ""))
            .doing("writing the lab's names")?;
        Ok(warden)
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

    pub(crate) fn watch(&self, namespace: &Namespace) -> Result<()> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = watch.as_mut().expect("open until the warden is dropped");
        writeln!(pipe, "{}", namespace.id()).doing("speaking to the lab's warden")
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        drop(self.watch.get_mut().map(Option::take));
        let _ = self.shell.wait();
    }
}
