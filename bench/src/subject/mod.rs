//! A proxy that can be started: ours, and each rival as its own documents say.
//!
//! All have the same task: plain, dd and ee with one secret, straight to the datacentres, fast mode,
//! no advertising tag, no website behind them (there is none in the lab, and nobody who fails to
//! authenticate is measured). Everything else is as each program has it by default.

mod jaryq;
mod mtprotoproxy;
mod telemt;

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use lab::relay::Form;
use lab::{Error, Host, Result};

use crate::Options;
use crate::load::{Connection, Target};
use crate::process::Tree;

/// Where every proxy listens.
const PORT: u16 = 8443;
/// The secret of those who are told it; made up, as is the name.
const SECRET: &str = "3b7c1f9a52e84d06b1fa60c9d2e7385c";
const NAME: &str = "example.com";
/// How long a proxy may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A rival, as the command line names it.
#[derive(Clone, Debug)]
pub(crate) struct Rival {
    kind: Kind,
    program: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Mtprotoproxy,
    Telemt,
}

/// Every rival that we know how to configure.
const KINDS: [(&str, Kind); 2] = [("mtprotoproxy", Kind::Mtprotoproxy), ("telemt", Kind::Telemt)];

impl FromStr for Rival {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, program) = text.split_once('=').ok_or("write NAME=FILE")?;
        let known = KINDS.iter().find(|(known, _)| *known == name);
        let (_, kind) = known.ok_or_else(|| {
            format!("'{name}' is none of {}", KINDS.map(|(known, _)| known).join(", "))
        })?;
        Ok(Self { kind: *kind, program: program.into() })
    }
}

/// A proxy, ready to be started.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// What it was told that its defaults do not say.
    pub(crate) settings: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// Where it runs.
    folder: PathBuf,
    links: Vec<String>,
}

/// Ours and those of the rivals that were given.
pub(crate) fn all(options: &Options, server: &Host) -> Result<Vec<Subject>> {
    let mut all = vec![jaryq::prepare(&options.jaryq, server)?];
    for Rival { kind, program } in &options.rivals {
        let program = program.canonicalize().map_err(|error| {
            Error::Missing(format!("cannot find {}: {error}", program.display()))
        })?;
        all.push(match kind {
            Kind::Mtprotoproxy => mtprotoproxy::prepare(&options.python, &program, server)?,
            Kind::Telemt => telemt::prepare(&program, server)?,
        });
    }
    Ok(all)
}

/// The rivals that were not given.
pub(crate) fn skipped(options: &Options) -> Vec<&'static str> {
    let given = |kind| options.rivals.iter().any(|rival| rival.kind == kind);
    KINDS.iter().filter(|(_, kind)| !given(*kind)).map(|(name, _)| *name).collect()
}

impl Subject {
    /// Where the user goes with this form.
    pub(crate) fn target(&self, form: Form) -> Result<Target> {
        let wanted = |target: &Target| target.form() == Some(form);
        let targets =
            self.links.iter().map(|link| Target::link(link)).collect::<Result<Vec<_>>>()?;
        let none = || Error::Unexpected(format!("{} has no {form:?} link", self.name));
        targets.into_iter().find(wanted).ok_or_else(none)
    }

    /// Starts it; tells how long it took until a connection through it was answered.
    pub(crate) fn start(
        &self,
        server: &Host,
        user: &Host,
        target: &Target,
    ) -> Result<(Running, Duration)> {
        let command = self.command()?;
        let started = Instant::now();
        let running = Running(server.spawn(command)?);
        let target = target.clone();
        user.run(async move || {
            while let Err(error) = Connection::establish(&target) {
                if started.elapsed() > PATIENCE {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })?;
        Ok((running, started.elapsed()))
    }

    fn command(&self) -> Result<Command> {
        let log = File::create(self.folder.join("log"))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}

/// A running proxy; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn tree(&self) -> Tree {
        Tree::of(&self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program prints when it is asked.
fn said(program: &Path, arguments: &[&str]) -> Result<String> {
    let missing = |error| Error::Missing(format!("cannot run {}: {error}", program.display()));
    let output = Command::new(program).args(arguments).output().map_err(missing)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The links of a proxy that takes the secret that it is given.
fn links(server: IpAddr) -> Vec<String> {
    let name = data_encoding::HEXLOWER.encode(NAME.as_bytes());
    [SECRET.to_owned(), format!("dd{SECRET}"), format!("ee{SECRET}{name}")]
        .map(|secret| format!("tg://proxy?server={server}&port={PORT}&secret={secret}"))
        .into()
}
