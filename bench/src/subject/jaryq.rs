//! Ours, started as a volunteer starts it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lab::{Error, Host, Result};
use serde_json::Value;

use super::{PORT, Running, Subject, said};
use crate::certificate::{Certificate, NAME as DOMAIN};
use crate::load::{Login, Target, Tls};
use crate::world::World;

/// What it is called in the reports.
pub(crate) const NAME: &str = "jaryq";

/// Where it has to be for apps that dial no other port.
const HTTPS: u16 = 443;

pub(super) fn prepare(program: &Path, world: &World) -> Result<Subject> {
    let (mut subject, state) = start_from(program, world, PORT, &[])?;
    let telegram = telegram(&subject, &world.server)?;
    let links = web(&subject, &state, &["--cleartext"], world)?;
    let (socks5, login) = log_in(&links, "socks5://")?;
    let (http, same) = log_in(&links, "http://")?;
    let at = |text: &str| text.parse::<SocketAddr>().map_err(|_| none(&links));
    let to = world.datacentre();
    subject.targets = telegram;
    subject.targets.push(Target::socks5(at(socks5)?, Some(login), to));
    subject.targets.push(Target::connect(at(http)?, Some(same), to));
    Ok(subject)
}

/// With a website of its own.
pub(super) fn prepare_tls(
    program: &Path,
    world: &World,
    certificate: &Certificate,
) -> Result<Subject> {
    let Certificate { chain, key, .. } = certificate;
    let [chain, key] = [chain, key].map(|file| file.display().to_string());
    let own = ["--domain", DOMAIN, "--certificate", &chain, "--key", &key];
    let (mut subject, state) = start_from(program, world, HTTPS, &own)?;
    telegram(&subject, &world.server)?;
    let links = web(&subject, &state, &[], world)?;
    let (_, login) = log_in(&links, "https://")?;
    let (at, to) = (SocketAddr::from((world.server.v4(), HTTPS)), world.datacentre());
    let tls = |protocol| Tls::new(&certificate.roots, protocol);
    subject.targets = vec![
        Target::tls_connect(at, tls("http/1.1")?, Some(login.clone()), to),
        Target::http2(at, tls("h2")?, Some(login), to),
    ];
    if let Some(link) = links.iter().find(|link| link.starts_with("tg://webproxy?")) {
        subject.targets.push(Target::web(at, tls("http/1.1")?, link)?);
    }
    Ok(subject)
}

/// Ready but for its targets; and where it keeps its keys.
fn start_from(program: &Path, world: &World, port: u16, own: &[&str]) -> Result<(Subject, String)> {
    let program = program
        .canonicalize()
        .map_err(|_| Error::Missing(format!("no {} (cargo build --release)", program.display())))?;
    let folder = world.server.folder()?;
    let state = folder.join("state").display().to_string();
    let (address, port) = (world.server.v4().to_string(), port.to_string());
    let before = ["up", "--json", "--state", &state, "--address", &address];
    let arguments = [&before[..], own, &["--ports", &port]].concat();
    let key = if own.is_empty() { "web --cleartext" } else { "web" };
    let own = own.join(" ");
    let subject = Subject {
        name: NAME,
        version: said(&program, &["--version"])?,
        settings: format!(
            "# jaryq key new --for {key}\n\
             # jaryq up --json --state DIR --address ADDRESS {own} --ports {port}\n"
        )
        .replace("  ", " "),
        program,
        arguments: arguments.into_iter().map(str::to_owned).collect(),
        user: None,
        helper: None,
        folder,
        targets: Vec::new(),
    };
    Ok((subject, state))
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

/// Makes a key for browsers and other apps; gives the links that are printed for it.
fn web(subject: &Subject, state: &str, more: &[&str], world: &World) -> Result<Vec<String>> {
    let mut command = Command::new(&subject.program);
    command.args(["key", "new", "--for", "web", "--json", "--state", state]).args(more);
    command.stdout(Stdio::piped());
    let output = world.server.output(command)?;
    let mut links = Vec::new();
    strings(&json(&String::from_utf8_lossy(&output.stdout))?, &mut links);
    Ok(links)
}

/// Where the link of this kind leads that names a user, and that user.
fn log_in<'l>(links: &'l [String], scheme: &str) -> Result<(&'l str, Login)> {
    let found = links.iter().find_map(|link| {
        let (login, at) = link.strip_prefix(scheme)?.split_once('@')?;
        let (name, password) = login.split_once(':')?;
        Some((at, Login { name: name.to_owned(), password: password.to_owned() }))
    });
    found.ok_or_else(|| none(links))
}

fn none(links: &[String]) -> Error {
    Error::Unexpected(format!("a key for the web has the links {links:?}"))
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
