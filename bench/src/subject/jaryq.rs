//! Ours, started as a volunteer starts it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lab::{Error, Host, Result};
use serde_json::Value;

use super::{PORT, Running, Subject, said};
use crate::load::{Login, Target};
use crate::world::World;

/// What it is called in the reports.
pub(crate) const NAME: &str = "jaryq";

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let program = program
        .canonicalize()
        .map_err(|_| Error::Missing(format!("no {} (cargo build --release)", program.display())))?;
    let server = &world.server;
    let folder = server.folder()?;
    let state = folder.join("state").display().to_string();
    let (address, port) = (server.v4().to_string(), PORT.to_string());
    let arguments = ["up", "--json", "--state", &state, "--address", &address, "--ports", &port]
        .map(str::to_owned);
    let mut subject = Subject {
        name: NAME,
        version: said(&program, &["--version"])?,
        settings: "# jaryq key new --for web --cleartext\n\
                   # jaryq up --json --state DIR --address ADDRESS --ports 8443\n"
            .to_owned(),
        program,
        arguments: arguments.into(),
        user: None,
        helper: None,
        folder,
        targets: Vec::new(),
    };
    subject.targets = telegram(&subject, server)?;
    subject.targets.extend(web(&subject, &state, world)?);
    Ok(subject)
}

/// The same with the same keys, without root and so with a listener of the usual kind: as root, even
/// one port is steered as all are.
pub(crate) fn with_plain_listener(subject: &Subject) -> Result<Subject> {
    let state = std::fs::metadata(subject.folder.join("state"))?;
    Ok(Subject { user: Some((state.uid(), state.gid())), ..subject.clone() })
}

/// The same with the same keys, on all ports of its machine.
pub(crate) fn on_all_ports(subject: &Subject) -> Subject {
    let mut all = subject.clone();
    if let Some(ports) = all.arguments.last_mut() {
        "all".clone_into(ports);
    }
    all
}

/// Starts it once for the links that it prints; its keys stay for the next times.
fn telegram(subject: &Subject, server: &Host) -> Result<Vec<Target>> {
    let mut command = subject.command()?;
    command.stdout(Stdio::piped());
    let mut running = Running(vec![server.spawn(command)?]);
    let mut line = String::new();
    if let Some(stdout) = running.0[0].stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let mut links = Vec::new();
    strings(&json(&line)?, &mut links);
    let mut targets: Vec<Target> =
        links.iter().filter_map(|link| Target::link(link).ok()).collect();
    // Each is printed as a tg: and as an https: link.
    targets.sort_by_key(Target::way);
    targets.dedup_by_key(|target| target.way());
    Ok(targets)
}

/// Makes a key for browsers and other apps, and reads what is printed for it.
fn web(subject: &Subject, state: &str, world: &World) -> Result<[Target; 2]> {
    let mut command = Command::new(&subject.program);
    command.args(["key", "new", "--for", "web", "--cleartext", "--json", "--state", state]);
    command.stdout(Stdio::piped());
    let output = world.server.output(command)?;
    let mut links = Vec::new();
    strings(&json(&String::from_utf8_lossy(&output.stdout))?, &mut links);
    let find = |scheme| {
        let url = links.iter().find_map(|link| link.strip_prefix(scheme));
        let (login, at) = url?.split_once('@')?;
        let (name, password) = login.split_once(':')?;
        let login = Login { name: name.to_owned(), password: password.to_owned() };
        Some((at.parse::<SocketAddr>().ok()?, Some(login)))
    };
    let none = || Error::Unexpected(format!("a key for the web has the links {links:?}"));
    let (socks5, login) = find("socks5://").ok_or_else(none)?;
    let (http, same) = find("http://").ok_or_else(none)?;
    let to = world.datacentre();
    Ok([Target::socks5(socks5, login, to), Target::connect(http, same, to)])
}

fn json(line: &str) -> Result<Value> {
    serde_json::from_str(line)
        .map_err(|error| Error::Unexpected(format!("jaryq printed '{line}': {error}")))
}

fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(inner) => inner.iter().for_each(|value| strings(value, into)),
        Value::Object(inner) => inner.values().for_each(|value| strings(value, into)),
        _ => {}
    }
}
