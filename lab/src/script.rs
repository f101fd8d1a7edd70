//! The lab's own Python programs, which drive the real clients.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::tools;

/// Runs one of `clients/` on this host; what it printed.
///
/// # Errors
/// [`Error::Missing`] without Python, and [`Error::Command`] with everything that it said when it
/// breaks down.
pub(crate) fn run(
    host: &Host,
    script: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<String> {
    let mut command = Command::new(tools::python()?);
    command
        .arg(tools::own("clients").join(script))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = host.output(command)?;
    let [printed, errors] =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    if output.status.success() {
        return Ok(printed);
    }
    let said = format!("{}\n{printed}{errors}", output.status);
    Err(Error::Command { command: script.to_owned(), said })
}
