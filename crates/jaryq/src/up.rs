//! `jaryq up`: listen, give root up, say what there is, and carry.

use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ports::{Answers, Mechanism, Mode, PortList, Ports};
use relay::{Egress, Keys, Limits, NoticeReceiver, Relay, Settings};
use serde_json::json;
use store::{Key, Label, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;
use wire::derive::{Form, KeyId};

use crate::address;
use crate::announce::{Start, announce, explain};
use crate::cleartext::{CannotOpen, Cleartext};
use crate::config::{Address, Config, DEFAULT_PORTS};
use crate::doors::{Doors, as_written};
use crate::face::{Face, LinkMaker};
use crate::print::Printer;
use crate::root;

/// How often the relay looks whether keys were made or revoked.
const CHECK: Duration = Duration::from_millis(250);
const TICKS_A_SECOND: u64 = 4;

pub(crate) fn run(config: &Config, printer: &Printer) -> anyhow::Result<()> {
    // Our own words alone: a library might name whom somebody looks for. And nobody reading the log
    // is no reason to stop.
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    log.log_internal_errors(false).with_env_filter("jaryq=info").init();
    let files = raise_open_files();
    let mut ports = Ports::open(ports::Settings {
        mode: config.mode.clone(),
        quiet: PortList::from(DEFAULT_PORTS),
        // Nothing is carried over UDP yet: its ports behave as closed ones do.
        udp: false,
        best: Mechanism::Tcx,
    });
    let answers = ports.answers();
    if answers.ports.is_empty() && !answers.all {
        bail!("no port could be had:\n  {}", explain(&answers.refused, config).join("\n  "));
    }
    let user = root::give_up(&config.state)?;
    // From here on, nothing is done as root, but for a small process that looks after the ports.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served: anyhow::Result<usize> = runtime.block_on(async {
        let store = Store::open(&config.state).await?;
        let identity = store.identity().await?;
        let settings = Settings {
            mask: config.mask.clone(),
            datacentres: config.datacentres.clone(),
            egress: Egress { ports: config.egress_ports.clone(), own: own(config) },
            // A quarter is left to listeners, of which 'jaryq ports' may open more.
            limits: Limits::for_machine(files / 2 + files / 4, memory()),
        };
        // Before anybody is told that it is ready: who is told may also tell it to stop.
        let stop = stop_signal()?;
        let (relay, notices) = Relay::new(&identity.relay_key(), identity.epoch(), settings);
        // Asked for before the keys are read: what changes after that is seen below.
        let seen = store.revision().await?;
        let keys = keys_with_a_first(&store).await?;
        let mut cleartext = Cleartext::new(relay.clone(), config.cleartext_port, &answers.ports);
        let refused = follow(&relay, &mut cleartext, &keys);

        let doors = Doors::open(ports, relay.clone())?;
        doors.note(&store).await?;
        let face = face(config, &answers, doors.ports.mode());
        face.save(&store).await?;
        let maker = LinkMaker::new(face, &identity)?;
        let (open, refused) = (cleartext.is_open(), refused.as_ref());
        let (keys, answers, ports) = (&keys, &answers, &doors.ports);
        announce(
            &Start { config, answers, ports, user, maker: &maker, keys, open, refused },
            printer,
        )?;

        tokio::spawn(pass_on(notices, printer.is_json()));
        tokio::spawn(check_mask(config.mask.clone()));
        let mut watch =
            Watch { store: store.clone(), seen, relay, cleartext, doors, config, printer };
        // Whatever hangs here hangs the relay: then its ports close by themselves.
        tokio::select! { () = stop => {}, () = watch.go_on() => {} }
        let Watch { relay, doors, cleartext, .. } = watch;
        drop((doors, cleartext));
        let cut = relay.farewell().await;
        store.close().await;
        Ok(cut)
    });
    // Not waiting for those who wait for the DNS.
    runtime.shutdown_background();
    let cut = served?;
    if printer.is_json() {
        printer.object(&json!({ "event": "stopped", "connections_ended": cut }));
    }
    Ok(())
}

/// Lets this process have as many files open as it may; tells how many.
fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1024;
    };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

/// This machine's memory in bytes; 1 GiB where it does not say.
fn memory() -> u64 {
    nix::sys::sysinfo::sysinfo().map_or(1 << 30, |info| info.ram_total())
}

async fn keys_with_a_first(store: &Store) -> anyhow::Result<Vec<Key>> {
    let keys = store.keys().await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    let label: Label = "first".parse()?;
    Ok(vec![store.new_key(label, Form::Telegram).await?])
}

/// The valid keys that open this.
fn valid(keys: &[Key], form: Form) -> Vec<KeyId> {
    let valid = keys.iter().filter(|key| key.revoked.is_none() && key.form == form);
    valid.map(|key| key.id).collect()
}

/// Lets these keys in and no others, and opens or closes the port that some of them need; why it
/// could not be opened, if that is news.
fn follow(relay: &Relay, cleartext: &mut Cleartext, keys: &[Key]) -> Option<CannotOpen> {
    let (telegram, web) = (valid(keys, Form::Telegram), valid(keys, Form::Web));
    relay.set_keys(Keys { telegram: &telegram, web: &web });
    cleartext.want(!web.is_empty())
}

/// What nobody is to be taken to, because it is this server.
fn own(config: &Config) -> Vec<String> {
    let found = address::own().into_iter().map(Address::from);
    config.addresses.iter().cloned().chain(found).map(|address| address.to_string()).collect()
}

fn face(config: &Config, answers: &Answers, mode: &Mode) -> Face {
    let mut addresses = config.addresses.clone();
    if addresses.is_empty() {
        addresses = address::own().into_iter().map(Address::from).collect();
    }
    if addresses.is_empty() {
        addresses.push(Address::from(std::net::IpAddr::from([127, 0, 0, 1])));
    }
    Face {
        addresses: addresses.iter().map(Address::to_string).collect(),
        ports: answers.ports.clone(),
        all_ports: answers.all,
        mode: as_written(mode),
        mask: config.mask.as_ref().map(ToString::to_string),
        cleartext_port: config.cleartext_port.0,
    }
}

/// Does what other processes ask of a relay that runs.
struct Watch<'a> {
    store: Store,
    /// The revision of the state that this relay has followed.
    seen: i64,
    relay: Relay,
    cleartext: Cleartext,
    doors: Doors,
    config: &'a Config,
    printer: &'a Printer,
}

impl Watch<'_> {
    /// Looks every [`CHECK`] whether another process has changed something, and after the ports
    /// every second.
    async fn go_on(&mut self) {
        let mut ticks = interval(CHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 0u64.. {
            ticks.tick().await;
            let revision = self.store.revision().await.map_err(Into::into);
            let followed = match revision {
                Ok(revision) if self.seen == revision => Ok(()),
                Ok(revision) => self.follow().await.map(|()| self.seen = revision),
                Err(error) => Err(error),
            };
            if let Err(error) = followed {
                tell(
                    "state",
                    &format!("changes cannot be read: {error:#}"),
                    self.printer.is_json(),
                );
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            self.cleartext.try_again();
            if tick.is_multiple_of(TICKS_A_SECOND)
                && let Err(trouble) = self.doors.tend()
                && tick.is_multiple_of(TICKS_A_SECOND * 60)
            {
                tell("ports", &trouble.to_string(), self.printer.is_json());
            }
        }
    }

    async fn follow(&mut self) -> anyhow::Result<()> {
        let keys = self.store.keys().await?;
        if let Some(why) = follow(&self.relay, &mut self.cleartext, &keys) {
            tell("cleartext-port", &why.to_string(), self.printer.is_json());
        }
        if self.doors.follow(&self.store).await? {
            let answers = self.doors.ports.answers();
            face(self.config, &answers, self.doors.ports.mode()).save(&self.store).await?;
            if self.printer.is_json() {
                let event = json!({ "event": "ports", "ports": answers.ports, "all": answers.all });
                self.printer.object(&event);
            }
        }
        Ok(())
    }
}

/// Tells the volunteer what the relay has to tell.
async fn pass_on(mut notices: NoticeReceiver, json: bool) {
    while let Some(notice) = notices.recv().await {
        tell(notice.kind(), &notice.to_string(), json);
    }
}

fn tell(kind: &str, text: &str, json: bool) {
    warn!("{text}");
    if json {
        Printer::new(json).object(&json!({ "event": "notice", "kind": kind, "text": text }));
    }
}

/// Says at once, and not at the first stranger, when the mask's name is mistyped.
async fn check_mask(mask: Option<relay::Mask>) {
    if let Some(mask) = mask
        && let Err(error) = mask.addresses().await
    {
        warn!("the mask host {mask} cannot be found: {error}");
    }
}

/// Done at the first SIGTERM or SIGINT; a second one ends the process on the spot.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(130);
        });
    })
}
