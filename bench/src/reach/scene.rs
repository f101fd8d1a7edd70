//! Where it is measured: a user at a provider, a border that lets out what it is told to, and abroad
//! a volunteer's relay that answers on all ports.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lab::world::Meter;
use lab::{Error, Gate, Home, Host, Lab, Provider, Result};
use serde_json::Value;
use wire::echo::Transport;

use crate::subject::Running;

/// The user that has no privileges, and no name either.
pub(super) const NOBODY: u32 = 64_002;
/// How long a relay may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// All of it.
pub(super) struct Scene {
    _lab: Lab,
    pub(super) provider: Provider,
    /// At the provider, with nothing in between.
    pub(super) user: Host,
    /// Somebody else there.
    pub(super) other: Host,
    /// The same behind a home's box, and that box.
    pub(super) at_home: Host,
    pub(super) home: Home,
    pub(super) relays: Vec<Relay>,
    pub(super) jaryq: PathBuf,
    /// The user's own folder, with the bundle and what they trust.
    pub(super) folder: PathBuf,
}

/// A relay, which is ended when this is dropped.
pub(super) struct Relay {
    pub(super) host: Host,
    state: PathBuf,
    _running: Running,
}

/// Volunteers' servers, and where each answers: one on all ports, one on a few.
const SERVERS: [(&str, &str); 2] =
    [("116.203.7.7", "all"), ("51.68.8.8", "443,80,179,646,3784,8443")];
/// The number of the latter.
pub(super) const FEW: usize = 1;

impl Scene {
    pub(super) fn new(jaryq: &Path) -> Result<Self> {
        let jaryq = jaryq.canonicalize().map_err(|_| {
            Error::Missing(format!("no {} (cargo build --release)", jaryq.display()))
        })?;
        let lab = Lab::new()?;
        let provider = Provider::on(&lab, "provider").start()?;
        let user = provider.phone("user")?;
        let other = provider.phone("other")?;
        let home = provider.home("home")?;
        let at_home = home.host("laptop")?;
        let relays = SERVERS
            .iter()
            .map(|(address, ports)| Relay::start(&jaryq, lab.host("server", &[address])?, ports))
            .collect::<Result<Vec<_>>>()?;
        let folder = user.folder()?;
        chown(&folder, Some(NOBODY), Some(NOBODY))?;
        let scene = Self { _lab: lab, provider, user, other, at_home, home, relays, jaryq, folder };
        for number in 0..scene.relays.len() {
            scene.make_bundle(number)?;
        }
        Ok(scene)
    }

    /// The relay that most is about.
    pub(super) fn server(&self) -> IpAddr {
        self.relays[0].host.v4()
    }

    /// The bundle of the relay with this number.
    pub(super) fn bundle(&self, number: usize) -> PathBuf {
        self.folder.join(format!("bundle-{number}"))
    }

    /// Has a relay's owner make a bundle, in the place of the one before, and the user trust it.
    pub(super) fn make_bundle(&self, number: usize) -> Result {
        let file = self.bundle(number);
        // No command overwrites one.
        let _ = fs::remove_file(&file);
        let Relay { host, state, .. } = &self.relays[number];
        let mut make = Command::new(&self.jaryq);
        make.args(["bundle", "make", "--json", "--output"]).arg(&file).arg("--state").arg(state);
        run(host, make)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        let mut trust = self.as_user();
        trust.arg(&self.jaryq).arg("trust").arg(&file).args(["--yes", "--json"]);
        run(&self.user, trust)
    }

    /// The beginning of a command of the user's, who has no privileges and a folder of their own.
    pub(super) fn as_user(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")])
            .args(["--clear-groups", "--no-new-privs"])
            .args(["inh-caps", "ambient-caps", "bounding-set"].map(|set| format!("--{set}=-all")))
            .env("HOME", &self.folder)
            .env("XDG_CONFIG_HOME", self.folder.join("config"))
            .current_dir(&self.folder);
        command
    }

    /// Counts what is sent to the relay from now on, whether it passes or not.
    pub(super) fn meter(&self, transport: Transport) -> Result<Meter> {
        let transport = match transport {
            Transport::Tcp => lab::censor::Transport::Tcp,
            Transport::Udp => lab::censor::Transport::Udp,
        };
        self.provider.meter(transport, self.server(), 1..=u16::MAX)
    }

    /// From now on the border lets out these ports and nothing else.
    pub(super) fn only<const T: usize, const U: usize>(
        &self,
        tcp: [u16; T],
        udp: [u16; U],
    ) -> Result {
        self.provider.set_gate(&Gate::shut().tcp(tcp).udp(udp))
    }
}

impl Relay {
    fn start(jaryq: &Path, host: Host, ports: &str) -> Result<Self> {
        let folder = host.folder()?;
        let state = folder.join("state");
        let config = folder.join("jaryq.toml");
        fs::write(&config, "")?;
        let mut command = Command::new(jaryq);
        command.args(["up", "--json", "--ports", ports, "--address", &host.v4().to_string()]);
        command.arg("--state").arg(&state).arg("--config").arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = host.spawn(command)?;
        let stdout = child.stdout.take();
        let running = Running::of(child);
        let (ready, wait) = mpsc::channel();
        thread::spawn(move || {
            let lines = stdout.into_iter().flat_map(|out| BufReader::new(out).lines());
            for line in lines.map_while(std::io::Result::ok) {
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                if said["event"] == "ready" {
                    let _ = ready.send(());
                }
            }
        });
        wait.recv_timeout(PATIENCE)
            .map_err(|_| Error::Unexpected("the relay does not come up".to_owned()))?;
        Ok(Self { host, state, _running: running })
    }
}

/// Runs a command that has to end well.
fn run(host: &Host, mut command: Command) -> Result {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = host.spawn(command)?;
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    if child.wait()?.success() {
        return Ok(());
    }
    Err(Error::Unexpected(format!("jaryq: {said}")))
}
