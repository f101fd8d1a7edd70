//! microsocks, SOCKS5 with a thread for each connection. Source: its `-h`.

use std::path::Path;

use lab::Result;

use super::{PORT, SECRET, Subject, USER, here, login};
use crate::load::Target;
use crate::world::World;

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let (ip, port) = (world.server.v4().to_string(), PORT.to_string());
    let arguments = ["-i", &ip, "-p", &port, "-u", USER, "-P", SECRET].map(str::to_owned);
    Ok(Subject {
        name: "microsocks",
        version: "microsocks (does not tell its version)".to_owned(),
        settings: format!("# microsocks {}\n", arguments.join(" ")),
        program: program.to_owned(),
        arguments: arguments.into(),
        user: None,
        helper: None,
        folder: world.server.folder()?,
        targets: vec![Target::socks5(here(&world.server), Some(login()), world.datacentre())],
    })
}
