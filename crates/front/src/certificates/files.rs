//! A certificate in files that somebody else renews.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Held, Table};
use crate::notices::{Notice, Notices};

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(10);

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

/// What changes when a file does.
fn stamp(path: &Path) -> Option<(SystemTime, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}
