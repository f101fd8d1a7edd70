//! A proxy that can be started: ours, and each rival as its own documents say.
//!
//! All have the same task: to take a user to the datacentre. Everything that they need not be told
//! for that is as each program has it by default; what they are told is in the report.

mod dante;
mod haproxy;
mod jaryq;
mod microsocks;
mod mtprotoproxy;
mod nghttpx;
mod shadowsocks;
mod squid;
mod telemt;
mod tinyproxy;
mod v2ray;

use std::env;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use lab::{Error, Host, Result};

use crate::certificate::Certificate;
use crate::load::{self, Login, Target};
use crate::process::Tree;
use crate::way::Way;
use crate::world::World;

pub(crate) use haproxy::{NAME as FLOOR, SPLICE};
pub(crate) use jaryq::{NAME as OURS, on_all_ports, with_plain_listener};

/// Where every proxy listens.
const PORT: u16 = 8443;
/// Where those listen that take a second protocol on a second port.
const SECOND_PORT: u16 = 8444;
/// The secret of those who are told it; made up, as are the names.
const SECRET: &str = "3b7c1f9a52e84d06b1fa60c9d2e7385c";
const MASK_NAME: &str = "example.com";
const USER: &str = "bench";
/// How long a proxy may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A rival, as the command line names it.
#[derive(Clone, Debug)]
pub(crate) struct Rival {
    kind: Kind,
    program: PathBuf,
}

/// A program that we know how to configure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Haproxy,
    Squid,
    Microsocks,
    Dante,
    Shadowsocks,
    Tinyproxy,
    V2ray,
    Mtprotoproxy,
    Telemt,
    Nghttpx,
}

impl Kind {
    /// Proxies for Telegram's own protocol.
    pub(crate) const TELEGRAM: [Self; 2] = [Self::Mtprotoproxy, Self::Telemt];
    /// Those that take TLS off.
    pub(crate) const TLS: [Self; 3] = [Self::Haproxy, Self::Squid, Self::Nghttpx];
    /// Those for everything without it.
    pub(crate) const ALL: [Self; 9] = [
        Self::Haproxy,
        Self::Squid,
        Self::Microsocks,
        Self::Dante,
        Self::Shadowsocks,
        Self::Tinyproxy,
        Self::V2ray,
        Self::Mtprotoproxy,
        Self::Telemt,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Squid => "squid",
            Self::Microsocks => "microsocks",
            Self::Dante => "dante",
            Self::Shadowsocks => "shadowsocks-libev",
            Self::Tinyproxy => "tinyproxy",
            Self::V2ray => "v2ray",
            Self::Mtprotoproxy => "mtprotoproxy",
            Self::Telemt => "telemt",
            Self::Nghttpx => "nghttpx",
        }
    }

    /// What its program is called where it is installed; no distribution has the last two.
    const fn program(self) -> Option<&'static str> {
        match self {
            Self::Haproxy
            | Self::Squid
            | Self::Microsocks
            | Self::Tinyproxy
            | Self::V2ray
            | Self::Nghttpx => Some(self.name()),
            Self::Dante => Some("danted"),
            Self::Shadowsocks => Some("ss-server"),
            Self::Mtprotoproxy | Self::Telemt => None,
        }
    }

    fn prepare(self, program: &Path, wanted: &Wanted<'_>, world: &World) -> Result<Vec<Subject>> {
        if let Some(certificate) = wanted.certificate {
            return self.prepare_tls(program, world, certificate).map(|subject| vec![subject]);
        }
        Ok(match self {
            Self::Haproxy => haproxy::prepare(program, world)?.into(),
            Self::Squid => vec![squid::prepare(program, world)?],
            Self::Microsocks => vec![microsocks::prepare(program, world)?],
            Self::Dante => vec![dante::prepare(program, world)?],
            Self::Shadowsocks => vec![shadowsocks::prepare(program, world)?],
            Self::Tinyproxy => vec![tinyproxy::prepare(program, world)?],
            Self::V2ray => vec![v2ray::prepare(program, world)?],
            Self::Mtprotoproxy => vec![mtprotoproxy::prepare(wanted.python, program, world)?],
            Self::Telemt => vec![telemt::prepare(program, world)?],
            Self::Nghttpx => return Err(self.is_not_for("anything without TLS")),
        })
    }

    fn prepare_tls(
        self,
        program: &Path,
        world: &World,
        certificate: &Certificate,
    ) -> Result<Subject> {
        match self {
            Self::Haproxy => haproxy::prepare_tls(program, world, certificate),
            Self::Squid => squid::prepare_tls(program, world, certificate),
            Self::Nghttpx => nghttpx::prepare_tls(program, world, certificate),
            _ => Err(self.is_not_for("TLS")),
        }
    }

    fn is_not_for(self, what: &str) -> Error {
        Error::Unexpected(format!("{} is not for {what}", self.name()))
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let mut all = Self::ALL.into_iter().chain([Self::Nghttpx]);
        let names = || all.clone().map(Self::name).collect::<Vec<_>>().join(", ");
        let none = format!("'{name}' is none of {}", names());
        all.find(|kind| kind.name() == name).ok_or(none)
    }
}

impl FromStr for Rival {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, program) = text.split_once('=').ok_or("write NAME=FILE")?;
        Ok(Self { kind: name.parse()?, program: program.into() })
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
    /// As which user and group it is started, if not as root.
    user: Option<(u32, u32)>,
    /// A program of its own that the user needs for it.
    helper: Option<(PathBuf, Vec<String>)>,
    /// Where it runs.
    folder: PathBuf,
    targets: Vec<Target>,
}

/// Which programs are to be measured beside ours, and where they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) jaryq: &'a Path,
    pub(crate) kinds: &'a [Kind],
    /// What the command line names.
    pub(crate) rivals: &'a [Rival],
    pub(crate) python: &'a Path,
    /// Where everybody is to take TLS off, what they show.
    pub(crate) certificate: Option<&'a Certificate>,
}

impl Wanted<'_> {
    /// Ours and those of the rivals that are to be had; and the names of those that are not.
    pub(crate) fn prepare(&self, world: &World) -> Result<(Vec<Subject>, Vec<&'static str>)> {
        let ours = match self.certificate {
            Some(certificate) => jaryq::prepare_tls(self.jaryq, world, certificate)?,
            None => jaryq::prepare(self.jaryq, world)?,
        };
        let mut subjects = vec![ours];
        let mut missing = Vec::new();
        for &kind in self.kinds {
            let given = self.rivals.iter().find(|rival| rival.kind == kind);
            let program = match given {
                Some(Rival { program, .. }) => program.canonicalize().map_err(|error| {
                    Error::Missing(format!("cannot find {}: {error}", program.display()))
                })?,
                None => match kind.program().and_then(installed) {
                    Some(program) => program,
                    None => {
                        missing.push(kind.name());
                        continue;
                    }
                },
            };
            subjects.extend(kind.prepare(&program, self, world)?);
        }
        // Made for this run, and no matter to a reader.
        let vouched = self.certificate.and_then(|certificate| certificate.chain.parent());
        for subject in &mut subjects {
            for folder in vouched.into_iter().chain([&*subject.folder]) {
                let folder = folder.display().to_string();
                subject.settings = subject.settings.replace(&folder, "FOLDER");
            }
        }
        Ok((subjects, missing))
    }
}

pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Not everybody's path leads to what only root starts.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|program| program.exists())
}

impl Subject {
    /// The ways that it knows.
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> {
        self.targets.iter().map(Target::way)
    }

    /// Where the user goes on this way.
    pub(crate) fn target(&self, way: Way) -> Result<&Target> {
        let none = || Error::Unexpected(format!("{} does not know {}", self.name, way.name()));
        self.targets.iter().find(|target| target.way() == way).ok_or_else(none)
    }

    /// Starts it; tells how long it took until a connection through it was answered.
    pub(crate) fn start(&self, world: &World, target: &Target) -> Result<(Running, Duration)> {
        let command = self.command()?;
        let started = Instant::now();
        let mut running = Running(vec![world.server.spawn(command)?]);
        if let Some((program, arguments)) = &self.helper {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(&self.folder);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            running.0.push(world.user.spawn(command)?);
        }
        load::answers(&world.user, target, started + PATIENCE)?;
        Ok((running, started.elapsed()))
    }

    fn command(&self) -> Result<Command> {
        let log = File::create(self.folder.join("log"))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some((user, group)) = self.user {
            // Root's home is closed to others.
            command.uid(user).gid(group).env("HOME", &self.folder);
        }
        Ok(command)
    }
}

/// A running proxy, and after it what the user needs for it; dropped, they are killed.
#[derive(Debug)]
pub(crate) struct Running(Vec<Child>);

impl Running {
    /// Of a program that is no proxy.
    pub(crate) fn of(child: Child) -> Self {
        Self(vec![child])
    }

    /// The proxy's processes.
    pub(crate) fn tree(&self) -> Tree {
        Tree::of(&self.0[0])
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            Tree::of(child).kill();
            let _ = child.wait();
        }
    }
}

/// What a program prints when it is asked, in its first line.
pub(crate) fn said(program: &Path, arguments: &[&str]) -> Result<String> {
    let missing = |error| Error::Missing(format!("cannot run {}: {error}", program.display()));
    let output = Command::new(program).args(arguments).output().map_err(missing)?;
    let all = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&all);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(line.unwrap_or_default().to_owned())
}

/// Where every proxy is to be reached.
fn here(server: &Host) -> SocketAddr {
    (server.v4(), PORT).into()
}

/// The user of proxies that ask who it is.
fn login() -> Login {
    Login { name: USER.to_owned(), password: SECRET.to_owned() }
}

/// The ways of a Telegram proxy that takes the secret that it is given.
fn telegram(server: &Host) -> Result<Vec<Target>> {
    let name = data_encoding::HEXLOWER.encode(MASK_NAME.as_bytes());
    let server = server.v4();
    [SECRET.to_owned(), format!("dd{SECRET}"), format!("ee{SECRET}{name}")]
        .map(|secret| format!("tg://proxy?server={server}&port={PORT}&secret={secret}"))
        .iter()
        .map(|link| Target::link(link))
        .collect()
}
