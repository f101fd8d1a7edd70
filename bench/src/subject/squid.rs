//! squid, an HTTP proxy. Source: the configuration that it is installed with, `https_port`.

use std::path::Path;

use lab::Result;

use super::{Subject, here, said};
use crate::certificate::Certificate;
use crate::load::{Target, Tls};
use crate::world::World;

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let at = here(&world.server);
    one(&format!("http_port {at}"), Target::connect(at, None, world.datacentre()), program, world)
}

/// One to which browsers speak TLS.
pub(super) fn prepare_tls(
    program: &Path,
    world: &World,
    certificate: &Certificate,
) -> Result<Subject> {
    let at = here(&world.server);
    let Certificate { chain, key, roots, .. } = certificate;
    let (chain, key) = (chain.display(), key.display());
    let target = Target::tls_connect(at, Tls::new(roots, "http/1.1")?, None, world.datacentre());
    one(&format!("https_port {at} tls-cert={chain} tls-key={key}"), target, program, world)
}

/// The configuration of one that listens so.
pub(super) fn config(listen: &str) -> String {
    format!(
        "{listen}\nacl SSL_ports port 443\nhttp_access deny CONNECT !SSL_ports\n\
         http_access allow all\naccess_log none\ncache_log stdio:/dev/null\npid_filename none\n\
         pinger_enable off\nmax_filedescriptors 20000\n"
    )
}

fn one(listen: &str, target: Target, program: &Path, world: &World) -> Result<Subject> {
    let folder = world.server.folder()?;
    let config = config(listen);
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
        targets: vec![target],
    })
}
