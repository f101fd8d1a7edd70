//! v2ray, in Go, with SOCKS5 and HTTP. Source: the configuration that it is installed with.

use std::path::Path;

use lab::Result;
use serde_json::json;

use super::{PORT, SECOND_PORT, SECRET, Subject, USER, here, login, said};
use crate::load::Target;
use crate::world::World;

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let folder = world.server.folder()?;
    let account = json!([{ "user": USER, "pass": SECRET }]);
    let inbound = |port, protocol, settings| json!({ "listen": world.server.v4(), "port": port, "protocol": protocol, "settings": settings });
    let config = json!({
        "log": { "access": "none", "loglevel": "warning" },
        "inbounds": [
            inbound(PORT, "socks", json!({ "auth": "password", "accounts": account })),
            inbound(SECOND_PORT, "http", json!({ "accounts": account })),
        ],
        "outbounds": [{ "protocol": "freedom" }],
    })
    .to_string();
    std::fs::write(folder.join("config.json"), &config)?;
    let at = here(&world.server);
    let http = Target::connect(at, Some(login()), world.datacentre()).at_port(SECOND_PORT);
    Ok(Subject {
        name: "v2ray",
        version: said(program, &["-version"])?,
        settings: format!("# v2ray -config config.json\n{config}\n"),
        program: program.to_owned(),
        arguments: ["-config", "config.json"].map(str::to_owned).into(),
        user: None,
        helper: None,
        folder,
        targets: vec![Target::socks5(at, Some(login()), world.datacentre()), http],
    })
}
