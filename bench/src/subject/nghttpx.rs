//! nghttpx, TLS and HTTP/2 in front of an HTTP proxy that has neither. Source: nghttpx(1),
//! `--http2-proxy`.

use std::path::Path;

use lab::{Error, Result};

use super::{PORT, Subject, here, installed, said, squid};
use crate::certificate::Certificate;
use crate::load::{Target, Tls};
use crate::world::World;

/// Where the proxy behind it listens.
const BEHIND: &str = "127.0.0.1:3128";

/// With squid behind it, as its own manual has it: together they are what is measured.
pub(super) fn prepare_tls(
    program: &Path,
    world: &World,
    certificate: &Certificate,
) -> Result<Subject> {
    let squid = installed("squid");
    let squid = squid.ok_or_else(|| Error::Missing("no squid behind nghttpx".to_owned()))?;
    let folder = world.server.folder()?;
    let config = squid::config(&format!("http_port {BEHIND}"));
    std::fs::write(folder.join("squid.conf"), &config)?;
    let (at, to) = (here(&world.server), world.datacentre());
    let Certificate { chain, key, roots, .. } = certificate;
    let (program, squid) = (program.display(), squid.display());
    let (chain, key, ip) = (chain.display(), key.display(), at.ip());
    // In the shell's place, with its child: both are counted. Without OCSP, for which the certificate
    // names nobody, and which would be asked for by programs of their own.
    let line = format!(
        "{squid} -N -f squid.conf & exec {program} --conf=/dev/null --http2-proxy --no-ocsp \
         --frontend={ip},{PORT} --backend={} --rlimit-nofile=20000 --accesslog-file=/dev/null \
         {key} {chain}",
        BEHIND.replace(':', ",")
    );
    Ok(Subject {
        name: "nghttpx and squid",
        version: said(Path::new(&program.to_string()), &["--version"])?,
        settings: format!("# {line}\n{config}"),
        program: "/bin/sh".into(),
        arguments: ["-c", &line].map(str::to_owned).into(),
        user: None,
        helper: None,
        folder,
        targets: vec![
            Target::tls_connect(at, Tls::new(roots, "http/1.1")?, None, to),
            Target::http2(at, Tls::new(roots, "h2")?, None, to),
        ],
    })
}
