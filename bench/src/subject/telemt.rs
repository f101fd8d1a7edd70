//! telemt/telemt, in Rust. Source: its `docs/Config_params/CONFIG_PARAMS.en.md`.

use std::path::Path;

use lab::{Host, Result};

use super::{NAME, PORT, SECRET, Subject, links, said};

pub(super) fn prepare(program: &Path, server: &Host) -> Result<Subject> {
    let folder = server.folder()?;
    let config = folder.join("config.toml");
    std::fs::write(
        &config,
        format!(
            r#"
            [general]
            use_middle_proxy = false
            [general.modes]
            classic = true
            secure = true
            tls = true
            [server]
            port = {PORT}
            [[server.listeners]]
            ip = "0.0.0.0"
            [censorship]
            tls_domain = "{NAME}"
            mask = false
            tls_emulation = false
            [access.users]
            bench = "{SECRET}"
            "#
        ),
    )?;
    Ok(Subject {
        name: "telemt",
        version: said(program, &["--version"])?,
        settings: "`use_middle_proxy = false`, `modes` all true, `mask` and `tls_emulation` false"
            .to_owned(),
        program: program.to_owned(),
        arguments: vec![config.display().to_string()],
        folder,
        links: links(server.v4()),
    })
}
