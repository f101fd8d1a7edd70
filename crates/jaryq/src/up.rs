//! `jaryq up`: listen, give root up, say what there is, and carry.

use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Uid;
use ports::{Bound, PortList, Refused};
use relay::{Egress, Keys, Limits, NoticeReceiver, Relay, Settings};
use serde_json::{Value, json};
use store::{Key, Label, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;
use wire::derive::{Form, KeyId};

use crate::address;
use crate::cleartext::{CannotOpen, Cleartext};
use crate::config::{Address, Config, DEFAULT_PORTS};
use crate::face::{Face, LinkMaker, Links};
use crate::print::{Printer, key_name, key_object};
use crate::root;

/// How often the relay looks whether keys were made or revoked.
const KEYS_CHECK: Duration = Duration::from_millis(250);

pub(crate) fn run(config: &Config, printer: &Printer) -> anyhow::Result<()> {
    // Our own words alone: a library might name whom somebody looks for. And nobody reading the log
    // is no reason to stop.
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    log.log_internal_errors(false).with_env_filter("jaryq=info").init();
    let files = raise_open_files();
    let wanted = config.ports.clone().unwrap_or_else(|| PortList::from(DEFAULT_PORTS));
    let mut bound = ports::bind(&wanted, usize::try_from(files / 2).unwrap_or(usize::MAX));
    if bound.open.is_empty() {
        bail!(
            "none of the ports could be had:\n  {}",
            explain(&bound.refused, config).join("\n  ")
        );
    }
    let user = root::give_up(&config.state)?;
    // From here on, nothing is done as root.
    let listeners = std::mem::take(&mut bound.listeners);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served: anyhow::Result<usize> = runtime.block_on(async {
        let store = Store::open(&config.state).await?;
        let identity = store.identity().await?;
        let settings = Settings {
            mask: config.mask.clone(),
            datacentres: config.datacentres.clone(),
            egress: Egress { ports: config.egress_ports.clone(), own: own(config) },
            limits: Limits::for_machine(files - bound.open.len() as u64 * 2, memory()),
        };
        // Before anybody is told that it is ready: who is told may also tell it to stop.
        let stop = stop_signal()?;
        let (relay, notices) = Relay::new(&identity.relay_key(), identity.epoch(), settings);
        let keys = keys_with_a_first(&store).await?;
        let mut cleartext = Cleartext::new(relay.clone(), config.cleartext_port, &bound.open);
        let refused = follow(&relay, &mut cleartext, &keys);

        let face = face(config, &bound);
        face.save(&store).await?;
        let maker = LinkMaker::new(face, &identity)?;
        let (open, refused) = (cleartext.is_open(), refused.as_ref());
        let start =
            Start { config, bound: &bound, user, maker: &maker, keys: &keys, open, refused };
        announce(&start, printer)?;

        let keys_watch =
            tokio::spawn(watch_keys(store.clone(), relay.clone(), cleartext, printer.is_json()));
        tokio::spawn(pass_on(notices, printer.is_json()));
        tokio::spawn(check_mask(config.mask.clone()));
        let stop = async {
            // A relay that no longer learns of revoked keys must not go on.
            tokio::select! { () = stop => {}, _ = keys_watch => {} }
        };
        let cut = relay.serve(listeners, stop).await?;
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

fn face(config: &Config, bound: &Bound) -> Face {
    let mut addresses = config.addresses.clone();
    if addresses.is_empty() {
        addresses = address::own().into_iter().map(Address::from).collect();
    }
    if addresses.is_empty() {
        addresses.push(Address::from(std::net::IpAddr::from([127, 0, 0, 1])));
    }
    Face {
        addresses: addresses.iter().map(Address::to_string).collect(),
        ports: bound.open.clone(),
        mask: config.mask.as_ref().map(ToString::to_string),
        cleartext_port: config.cleartext_port.0,
    }
}

/// Loads the keys anew whenever another process has changed them.
async fn watch_keys(store: Store, relay: Relay, mut cleartext: Cleartext, json: bool) {
    let mut ticks = interval(KEYS_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        ticks.tick().await;
        let current = async {
            let revision = store.revision().await?;
            if seen != Some(revision) {
                let refused = follow(&relay, &mut cleartext, &store.keys().await?);
                if let Some(why) = refused {
                    tell("cleartext-port", &why.to_string(), json);
                }
            }
            Ok::<_, store::Error>(revision)
        };
        match current.await {
            Ok(revision) => seen = Some(revision),
            Err(error) => {
                warn!("changes of keys cannot be read: {error}");
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        }
        cleartext.try_again();
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

/// What there is to say at the start.
struct Start<'a> {
    config: &'a Config,
    bound: &'a Bound,
    user: Option<Uid>,
    maker: &'a LinkMaker,
    keys: &'a [Key],
    /// Whether SOCKS5 and HTTP are offered, and if not, why not.
    open: bool,
    refused: Option<&'a CannotOpen>,
}

impl Start<'_> {
    /// The key whose links are shown: the oldest for Telegram that is valid.
    fn key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.revoked.is_none() && key.form == Form::Telegram)
    }

    fn valid_keys(&self) -> usize {
        self.keys.iter().filter(|key| key.revoked.is_none()).count()
    }

    /// Why people may not get through to the first address.
    fn address_warning(&self) -> Option<String> {
        if !self.config.addresses.is_empty() {
            return None;
        }
        let first = self.maker.face().addresses.first()?;
        let private = first.parse().is_ok_and(|ip| !address::is_public(ip));
        private.then(|| {
            format!(
                "{first} is an address that only its own network reaches; if this server has another \
                 one in front of it, give that: --address ADDRESS"
            )
        })
    }
}

fn announce(start: &Start<'_>, printer: &Printer) -> anyhow::Result<()> {
    let key = start.key();
    let links = key.map(|key| start.maker.links(key)).transpose()?;
    if printer.is_json() {
        printer.object(&ready(start, key, links.as_ref()));
    } else {
        for line in summary(start) {
            printer.line(line);
        }
        greet(key, links.as_ref(), printer);
    }
    Ok(())
}

fn ready(start: &Start<'_>, key: Option<&Key>, links: Option<&Links>) -> Value {
    let face = start.maker.face();
    json!({
        "event": "ready",
        "version": env!("CARGO_PKG_VERSION"),
        "ports": face.ports,
        "not_open": explain(&start.bound.refused, start.config),
        "ipv6": start.bound.ipv6,
        "addresses": face.addresses,
        "address_warning": start.address_warning(),
        "mask": face.mask,
        "state": start.config.state,
        "user": start.user.map(Uid::as_raw),
        "valid_keys": start.valid_keys(),
        "cleartext_port": start.open.then_some(face.cleartext_port),
        "cleartext_not_open": start.refused.map(ToString::to_string),
        "key": key.map(|key| key_object(key, links)),
    })
}

fn summary(start: &Start<'_>) -> Vec<String> {
    let face = start.maker.face();
    let families =
        if start.bound.ipv6 { "IPv4 and IPv6" } else { "IPv4; this machine has no IPv6" };
    let ports: Vec<String> = face.ports.iter().map(u16::to_string).collect();
    let mut lines = vec![
        format!("Jaryq {} carries Telegram.", env!("CARGO_PKG_VERSION")),
        String::new(),
        format!("  answers on  {}  ({families})", ports.join(", ")),
    ];
    for (number, why) in explain(&start.bound.refused, start.config).iter().enumerate() {
        lines.push(format!("  {:<12}{why}", if number == 0 { "but not on" } else { "" }));
    }
    lines.push(format!("  address     {}", face.addresses.join(", ")));
    if let Some(warning) = start.address_warning() {
        lines.push(format!("              {warning}"));
    }
    lines.push(match &face.mask {
        Some(mask) => format!("  strangers   meet {mask}"),
        None => "  strangers   meet silence; with --mask HOST they would meet a website".to_owned(),
    });
    lines.push(format!(
        "  keys        {} valid, in {}",
        start.valid_keys(),
        start.config.state.display()
    ));
    if start.open {
        lines.push(format!(
            "  in clear    SOCKS5 and HTTP on {}, which can be recognised as a proxy",
            face.cleartext_port
        ));
    }
    if let Some(why) = start.refused {
        lines.push(format!("  in clear    {why}"));
    }
    if let Some(user) = start.user {
        lines.push(format!("  root        given up; runs as user {user}"));
    }
    lines.push(String::new());
    lines
}

fn greet(key: Option<&Key>, links: Option<&Links>, printer: &Printer) {
    match (key, links) {
        (Some(key), Some(_)) if !printer.may_show_links() => printer.line(format!(
            "Links are not printed here, since this is no terminal. See them with: jaryq key show {}",
            &key.id.to_string()[..8]
        )),
        (Some(key), Some(links)) => {
            printer.line(format!(
                "Send a friend one of these; a tap on it sets up their Telegram. Key {}:\n",
                key_name(key)
            ));
            printer.links(links, true);
            printer.line("\nA key for each further person: jaryq key new --label NAME.  Stop: Ctrl-C.");
        }
        _ => printer.line("There is no valid key for Telegram; make one with: jaryq key new --label NAME"),
    }
}

/// A line for each reason why ports could not be had.
fn explain(refused: &[Refused], config: &Config) -> Vec<String> {
    let list = |of: fn(&Refused) -> Option<u16>| {
        let ports: Vec<String> =
            refused.iter().filter_map(of).map(|port| port.to_string()).collect();
        ports.join(", ")
    };
    let taken = list(|one| if let Refused::Taken(port) = one { Some(*port) } else { None });
    let forbidden =
        list(|one| if let Refused::NotAllowed(port) = one { Some(*port) } else { None });
    let crowded = list(|one| if let Refused::NoRoom(port) = one { Some(*port) } else { None });
    let mut lines = Vec::new();
    if !taken.is_empty() {
        lines.push(format!("{taken}: another program listens there"));
    }
    if !forbidden.is_empty() {
        lines.push(format!(
            "{forbidden}: ports below 1024 need root; 'sudo jaryq up --state {}' would add them",
            config.state.display()
        ));
    }
    if !crowded.is_empty() {
        lines.push(format!("{crowded}: too many for the files that may be open (ulimit -n)"));
    }
    for one in refused {
        if let Refused::Other(port, error) = one {
            lines.push(format!("{port}: {}", error.desc()));
        }
    }
    lines
}
