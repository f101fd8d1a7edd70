//! `jaryq hub`: the office of a fleet, for as long as it runs.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use data_encoding::HEXLOWER;
use front::Kept;
use hub::blocks::{Cause, Verdict};
use hub::checks::Checks;
use hub::clerk::{Clerk, system_clock};
use hub::fleet::Fleet;
use hub::server::{Program, Server};
use hub::watch::Watch;
use nix::unistd::Uid;
use ports::{Mode, PortList, Refused};
use serde_json::json;
use store::Journal;
use tokio::net::TcpListener;
use wire::derive::FleetKey;
use wire::fleet::invite::MOST_ADDRESSES;
use wire::fleet::{HubAddress, Pin};

use super::answers::Office;
use super::args::HubService;
use super::{passphrase, sealed, talk};
use crate::args::{Place, Service};
use crate::config::{Asked, Config};
use crate::house::{self, HTTPS, Vouched, holder_of_443, host_of};
use crate::machine::raise_open_files;
use crate::print::Printer;
use crate::root;
use crate::running::Running;
use crate::supervisor::Supervisor;
use crate::trust;
use crate::up::{begin_log, stop_signal};
use crate::watch::{addresses, tell};

/// How often a service manager hears that the hub is well.
const ALIVE: Duration = Duration::from_secs(1);
/// How long connections may take to end when the hub stops.
const FAREWELL: Duration = Duration::from_millis(500);

pub(super) fn run(place: Place, asked: HubService, printer: &Printer) -> anyhow::Result<()> {
    let HubService { address, listen, local, passphrase_file, home, house } = asked;
    let service = Service { address, house, ..Service::default() };
    let config = Asked::of_hub(place, service).gather()?;
    let mode = Mode::List(PortList::from([listen]));
    config.house.check(&mode)?;
    begin_log();
    let files = raise_open_files();
    // As root, who may read a file that nobody else may; and before anybody waits at the port.
    let is_new = !sealed::path(&config.state).exists();
    let passphrase = passphrase::ask(passphrase_file.as_deref(), is_new)?;
    let listeners = open_ports(listen, local)?;
    let not_on_443 = (listen != HTTPS).then(holder_of_443);
    let user = root::give_up(&config.state)?;
    // From here on, nothing is done as root.
    // Where root has not made it.
    Kept::open(&config.state).with_context(|| format!("cannot make {}", config.state.display()))?;
    let Some(_running) = Running::alone(&config.state)? else {
        bail!("a hub or a relay runs on {} already", config.state.display());
    };
    let fleet = sealed::open_or_make(&config.state, &passphrase)?;
    drop(passphrase);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let stop = stop_signal()?;
        let own = addresses(&config);
        config.house.check_site(&mode, &own).await?;
        let (front, names, notices) =
            house::open_front(&config, &own, not_on_443.as_deref(), printer)?;
        tokio::spawn(house::pass_on(notices, printer.is_json()));
        let journal = Journal::open(&config.state).await?;
        let settings = hub::clerk::Settings { home, ..Default::default() };
        let (clerk, desk) = Clerk::open(journal, fleet.clone(), settings, system_clock()).await?;
        let mut desk = tokio::spawn(desk.run());
        let room = fleet.room();
        let most = usize::try_from(files / 4 * 3).unwrap_or(usize::MAX).max(64);
        let is_json = printer.is_json();
        let watch = Watch::new(
            clerk.clone(),
            system_clock(),
            Arc::new(move |verdict, words| noticed(verdict, words, is_json)),
        );
        tokio::spawn(Arc::clone(&watch).run());
        let of_relays = Fleet::new(clerk.clone(), Arc::clone(&watch));
        let program = File::open("/proc/self/exe").context("cannot read this program")?;
        let given = Program::new(program.try_clone()?)?;
        let server = Server::new(front.clone(), clerk.clone(), of_relays, given, &room, most);
        let Listeners { public, local: inside } = listeners;
        for listener in public {
            tokio::spawn(Arc::clone(&server).serve(TcpListener::from_std(listener)?));
        }
        if let Some(listener) = inside {
            tokio::spawn(Arc::clone(&server).serve_local(TcpListener::from_std(listener)?));
        }
        tokio::spawn(Checks::new(clerk.clone(), watch, fleet.clone()).run());
        let pin = match (config.house.vouched(), front.fingerprints()) {
            (Vouched::Nobody, [hash, ..]) => Pin::Certificate(*hash),
            _ => Pin::Public,
        };
        let names = names.iter().map(|name| host_of(name, HEXLOWER.encode(&room[..4]))).collect();
        let at = hub_addresses(names, &own, pin, listen);
        let socket = talk::listen(&config.state)?;
        let office = Arc::new(Office::new(clerk.clone(), at, pin, room, program));
        tokio::spawn(talk::serve(socket, Arc::clone(&office)));
        let started = Started { config: &config, listen, local, user, is_new };
        started.say(&fleet, &office, printer);
        let supervisor = Supervisor::from_environment();
        supervisor.ready();
        let failed = tokio::select! {
            () = stop => None,
            ended = &mut desk => Some(ended),
            () = stay_alive(&supervisor) => None,
        };
        supervisor.stopping();
        front.stop();
        clerk.stop();
        let ended = match failed {
            Some(ended) => ended,
            // Its last snapshot is written.
            None => desk.await,
        };
        tokio::time::sleep(FAREWELL).await;
        ended.context("the hub's desk broke down")?.context("the journal")?;
        anyhow::Ok(())
    });
    runtime.shutdown_background();
    served?;
    if printer.is_json() {
        printer.object(&json!({ "event": "stopped" }));
    }
    Ok(())
}

/// Sockets that are opened before root is given up.
struct Listeners {
    public: Vec<std::net::TcpListener>,
    local: Option<std::net::TcpListener>,
}

fn open_ports(listen: u16, local: Option<u16>) -> anyhow::Result<Listeners> {
    let bound = ports::bind(&PortList::from([listen]), usize::MAX);
    if let Some(refused) = bound.refused.first() {
        let why = match refused {
            Refused::Taken(_) => "another program listens there".to_owned(),
            Refused::NotAllowed(_) => "ports below 1024 need root: put sudo before it".to_owned(),
            Refused::Other(_, error) => error.desc().to_owned(),
            other => format!("{other:?}"),
        };
        bail!("port {listen} cannot be had: {why}; --listen names another one");
    }
    let local = local.map(|port| {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        io::Result::Ok(listener)
    });
    let local = local.transpose().context("the port of --local cannot be had")?;
    Ok(Listeners { public: bound.listeners, local })
}

/// Where relays find the hub: by the names of its certificate, and where that is pinned by all of its
/// addresses.
fn hub_addresses(mut hosts: Vec<String>, own: &[String], pin: Pin, port: u16) -> Vec<HubAddress> {
    if pin != Pin::Public {
        hosts.extend(own.iter().cloned());
    }
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts.into_iter().take(MOST_ADDRESSES).map(|host| HubAddress { host, port }).collect()
}

/// Says what the watch has noticed, and what there is to do.
fn noticed(verdict: &Verdict, words: &str, json: bool) {
    let advice = match verdict.cause {
        Cause::Country | Cause::Provider(_) => {
            ". If this is a cut in which some ports still pass: jaryq hub ports all"
        }
        _ => "",
    };
    tell("watch", &format!("{words}{advice}"), json);
}

/// Says again and again that all is well.
async fn stay_alive(supervisor: &Supervisor) {
    loop {
        supervisor.alive();
        tokio::time::sleep(ALIVE).await;
    }
}

/// What there is to say at the start.
struct Started<'a> {
    config: &'a Config,
    listen: u16,
    local: Option<u16>,
    user: Option<Uid>,
    is_new: bool,
}

impl Started<'_> {
    fn say(&self, fleet: &FleetKey, office: &Office, printer: &Printer) {
        let key = fleet.signer().public();
        let at: Vec<String> = office.hub.iter().map(ToString::to_string).collect();
        if printer.is_json() {
            printer.object(&json!({
                "event": "ready",
                "addresses": at,
                "port": self.listen,
                "local": self.local,
                "path": office.path(),
                "signer": trust::key_object(&key),
                "state": self.config.state,
                "user": self.user.map(Uid::as_raw),
                "new": self.is_new,
            }));
            return;
        }
        printer.line(format!(
            "The hub is at {}; its state is in {}.",
            at.join(", "),
            self.config.state.display()
        ));
        if self.is_new {
            printer.line(
                "\nA fleet key was made. Keep its passphrase and a copy of this folder somewhere else: \
                 everybody's links follow from them.",
            );
        }
        printer.line("\nWho signs for this fleet, for volunteers to compare:\n");
        printer.line(trust::written(&key));
        printer.line(
            "\nInvite a volunteer: jaryq hub invite. Give somebody a way in: jaryq hub give.",
        );
        if self.config.house.site.is_none() {
            let why = "whoever comes to this address by chance finds an empty website; --site gives it one";
            tell("site", why, false);
        }
    }
}
