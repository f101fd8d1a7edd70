//! telemt/telemt, in Rust. Source: its `docs/Config_params/CONFIG_PARAMS.en.md`.

use std::path::Path;

use lab::Result;

use super::{MASK_NAME, PORT, SECRET, Subject, said, telegram};
use crate::world::World;

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let folder = world.server.folder()?;
    let config = format!(
        "[general]\nuse_middle_proxy = false\n\
         [general.modes]\nclassic = true\nsecure = true\ntls = true\n\
         [server]\nport = {PORT}\n[[server.listeners]]\nip = \"0.0.0.0\"\n\
         [censorship]\ntls_domain = \"{MASK_NAME}\"\nmask = false\ntls_emulation = false\n\
         [access.users]\nbench = \"{SECRET}\"\n"
    );
    std::fs::write(folder.join("config.toml"), &config)?;
    Ok(Subject {
        name: "telemt",
        version: said(program, &["--version"])?,
        settings: format!("# telemt config.toml\n{config}"),
        program: program.to_owned(),
        arguments: vec!["config.toml".to_owned()],
        user: None,
        helper: None,
        folder,
        targets: telegram(&world.server)?,
    })
}
