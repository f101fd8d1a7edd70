//! tinyproxy, an HTTP proxy with a thread for each connection. Source: tinyproxy.conf(5).

use std::path::Path;

use lab::Result;

use super::{PORT, Subject, here, said};
use crate::load::Target;
use crate::world::World;

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let folder = world.server.folder()?;
    let ip = world.server.v4();
    let config = format!(
        "User tinyproxy\nGroup tinyproxy\nListen {ip}\nPort {PORT}\nTimeout 600\n\
         LogLevel Critical\nMaxClients 9000\n"
    );
    std::fs::write(folder.join("tinyproxy.conf"), &config)?;
    Ok(Subject {
        name: "tinyproxy",
        version: said(program, &["-v"])?,
        settings: format!("# tinyproxy -d -c tinyproxy.conf\n{config}"),
        program: program.to_owned(),
        arguments: ["-d", "-c", "tinyproxy.conf"].map(str::to_owned).into(),
        user: None,
        helper: None,
        folder,
        targets: vec![Target::connect(here(&world.server), None, world.datacentre())],
    })
}
