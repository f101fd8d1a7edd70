//! What the lab uses of the machine: where it is, and what to do about it where it is not.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file that is named in the environment or, by default, stands under the workspace's folder.
pub(crate) fn find(variable: &str, default: &str, missing: &str) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = env::var_os(variable).map_or_else(|| workspace.join(default), PathBuf::from);
    if path.exists() {
        return Ok(path);
    }
    let shown = path.display();
    Err(Error::Missing(format!("{missing}; looked for {shown}, see {variable}")))
}

/// The Python that has TDLib.
pub(crate) fn python() -> Result<PathBuf> {
    let hint = "no TDLib (pip install tdjson)";
    find("JARYQ_LAB_PYTHON", "target/venv/bin/python", hint)
}

/// A file of the lab itself.
pub(crate) fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether a program is to be had by its name alone.
///
/// # Errors
/// [`Error::Missing`] when it is not.
pub fn need(program: impl AsRef<OsStr>) -> Result {
    let program = program.as_ref();
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| folder.join(program).exists()) {
        return Ok(());
    }
    Err(Error::Missing(format!("no {}", program.display())))
}
