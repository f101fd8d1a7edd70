//! `jaryq up`: listen, give root up, say what there is, and carry.

use std::future::pending;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use anyhow::{Context, bail};
use ports::{Mechanism, PortList, Ports};
use relay::{Limits, Relay, Settings};
use serde_json::json;
use store::{Key, Label, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};
use wire::derive::{Buckets, Form};
use wire::fleet::Standing;

use crate::announce::{Start, announce, explain, greeted};
use crate::cleartext::Cleartext;
use crate::config::{Asked, DEFAULT_PORTS};
use crate::desk::Desk;
use crate::doors::Doors;
use crate::echoes::Echoes;
use crate::face::LinkMaker;
use crate::fleet::{self, Month, Sitting};
use crate::house::{self, HTTPS, holder_of_443};
use crate::key::PageLink;
use crate::ledger::Ledger;
use crate::machine::{memory, raise_open_files};
use crate::metrics;
use crate::print::Printer;
use crate::reload::{Reload, course};
use crate::root;
use crate::running::Running;
use crate::supervisor::Supervisor;
use crate::watch::{Guests, Watch, Who, addresses, pass_on, set_keys, tell};

pub(crate) fn run(asked: &Asked, printer: &Printer) -> anyhow::Result<()> {
    let config = &asked.gather()?;
    config.house.check(&config.mode)?;
    begin_log();
    let files = raise_open_files();
    let mut ports = Ports::open(ports::Settings {
        mode: config.mode.clone(),
        quiet: PortList::from(DEFAULT_PORTS),
        udp: true,
        best: Mechanism::Tcx,
    });
    let first = ports.answers();
    if first.ports.is_empty() && !first.all {
        bail!("no port could be had:\n  {}", explain(&first.refused, config).join("\n  "));
    }
    let is_on_443 = first.ports.contains(&HTTPS);
    let not_on_443 = (!is_on_443 && config.house.is_wanted()).then(holder_of_443);
    let user = root::give_up(&config.state)?;
    // From here on, nothing is done as root, but for a small process that looks after the ports.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served: anyhow::Result<usize> = runtime.block_on(async {
        let store = Store::open(&config.state).await?;
        // A quarter is left to listeners, of which 'jaryq ports' may open more.
        let limits = Limits::for_machine(files / 2 + files / 4, memory());
        let connections = limits.connections;
        let usual_port = first.ports.first().copied().unwrap_or(0);
        let about = fleet::about(config, connections, usual_port);
        let membership = fleet::join(&store, config.join.as_ref(), about.clone()).await?;
        let sitting = match membership {
            Some(membership) => Some(Sitting::of(&store, membership).await?),
            None => None,
        };
        let _running = Running::mark(&config.state)?;
        let identity = store.identity().await?;
        let buckets = Buckets::new(&identity.relay_key(), identity.epoch());
        let desk = Arc::new(Desk::new(store.clone(), printer.is_json()));
        let (own, why) = (addresses(config), not_on_443.as_deref());
        config.house.check_site(&config.mode, &own).await?;
        let house = house::open(config, &own, &buckets, why, Arc::clone(&desk), printer)?;
        let (house, of_house) = house.unzip();
        let front = house.as_ref().map(|house| house.front.clone());
        let face_of_house = house.as_ref().map(|house| house::face(house, config, &buckets));
        let fleet = sitting.as_ref().map(|sitting| fleet::fleet(&sitting.membership));
        let course = course(config, fleet).await?;
        let folder = Some(config.state.clone());
        let settings = Settings { course: course.clone(), house, folder, limits };
        // Before anybody is told that it is ready: who is told may also tell it to stop.
        let stop = stop_signal()?;
        let reload = Reload::new(asked)?;
        let (relay, notices) = Relay::new(&identity.relay_key(), identity.epoch(), settings);
        // Asked for before the keys are read: what changes after that is seen below.
        let seen = store.revision().await?;
        let keys = match sitting {
            Some(_) => Vec::new(),
            None => keys_with_a_first(&store).await?,
        };
        let mut month = Month::open(&store, relay.clone()).await?;
        let is_spent = config.allowance.is_spent(month.carried());
        let cleartext = Cleartext::new(relay.clone(), config.cleartext_port, &first.ports);
        // Before the doors are open: who knocks first after a restart is nobody's stranger.
        let (mut guests, mut stood) = match &sitting {
            Some(sitting) => (sitting.guests(), sitting.standing()),
            None => (Guests { who: Who::Keys(&keys), are_let_in: true }, Standing::Carrying),
        };
        if is_spent && stood == Standing::Carrying {
            (guests.are_let_in, stood) = (false, Standing::Spent);
        }
        let needs = set_keys(&relay, &guests, config.house.is_wanted());
        let mut echoes = Echoes::new(relay.clone(), identity.clone());
        echoes.follow();
        let mut trouble = echoes.tend(&store).await;
        trouble = echoes.wait().await.or(trouble);
        if let Some(trouble) = trouble {
            tell("state", &trouble, printer.is_json());
        }
        let mut doors = Doors::open(ports, relay.clone())?;
        if echoes.has_bundles() {
            doors.hear_datagrams();
        }
        doors.note(&store).await?;
        let supervisor = Supervisor::from_environment();
        let json = printer.is_json();
        let member = sitting.map(|sitting| sitting.begin(&relay, about, json));
        let mut watch = Watch {
            store: store.clone(),
            seen,
            relay,
            cleartext,
            doors,
            buckets,
            config: config.clone(),
            reload,
            printer,
            supervisor,
            house: face_of_house.map(|face| (face, desk)),
            front: front.clone(),
            identity: identity.clone(),
            echoes,
            course,
            connections,
            month,
            stood,
            member,
        };
        watch.open_for(needs).await?;
        watch.do_as_told().await?;
        watch.inform_desk(&keys).await?;

        let maker = LinkMaker::new(watch.save_face().await?, &identity)?;
        let (answers, ports) = (&watch.doors.answers().usual, &watch.doors.ports);
        let metrics = metrics::open(config.metrics, &watch.relay).await;
        let metrics = metrics.as_ref();
        let (maker, keys, member) = (&maker, &keys, watch.member.as_ref());
        let page = match greeted(keys) {
            Some(key) => PageLink::of(maker, &store, key).await?,
            None => None,
        };
        announce(
            &Start { config, answers, ports, user, maker, keys, page, metrics, member },
            printer,
        )?;

        watch.supervisor.ready();
        tokio::spawn(pass_on(notices, json));
        of_house.map(|notices| tokio::spawn(house::pass_on(notices, json)));
        let complain = move |why: &str| tell("tally", why, json);
        let ledger = Ledger::open(store.clone(), watch.relay.clone(), complain);
        // Whatever hangs here hangs the relay: then its ports close by themselves.
        tokio::select! { () = stop => {}, () = watch.go_on() => {} }
        let Watch { relay, doors, cleartext, supervisor, .. } = watch;
        supervisor.stopping();
        drop((doors, cleartext));
        if let Some(front) = front {
            front.stop();
        }
        let cut = relay.farewell().await;
        ledger.close().await;
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

/// Our own words alone: a library might name whom somebody looks for. And nobody reading the log is no
/// reason to stop.
pub(crate) fn begin_log() {
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false);
    let log = log.with_ansi(io::stderr().is_terminal());
    log.log_internal_errors(false).with_env_filter("jaryq=info").init();
}

async fn keys_with_a_first(store: &Store) -> anyhow::Result<Vec<Key>> {
    let keys = store.keys().await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    let label: Label = "first".parse()?;
    Ok(vec![store.new_key(label, Form::Telegram).await?])
}

/// Done at the first SIGTERM or SIGINT, or when the terminal is gone on which the relay was started; a
/// second one ends the process on the spot.
pub(crate) fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    let left_alone = left_alone(signal(SignalKind::hangup()).context("signals")?, on_terminal());
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}, _ = interrupt.recv() => {}, () = left_alone => {}
        }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(130);
        });
    })
}

/// Done at a SIGHUP by which a terminal says that it is gone. All others ask for new settings.
async fn left_alone(mut hangups: Signal, had_terminal: bool) {
    while hangups.recv().await.is_some() {
        if had_terminal && !on_terminal() {
            return;
        }
    }
    pending::<()>().await;
}

fn on_terminal() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}
