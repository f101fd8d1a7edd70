//! A directory where small things survive: certificates, the account with the certificate authority, keys.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The most bytes of a file that is read.
const MOST: u64 = 1 << 20;

/// A directory that nobody else may read.
#[derive(Clone, Debug)]
pub struct Kept(PathBuf);

impl Kept {
    /// Makes it, and the folders above it, if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(at: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(at)?;
        Ok(Self(at.to_owned()))
    }

    /// What was written under this name, if anything was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match read(&self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Writes all of it or nothing, whatever happens meanwhile; for its owner alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.0.join(format!("{name}.new"));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }
}

/// A whole file, bounded.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_private_and_replaced_as_a_whole() {
        let home = tempfile::tempdir().expect("a directory");
        let at = home.path().join("tls");
        let kept = Kept::open(&at).expect("open");
        assert!(kept.read("a.pem").expect("read").is_none());
        kept.write("a.pem", b"first").expect("write");
        kept.write("a.pem", b"second").expect("write");
        assert_eq!(kept.read("a.pem").expect("read").as_deref(), Some(&b"second"[..]));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&at), mode(&at.join("a.pem"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&at).expect("list").count(), 1, "nothing is left behind");
    }
}
