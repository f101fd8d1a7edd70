//! A certificate in files that somebody else renews.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Held, Table};
use crate::notices::{Notice, Notices};

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(2);

/// Shows what the files hold, whenever they change; what cannot be used is not.
pub(crate) async fn follow(
    certificate: PathBuf,
    key: PathBuf,
    place: usize,
    table: Arc<Table>,
    notices: Notices,
    mut held: Arc<Held>,
) {
    let mut seen = (stamp(&certificate), stamp(&key));
    let mut in_time = held.out_of_time(SystemTime::now()).is_none();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = (stamp(&certificate), stamp(&key));
        if now != seen {
            // Both files take a moment to be written.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let settled = (stamp(&certificate), stamp(&key));
            if settled != now {
                continue;
            }
            seen = now;
            match Held::from_files(&certificate, &key) {
                Ok(new) => {
                    held = Arc::new(new);
                    table.show(place, &held);
                    in_time = true;
                    let until = held.facts.until;
                    notices.say(Notice::Reloaded { names: held.names(), until });
                }
                Err(error) => notices.say(Notice::BadCertificate(error.to_string())),
            }
        }
        // Said once, when it begins.
        let wrong = held.out_of_time(SystemTime::now());
        if let (true, Some(notice)) = (in_time, &wrong) {
            notices.say(notice.clone());
        }
        in_time = wrong.is_none();
    }
}

/// What changes when a file does, or when somebody is allowed to read it: that counts as a change of
/// its state (`ctime`), but not of its content (`mtime`).
fn stamp(path: &Path) -> Option<(i64, i64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ctime(), metadata.ctime_nsec(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_becomes_readable_is_looked_at_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        assert_eq!(stamp(&file), None);
        write(&file, "a key").expect("written");
        set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
        let before = stamp(&file);
        assert!(before.is_some() && stamp(&file) == before);
        // The clock of files ticks some hundred times a second.
        std::thread::sleep(Duration::from_millis(50));
        set_permissions(&file, Permissions::from_mode(0o644)).expect("set");
        assert_ne!(stamp(&file), before);
    }
}
