//! Settings that change while a relay runs: the file is read again when it has changed, and at SIGHUP.
//! Nobody who is connected notices.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use ports::Refused;
use relay::{CourseSettings, Egress, Fleet, Networks};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::address;
use crate::announce::explain;
use crate::cleartext::InClear;
use crate::config::{Address, Asked, Config};
use crate::fleet;
use crate::watch::{Watch, tell};

/// What tells one version of a file from another: when it was written, how long it is, which it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp([i64; 2], u64, u64);

impl Stamp {
    /// None where there is no file, or none that may be looked at.
    fn of(file: &Path) -> Option<Self> {
        let found = fs::metadata(file).ok()?;
        Some(Self([found.mtime(), found.mtime_nsec()], found.len(), found.ino()))
    }
}

/// Looks whether settings have changed.
pub(crate) struct Reload<'a> {
    asked: &'a Asked,
    /// The version that was read last.
    read: Option<Stamp>,
    /// The version that was there at the last look: whoever writes a file may not be done.
    seen: Option<Stamp>,
    hangup: Arc<AtomicBool>,
}

impl<'a> Reload<'a> {
    /// Starts to listen for SIGHUP, which would end this process otherwise.
    pub(crate) fn new(asked: &'a Asked) -> anyhow::Result<Self> {
        let mut signals = signal(SignalKind::hangup()).context("signals")?;
        let hangup = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&hangup);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                heard.store(true, Ordering::Relaxed);
            }
        });
        let stamp = Stamp::of(asked.file());
        Ok(Self { asked, read: stamp, seen: stamp, hangup })
    }

    /// Whether the file is to be read again: it has changed since, and not since the last look; or
    /// somebody asked for it.
    fn is_due(&mut self) -> bool {
        let now = Stamp::of(self.asked.file());
        let settled = now == self.seen;
        self.seen = now;
        let hangup = self.hangup.swap(false, Ordering::Relaxed);
        let due = hangup || (settled && now != self.read);
        if due {
            self.read = now;
        }
        due
    }
}

/// Reads the table of networks, if one was named: a second's work.
pub(crate) async fn networks(config: &Config) -> anyhow::Result<Option<Arc<Networks>>> {
    let Some(file) = config.networks.clone() else { return Ok(None) };
    let shown = format!("networks: {} cannot be used", file.display());
    let read = tokio::task::spawn_blocking(move || Networks::read(&file)).await?;
    read.map(|table| Some(Arc::new(table))).context(shown)
}

/// What the relay itself is told of the settings.
pub(crate) async fn course(
    config: &Config,
    fleet: Option<Arc<Fleet>>,
) -> anyhow::Result<CourseSettings> {
    // What nobody is to be taken to, because it is this server.
    let found = address::own().into_iter().map(Address::from);
    let own = config.addresses.iter().cloned().chain(found).map(|address| address.to_string());
    Ok(CourseSettings {
        networks: networks(config).await?,
        mask: config.mask.clone(),
        datacentres: config.datacentres.clone(),
        egress: Egress { ports: config.egress_ports.clone(), own: own.collect() },
        fleet,
    })
}

/// What came of new settings.
#[derive(Default)]
struct Outcome {
    changed: Vec<&'static str>,
    /// What takes effect at the next start only, and why.
    needs_restart: Vec<String>,
}

impl Watch<'_> {
    /// Reads the settings again if they may have changed. Where they cannot be read, everything stays
    /// as it is.
    pub(crate) async fn reload_if_due(&mut self) {
        if !self.reload.is_due() {
            return;
        }
        let json = self.printer.is_json();
        let done = match self.reload.asked.gather() {
            Ok(config) => self.take_over(config).await,
            Err(error) => Err(error.context("the settings stay as they were")),
        };
        let Outcome { changed, needs_restart } = match done {
            Ok(outcome) => outcome,
            Err(error) => return tell("settings", &format!("{error:#}"), json),
        };
        if changed.is_empty() {
            info!("settings were read again; nothing has changed");
        } else {
            info!("settings were read again; changed: {}", changed.join(", "));
        }
        for what in &needs_restart {
            tell("needs-restart", what, json);
        }
        if json {
            self.printer.object(&json!({
                "event": "reloaded", "changed": changed, "needs_restart": needs_restart,
            }));
        }
    }

    async fn take_over(&mut self, new: Config) -> anyhow::Result<Outcome> {
        new.house.check(&new.mode).context("the settings stay as they were")?;
        let mut outcome = Outcome::default();
        let course = course(&new, self.course.fleet.clone())
            .await
            .context("the settings stay as they were")?;
        // The old one stays what it is called, where that is the same: it knows where it is.
        let text = |config: &Config| config.mask.as_ref().map(ToString::to_string);
        let mask = if text(&new) == text(&self.config) { &self.config.mask } else { &new.mask };
        let new = Config { mask: mask.clone(), ..new };
        let old = &self.config;
        let mut note = |name, differs: bool| {
            if differs {
                outcome.changed.push(name);
            }
            differs
        };
        note("mask", text(&new) != text(old));
        let address_differs = note("address", new.addresses != old.addresses);
        note("egress_ports", new.egress_ports != old.egress_ports);
        note("networks", new.networks != old.networks);
        note("datacentres", new.datacentres != old.datacentres);
        note("cleartext_port", new.cleartext_port != old.cleartext_port);
        let mode_differs = note("ports", new.mode != old.mode);
        note("monthly", new.allowance != old.allowance);
        let (state, metrics, house) = (old.state.clone(), old.metrics, old.house.clone());
        if new.metrics != metrics {
            outcome.needs_restart.push("metrics: another port needs a restart".to_owned());
        }
        if new.house != house {
            let why = "domain, certificate, proof in DNS and site: a change needs a restart";
            outcome.needs_restart.push(why.to_owned());
        }
        if address_differs && house.is_wanted() && house.domain.is_none() {
            let why = "address: the certificate stays for the old one; another needs a restart";
            outcome.needs_restart.push(why.to_owned());
        }
        if new.state != state {
            let (from, to) = (state.display(), new.state.display());
            outcome.needs_restart.push(format!("state: keys stay in {from}; {to} needs a restart"));
        }

        // First what can fail.
        if mode_differs {
            let membership = self.member.as_ref().map(|member| &member.membership);
            let mode = fleet::mode(&new, membership);
            self.doors.set_mode(mode, &self.store).await?;
        }
        self.course = CourseSettings { mask: new.mask.clone(), ..course };
        self.relay.change(self.course.clone());
        let answers = self.doors.answers().usual;
        if self.cleartext.move_to(new.cleartext_port, &answers.ports)
            && let InClear::Refused(why) = self.cleartext.stands()
        {
            tell("cleartext-port", why, self.printer.is_json());
        }
        self.config = Config { state, metrics, house, ..new };
        if mode_differs {
            let needs_root = |one: &Refused| matches!(one, Refused::NotAllowed(_));
            let (restart, other): (Vec<_>, Vec<_>) =
                answers.refused.into_iter().partition(needs_root);
            for port in &restart {
                let port = port.port();
                outcome.needs_restart.push(format!("ports: {port} needs root, and so a restart"));
            }
            for why in explain(&other, &self.config) {
                tell("ports", &why, self.printer.is_json());
            }
        }
        self.save_face().await?;
        if self.member.is_none() {
            let keys = self.store.keys().await?;
            self.inform_desk(&keys).await?;
        }
        self.stand().await?;
        Ok(outcome)
    }
}
