//! haproxy, which forwards a port: the floor of what a proxy of TCP costs. Source: its
//! configuration manual, `option splice-request`, `option splice-response`.

use std::path::Path;

use lab::Result;

use super::{Subject, here, said};
use crate::certificate::Certificate;
use crate::load::{Target, Tls};
use crate::world::World;

/// The one that has the kernel move the bytes.
pub(crate) const SPLICE: &str = "haproxy, splice";

pub(crate) const NAME: &str = "haproxy";

/// One with its defaults, one with forced splice.
pub(super) fn prepare(program: &Path, world: &World) -> Result<[Subject; 2]> {
    let splice = "    option splice-request\n    option splice-response\n";
    let forwarded = Target::forwarded(here(&world.server));
    let one = |name, options| one(name, "", options, forwarded.clone(), program, world);
    Ok([one(SPLICE, splice)?, one(NAME, "")?])
}

/// One that takes TLS off.
pub(super) fn prepare_tls(
    program: &Path,
    world: &World,
    certificate: &Certificate,
) -> Result<Subject> {
    let tls = Tls::new(&certificate.roots, "http/1.1")?;
    let target = Target::tls_forwarded(here(&world.server), tls);
    let listen = format!(" ssl crt {}", certificate.both.display());
    one(NAME, &listen, "", target, program, world)
}

fn one(
    name: &'static str,
    listen: &str,
    options: &str,
    target: Target,
    program: &Path,
    world: &World,
) -> Result<Subject> {
    let folder = world.server.folder()?;
    let (at, datacentre) = (here(&world.server), world.datacentre());
    let config = format!(
        "listen bench\n    mode tcp\n    bind {at}{listen}\n{options}    \
         timeout connect 10s\n    timeout client 10m\n    timeout server 10m\n    \
         server datacentre {datacentre}\n"
    );
    std::fs::write(folder.join("haproxy.cfg"), &config)?;
    Ok(Subject {
        name,
        version: said(program, &["-v"])?,
        settings: format!("# haproxy -db -f haproxy.cfg\n{config}"),
        program: program.to_owned(),
        arguments: ["-db", "-f", "haproxy.cfg"].map(str::to_owned).into(),
        user: None,
        helper: None,
        folder,
        targets: vec![target],
    })
}
