//! Whether a relay runs on a state directory: it holds a lock on it, which the kernel takes away with
//! the process, however that ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Dropped, it says that the relay has ended.
#[derive(Debug)]
pub(crate) struct Running {
    _lock: File,
}

impl Running {
    /// Says that a relay runs. Several may, as while one takes over from another.
    pub(crate) fn mark(state: &Path) -> io::Result<Self> {
        let dir = File::open(state)?;
        dir.lock_shared()?;
        Ok(Self { _lock: dir })
    }

    /// Says that a hub runs, unless one does: there is one at most.
    pub(crate) fn alone(state: &Path) -> io::Result<Option<Self>> {
        let dir = File::open(state)?;
        match dir.try_lock() {
            Ok(()) => Ok(Some(Self { _lock: dir })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether some relay has said so.
    pub(crate) fn is_marked(state: &Path) -> io::Result<bool> {
        match File::open(state)?.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Running;

    #[test]
    fn a_relay_is_seen_as_long_as_it_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        let seen = || Running::is_marked(dir.path()).expect("it can be told");
        assert!(!seen());
        let relays = [Running::mark(dir.path()), Running::mark(dir.path())];
        assert!(seen() && seen());
        assert!(Running::alone(dir.path()).expect("it can be told").is_none());
        drop(relays);
        assert!(!seen());
        let hub = Running::alone(dir.path()).expect("it can be told");
        assert!(hub.is_some() && seen());
    }
}
