//! shadowsocks-libev. What is measured is its server; the user has its client. Source: ss-server(1),
//! ss-local(1).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use lab::Result;

use super::{PORT, SECRET, Subject, said};
use crate::load::Target;
use crate::world::World;

/// Where the user's client takes SOCKS5.
const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1081);

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let (ip, port, local) =
        (world.server.v4().to_string(), PORT.to_string(), CLIENT.port().to_string());
    let common = ["-s", &ip, "-p", &port, "-k", SECRET, "-m", "chacha20-ietf-poly1305"];
    let server: Vec<String> = common.map(str::to_owned).into();
    let client = [&common[..], &["-b", "127.0.0.1", "-l", &local]].concat();
    Ok(Subject {
        name: "shadowsocks-libev",
        version: said(program, &["-h"])?,
        settings: format!(
            "# ss-server {}\n# for the user, not measured: ss-local {}\n",
            server.join(" "),
            client.join(" ")
        ),
        program: program.to_owned(),
        arguments: server,
        user: None,
        helper: Some((
            program.with_file_name("ss-local"),
            client.into_iter().map(str::to_owned).collect(),
        )),
        folder: world.server.folder()?,
        targets: vec![Target::shadowsocks(CLIENT, world.datacentre())],
    })
}
