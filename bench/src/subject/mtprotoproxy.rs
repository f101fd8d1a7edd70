//! alexbers/mtprotoproxy, in Python. Source: its README and `config.py`.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use lab::{Error, Result};

use super::{MASK_NAME, PORT, SECRET, Subject, said, telegram};
use crate::world::World;

/// Uvloop and cryptography are what its README says to install for speed.
const ASK: &str = "import sys, uvloop, cryptography as c; \
    print('Python', sys.version.split()[0], 'uvloop', uvloop.__version__, 'cryptography', c.__version__)";

pub(super) fn prepare(python: &Path, program: &Path, world: &World) -> Result<Subject> {
    let packages = said(python, &["-c", ASK])?;
    if packages.is_empty() {
        let hint = "mtprotoproxy would be slow: this --python has no uvloop and cryptography";
        return Err(Error::Missing(hint.to_owned()));
    }
    let script = std::fs::read(program)?;
    let hash = data_encoding::HEXLOWER.encode(&digest(&SHA256, &script).as_ref()[..6]);
    let folder = world.server.folder()?;
    let config = format!(
        "PORT = {PORT}\nUSERS = {{'bench': '{SECRET}'}}\nTLS_DOMAIN = '{MASK_NAME}'\nMASK = False\n\
         MODES = {{'classic': True, 'secure': True, 'tls': True}}\n"
    );
    std::fs::write(folder.join("config.py"), &config)?;
    Ok(Subject {
        name: "mtprotoproxy",
        version: format!("its script has SHA-256 {hash}…; {packages}"),
        settings: format!("# mtprotoproxy.py config.py\n{config}"),
        program: python.to_owned(),
        arguments: vec![program.display().to_string(), "config.py".to_owned()],
        user: None,
        helper: None,
        folder,
        targets: telegram(&world.server)?,
    })
}
