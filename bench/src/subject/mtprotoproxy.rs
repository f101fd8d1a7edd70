//! alexbers/mtprotoproxy, in Python. Source: its README and `config.py`.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use lab::{Error, Host, Result};

use super::{NAME, PORT, SECRET, Subject, links, said};

/// Uvloop and cryptography are what its README says to install for speed.
const ASK: &str = "import sys, uvloop, cryptography as c; \
    print('Python', sys.version.split()[0], 'uvloop', uvloop.__version__, 'cryptography', c.__version__)";

pub(super) fn prepare(python: &Path, program: &Path, server: &Host) -> Result<Subject> {
    let packages = said(python, &["-c", ASK])?;
    if packages.is_empty() {
        let hint = "mtprotoproxy would be slow: this --python has no uvloop and cryptography";
        return Err(Error::Missing(hint.to_owned()));
    }
    let script = std::fs::read(program)?;
    let hash = data_encoding::HEXLOWER.encode(&digest(&SHA256, &script).as_ref()[..6]);
    let folder = server.folder()?;
    let config = folder.join("config.py");
    std::fs::write(
        &config,
        format!(
            "PORT = {PORT}\nUSERS = {{'bench': '{SECRET}'}}\nTLS_DOMAIN = '{NAME}'\nMASK = False\n\
             MODES = {{'classic': True, 'secure': True, 'tls': True}}\n"
        ),
    )?;
    Ok(Subject {
        name: "mtprotoproxy",
        version: format!("its script has SHA-256 {hash}…; {packages}"),
        settings: "`MODES` all true, `MASK = False`".to_owned(),
        program: python.to_owned(),
        arguments: vec![program.display().to_string(), config.display().to_string()],
        folder,
        links: links(server.v4()),
    })
}
