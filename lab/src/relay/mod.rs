//! The real `jaryq`, on a host of the lab.

mod diagnosis;
mod key;
mod process;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

pub use diagnosis::Diagnosis;
pub use key::{Form, Key, WebKey, forged};
pub(crate) use process::Process;

use crate::error::{Doing, Error, Result};
use crate::host::Host;
use crate::tools;

/// How long a relay may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A relay that is still to be started.
#[derive(Debug)]
pub struct Plan<'a> {
    host: &'a Host,
    ports: String,
    state: Option<PathBuf>,
    arguments: Vec<String>,
    limits: Vec<String>,
    capabilities: Option<String>,
    settings: Option<PathBuf>,
    environment: Vec<(String, String)>,
}

impl Plan<'_> {
    /// The ports that it is to listen on, as its `--ports` takes them.
    #[must_use]
    pub fn ports(mut self, ports: &str) -> Self {
        ports.clone_into(&mut self.ports);
        self
    }

    /// Where it is to send strangers: the name of a website, and its port if that is not 443.
    #[must_use]
    pub fn mask(self, site: &str) -> Self {
        self.arguments(&["--mask", site])
    }

    /// Whatever else its `up` is to be given.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        let owned = arguments.iter().map(|&argument| argument.to_owned());
        self.arguments.extend(owned);
        self
    }

    /// How many files it may have open, connections among them.
    #[must_use]
    pub fn open_files(mut self, most: u32) -> Self {
        self.limits.push(format!("--nofile={most}:{most}"));
        self
    }

    /// How many bytes of memory of its own it may have.
    #[must_use]
    pub fn memory(mut self, most: u64) -> Self {
        self.limits.push(format!("--data={most}:{most}"));
        self
    }

    /// Runs it as its service does: as a user, with the capabilities that the unit gives and no way to
    /// others.
    #[must_use]
    pub fn as_service(self) -> Self {
        self.as_user(CAPABILITIES)
    }

    /// Runs it as a user with these capabilities, as setpriv(1) names them.
    #[must_use]
    pub fn as_user(self, capabilities: &str) -> Self {
        Self { capabilities: Some(capabilities.to_owned()), ..self }
    }

    /// Has it take its ports, and whatever else is not given here, from this file.
    #[must_use]
    pub fn settings(self, file: &Path) -> Self {
        Self { settings: Some(file.to_owned()), ..self }
    }

    /// A variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where it keeps its keys, if not in a new folder.
    #[must_use]
    pub fn state(self, state: &Path) -> Self {
        Self { state: Some(state.to_owned()), ..self }
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not built, and when it does not come up.
    pub fn start(self) -> Result<Relay> {
        let state = match &self.state {
            Some(state) => state.clone(),
            None => self.host.folder()?.join("state"),
        };
        Relay::start(&self, state)
    }

    fn launch(&self, state: &Path) -> Result<Process> {
        let mut arguments = vec!["up", "--json"];
        if self.settings.is_none() {
            arguments.extend(["--ports", &self.ports]);
        }
        let mut command = jaryq(&self.limits, &arguments, state)?;
        if let Some(capabilities) = &self.capabilities {
            command = as_user(&command, state, capabilities)?;
        }
        if let Some(file) = &self.settings {
            command.arg("--config").arg(file);
        }
        let addresses = self.host.addresses().iter().map(IpAddr::to_string);
        command
            .args(["--address", &addresses.collect::<Vec<_>>().join(",")])
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::start(self.host, command)
    }
}

/// A running relay; dropped, it is killed.
#[derive(Debug)]
pub struct Relay {
    owner: Owner,
    process: Process,
    ready: Value,
}

impl Relay {
    /// A relay on this host, on all its addresses, with the ports 443 and 8443 unless others are
    /// asked for.
    #[must_use]
    pub fn on(host: &Host) -> Plan<'_> {
        Plan {
            host,
            ports: "443,8443".to_owned(),
            state: None,
            arguments: Vec::new(),
            limits: Vec::new(),
            capabilities: None,
            settings: None,
            environment: Vec::new(),
        }
    }

    fn start(plan: &Plan<'_>, state: PathBuf) -> Result<Self> {
        let process = plan.launch(&state)?;
        let ready = process.event("ready", PATIENCE)?;
        Ok(Self { owner: Owner { host: plan.host.clone(), state }, process, ready })
    }

    /// The first key that it printed when it came up.
    ///
    /// # Errors
    /// When it printed none.
    pub fn key(&self) -> Result<Key> {
        let mut keys = Key::all_in(&self.ready).into_iter();
        let none = || Error::Unexpected(format!("no key in {}", self.ready));
        keys.next().ok_or_else(none)
    }

    /// What it said of itself when it came up.
    #[must_use]
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// Who started it, and can do things at its command line.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner.clone()
    }

    /// See [`Owner::new_key`].
    ///
    /// # Errors
    /// When the command fails or prints no key.
    pub fn new_key(&self) -> Result<Key> {
        self.owner.new_key()
    }

    /// See [`Owner::new_web_key`].
    ///
    /// # Errors
    /// When the command fails or prints no such key.
    pub fn new_web_key(&self) -> Result<WebKey> {
        self.owner.new_web_key()
    }

    /// Takes a key back.
    ///
    /// # Errors
    /// When the command fails.
    pub fn revoke(&self, key: &Key) -> Result {
        self.command(&["key", "revoke", &key.id, "--json"])?;
        Ok(())
    }

    /// See [`Owner::command`].
    ///
    /// # Errors
    /// When it fails.
    pub fn command(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        self.owner.command(arguments)
    }

    /// See [`Owner::text`].
    ///
    /// # Errors
    /// When it fails.
    pub fn text(&self, arguments: &[&str]) -> Result<String> {
        self.owner.text(arguments)
    }

    /// See [`Owner::doctor`].
    ///
    /// # Errors
    /// When it prints no diagnosis.
    pub fn doctor(&self, arguments: &[&str]) -> Result<Diagnosis> {
        self.owner.doctor(arguments)
    }

    /// Waits for an event that it prints.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn event(&self, name: &str, limit: Duration) -> Result<Value> {
        self.process.event(name, limit)
    }

    /// Waits for a notice of this kind.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn notice(&self, kind: &str, limit: Duration) -> Result<Value> {
        self.process.find(&format!("notice {kind}"), limit, |event| {
            event["event"] == "notice" && event["kind"] == kind
        })
    }

    /// All events of this name that it has printed so far.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<Value> {
        self.process.events(name)
    }

    /// The memory that it holds now, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<u64> {
        self.process.memory()
    }

    /// Its process, as the machine numbers it.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Where it keeps its keys.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.owner.state
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result {
        self.process.signal(signal)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.ended(limit)
    }

    /// Kills it without a warning and starts it again on the same state, with the same arguments.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn crash_and_restart(self, plan: &Plan<'_>) -> Result<Self> {
        let Self { process, owner, .. } = self;
        drop(process);
        owner.start(plan)
    }
}

/// Whoever has a relay's state: what people do at its command line, whether it runs or not.
#[derive(Clone, Debug)]
pub struct Owner {
    host: Host,
    state: PathBuf,
}

impl Owner {
    pub(crate) fn of(host: &Host, state: PathBuf) -> Self {
        Self { host: host.clone(), state }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Starts a relay on that state again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&self, plan: &Plan<'_>) -> Result<Relay> {
        Relay::start(plan, self.state.clone())
    }

    /// Starts a relay on that state and kills it after so long, whatever it is doing then.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not built.
    pub fn start_and_kill(&self, plan: &Plan<'_>, after: Duration) -> Result {
        let process = plan.launch(&self.state)?;
        std::thread::sleep(after);
        drop(process);
        Ok(())
    }

    /// Makes another key, as its owner would, while it runs.
    ///
    /// # Errors
    /// When the command fails or prints no key.
    pub fn new_key(&self) -> Result<Key> {
        let printed = self.command(&["key", "new", "--json"])?;
        let none = || Error::Unexpected(format!("no key in {printed:?}"));
        printed.iter().flat_map(Key::all_in).next().ok_or_else(none)
    }

    /// Makes a key for browsers and other apps, as its owner would, while it runs.
    ///
    /// # Errors
    /// When the command fails or prints no such key.
    pub fn new_web_key(&self) -> Result<WebKey> {
        let printed = self.command(&["key", "new", "--for", "web", "--cleartext", "--json"])?;
        let none = || Error::Unexpected(format!("no key in {printed:?}"));
        printed.iter().find_map(WebKey::in_object).ok_or_else(none)
    }

    /// Runs another verb of `jaryq` on this relay's state; the objects that it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn command(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let parse = |line: &str| {
            serde_json::from_str(line)
                .map_err(|error| Error::Unexpected(format!("jaryq printed {line}: {error}")))
        };
        let (printed, _) = self.output(arguments)?;
        printed.lines().map(parse).collect()
    }

    /// The same for a verb that prints text; everything that it wrote, errors too.
    ///
    /// # Errors
    /// When it fails.
    pub fn text(&self, arguments: &[&str]) -> Result<String> {
        let (printed, errors) = self.output(arguments)?;
        Ok(printed + &errors)
    }

    /// Starts another verb and does not wait for it; what it prints is kept for whoever waits.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not built.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = jaryq(&[], arguments, &self.state)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.host.spawn(command)
    }

    /// Lets its doctor look, which is given these arguments too.
    ///
    /// # Errors
    /// When it prints no diagnosis.
    pub fn doctor(&self, arguments: &[&str]) -> Result<Diagnosis> {
        let (printed, errors, healthy) = self.said(&[&["doctor", "--json"], arguments].concat())?;
        Diagnosis::read(&printed, healthy)
            .map_err(|error| Error::Unexpected(format!("{error}; {errors}")))
    }

    fn output(&self, arguments: &[&str]) -> Result<(String, String)> {
        let (printed, errors, success) = self.said(arguments)?;
        if success {
            return Ok((printed, errors));
        }
        let command = format!("jaryq {}", arguments.join(" "));
        Err(Error::Command { command, said: printed + &errors })
    }

    /// What a verb printed, what it complained of, and whether it ended well.
    fn said(&self, arguments: &[&str]) -> Result<(String, String, bool)> {
        let output = self.spawn(arguments)?.wait_with_output().doing("waiting for jaryq")?;
        let text = |said: &[u8]| String::from_utf8_lossy(said).into_owned();
        Ok((text(&output.stdout), text(&output.stderr), output.status.success()))
    }
}

/// The program itself, as it was built.
///
/// # Errors
/// [`Error::Missing`] when it is not built.
pub fn program() -> Result<PathBuf> {
    tools::find("JARYQ_BIN", "target/debug/jaryq", "no jaryq (cargo build)")
}

/// A command with these settings and no others, whatever the machine's own relay has.
pub(crate) fn jaryq(limits: &[String], arguments: &[&str], state: &Path) -> Result<Command> {
    let program = program()?;
    let mut command = if limits.is_empty() {
        Command::new(program)
    } else {
        let mut limited = Command::new("prlimit");
        limited.args(limits).arg(program);
        limited
    };
    for setting in [
        "ADDRESS",
        "PORTS",
        "MASK",
        "DATACENTRES",
        "STATE",
        "CLEARTEXT_PORT",
        "EGRESS_PORTS",
        "METRICS",
        "JOIN",
        "MONTHLY_TRAFFIC",
        "MONTHLY_MONEY",
        "PRICE_PER_TB",
        "HOME",
        "PASSPHRASE_FILE",
    ] {
        command.env_remove(format!("JARYQ_{setting}"));
    }
    let config = state.with_extension("toml");
    // A relay that runs would read it again.
    if !config.exists() {
        std::fs::write(&config, "").doing("writing an empty configuration")?;
    }
    command.args(arguments).arg("--state").arg(state).arg("--config").arg(config);
    Ok(command)
}

/// What the unit gives, as setpriv(1) names it.
const CAPABILITIES: &str = "-all,+bpf,+net_admin,+net_bind_service,+net_raw";
/// The user as which a relay runs that is a service, and its group: one that has no name, as good as
/// any other.
pub const USER: u32 = 64_001;

/// The same command, run by a user.
fn as_user(command: &Command, state: &Path, capabilities: &str) -> Result<Command> {
    tools::need("setpriv")?;
    std::fs::create_dir_all(state).doing("making a folder")?;
    std::os::unix::fs::chown(state, Some(USER), Some(USER)).doing("giving a folder away")?;
    let mut service = Command::new("setpriv");
    service
        .args([format!("--reuid={USER}"), format!("--regid={USER}")])
        .args(["--clear-groups", "--no-new-privs"])
        .args(
            ["inh-caps", "ambient-caps", "bounding-set"]
                .map(|set| format!("--{set}={capabilities}")),
        )
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => service.env(name, value),
            None => service.env_remove(name),
        };
    }
    Ok(service)
}
