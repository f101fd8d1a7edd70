//! Ours, started as a volunteer starts it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use lab::{Error, Host, Result};
use serde_json::Value;

use super::{PORT, Running, Subject, said};
use crate::load::Target;

pub(super) fn prepare(program: &Path, server: &Host) -> Result<Subject> {
    let program = program
        .canonicalize()
        .map_err(|_| Error::Missing(format!("no {} (cargo build --release)", program.display())))?;
    let folder = server.folder()?;
    let state = folder.join("state").display().to_string();
    let (address, port) = (server.v4().to_string(), PORT.to_string());
    let arguments = ["up", "--json", "--state", &state, "--address", &address, "--ports", &port]
        .map(str::to_owned);
    let mut subject = Subject {
        name: "jaryq",
        version: said(&program, &["--version"])?,
        settings: "`jaryq up --json --state DIR --address ADDRESS --ports 8443`".to_owned(),
        program,
        arguments: arguments.into(),
        folder,
        links: Vec::new(),
    };
    subject.links = printed(&subject, server)?;
    Ok(subject)
}

/// Starts it once for the links that it prints; its keys stay for the next times.
fn printed(subject: &Subject, server: &Host) -> Result<Vec<String>> {
    let mut command = subject.command()?;
    command.stdout(Stdio::piped());
    let mut running = Running(server.spawn(command)?);
    let mut line = String::new();
    if let Some(stdout) = running.0.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let ready: Value = serde_json::from_str(&line)
        .map_err(|error| Error::Unexpected(format!("jaryq printed '{line}': {error}")))?;
    let mut links = Vec::new();
    collect(&ready, &mut links);
    Ok(links)
}

fn collect(value: &Value, links: &mut Vec<String>) {
    match value {
        Value::String(text) if Target::link(text).is_ok() => links.push(text.clone()),
        Value::Array(inner) => inner.iter().for_each(|value| collect(value, links)),
        Value::Object(inner) => inner.values().for_each(|value| collect(value, links)),
        _ => {}
    }
}
