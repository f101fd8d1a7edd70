//! squid, an HTTP proxy. Source: the configuration that it is installed with.

use std::path::Path;

use lab::Result;

use super::{Subject, here, said};
use crate::load::Target;
use crate::world::World;

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let folder = world.server.folder()?;
    let at = here(&world.server);
    let config = format!(
        "http_port {at}\nacl SSL_ports port 443\nhttp_access deny CONNECT !SSL_ports\n\
         http_access allow all\naccess_log none\ncache_log stdio:/dev/null\npid_filename none\n\
         pinger_enable off\nmax_filedescriptors 20000\n"
    );
    std::fs::write(folder.join("squid.conf"), &config)?;
    Ok(Subject {
        name: "squid",
        version: said(program, &["-v"])?,
        settings: format!("# squid -N -f squid.conf\n{config}"),
        program: program.to_owned(),
        arguments: ["-N", "-f", "squid.conf"].map(str::to_owned).into(),
        user: None,
        helper: None,
        folder,
        targets: vec![Target::connect(at, None, world.datacentre())],
    })
}
