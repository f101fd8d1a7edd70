//! dante, SOCKS5 with processes. Source: danted.conf(5) and the file that it is installed with.

use std::path::Path;

use lab::Result;

use super::{PORT, Subject, here, said};
use crate::load::Target;
use crate::world::World;

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let folder = world.server.folder()?;
    let config = format!(
        "logoutput: /dev/null\nuser.privileged: proxy\nuser.unprivileged: nobody\n\
         internal: eth0 port = {PORT}\nexternal: eth0\nclientmethod: none\nsocksmethod: none\n\
         client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n"
    );
    std::fs::write(folder.join("danted.conf"), &config)?;
    Ok(Subject {
        name: "dante",
        version: said(program, &["-v"])?,
        settings: format!("# danted -f danted.conf\n{config}"),
        program: program.to_owned(),
        arguments: ["-f", "danted.conf"].map(str::to_owned).into(),
        user: None,
        helper: None,
        folder,
        targets: vec![Target::socks5(here(&world.server), None, world.datacentre())],
    })
}
