//! `jaryq doctor`: what an app would meet, tried for real, and why it does not work where it does not.
//!
//! | module | what is in it |
//! |---|---|
//! | `check` | what came of a look at something: seen, cause, remedy |
//! | `way`, `client` | a connection from here or from a second relay; what an app does on it |
//! | `here` | the relay and its ports |
//! | `telegram` | the datacentres, and the clock |
//! | `house` | the relay's own website and certificate |
//! | `mask` | the website behind which the relay hides |
//! | `forms`, `there` | handshakes of each form, from here and from there |
//! | `scanner` | what somebody without a key could recognise |
//!
//! Nobody is asked but the relay itself, its mask, Telegram, the name servers and the second relay.

mod check;
mod client;
mod forms;
mod here;
mod house;
mod mask;
mod scanner;
mod telegram;
mod there;
mod way;

use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use relay::{Mask, Names};
use store::{Key, Store};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wire::account::Account;
use wire::derive::Form;
use wire::mtproto::{Datacentres, ProxyLink, ProxySecret, ServerName};

use crate::address;
use crate::config::Config;
use crate::face::{Access, Face, LinkMaker, Links};
use crate::key;
use crate::print::Printer;
use crate::running::Running;

use check::Check;
use forms::Place;
use here::Held;
use telegram::Telegram;

/// How long the name servers may take to find this server's own names.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that is known before the first connection.
pub(crate) struct Patient {
    face: Face,
    runs: bool,
    held: Held,
    mask: Option<Mask>,
    datacentres: Datacentres,
    /// Authorities that are trusted beside the public ones.
    roots: Option<PathBuf>,
    has_ipv6: bool,
    /// The addresses that people are given.
    public: Vec<IpAddr>,
    /// Those, and where none of them is this machine's own, those of its own too.
    places: Vec<Place>,
    names: Names,
    /// What a valid key's links say, in each form.
    links: Vec<Link>,
    /// A valid web key's account.
    account: Option<Account>,
}

/// A link of one form.
#[derive(Clone, Debug)]
struct Link {
    form: &'static str,
    port: u16,
    secret: ProxySecret,
}

impl Patient {
    /// The name in its `ee` links.
    fn name(&self) -> Option<&ServerName> {
        self.links.iter().find_map(|link| match &link.secret {
            ProxySecret::FakeTls(_, name) => Some(name),
            _ => None,
        })
    }

    /// Whether whoever dials this meets the relay.
    fn answers(&self, ip: IpAddr, port: u16) -> bool {
        let ours = ip.is_loopback() || self.places.iter().any(|place| place.ip == ip);
        ours && self.face.answers_on(port) && self.held.by(port).is_none()
    }
}

/// Looks at everything and says what is wrong; whether there is no fault.
pub(crate) fn run(
    config: &Config,
    key: Option<&str>,
    from: Option<&Account>,
    printer: &Printer,
) -> anyhow::Result<bool> {
    let holders = Held::look();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checks = runtime.block_on(async {
        let store = key::open(&config.state).await?;
        let patient = admit(config, &store, key, holders).await;
        store.close().await;
        anyhow::Ok(examine(&patient?, from).await)
    });
    // Not waiting for those who wait for the DNS.
    runtime.shutdown_background();
    Ok(check::print(&checks?, printer))
}

async fn admit(
    config: &Config,
    store: &Store,
    key: Option<&str>,
    holders: Vec<ports::Holder>,
) -> anyhow::Result<Patient> {
    let face = Face::load(store).await?;
    let face = face.context("the relay was never started here: jaryq up")?;
    let keys = store.keys().await?;
    let first = |form| keys.iter().find(move |key| key.revoked.is_none() && key.form == form);
    let asked = match key {
        Some(id) => Some(store.key(id).await?),
        None => None,
    };
    if asked.as_ref().is_some_and(|key| key.revoked.is_some()) {
        bail!("that key was revoked, so nothing can be tried with it");
    }
    let of = |form| asked.as_ref().filter(|key| key.form == form).or_else(|| first(form));
    let maker = LinkMaker::new(face.clone(), &store.identity().await?)?;
    // At a relay's own website, keys for the web have links for Telegram too.
    let web = |key: &&Key| face.house.is_some() && key.form == Form::Web;
    let telegram = asked.as_ref().filter(web).or_else(|| of(Form::Telegram));
    let telegram = telegram.or_else(|| first(Form::Web).filter(web));
    let telegram = telegram.map(Access::from);
    // In a fleet, people have seats in place of keys.
    let telegram = telegram.or(store.seated().await?.seats().next().map(|seat| Access {
        id: seat.key,
        form: Form::Telegram,
        cleartext: false,
    }));
    let links = match telegram.filter(|_| !face.ports.is_empty()) {
        Some(access) => links(&maker, access)?,
        None => Vec::new(),
    };
    let in_clear = of(Form::Web).filter(|key| key.cleartext).or_else(|| {
        let web = |key: &&Key| key.revoked.is_none() && key.cleartext;
        keys.iter().find(web)
    });
    let account = match in_clear.map(|key| maker.links(key)).transpose()? {
        Some(Links::Web(links)) => links.clear.map(|links| links.socks5.parse()).transpose()?,
        _ => None,
    };
    let own = address::own();
    let names = Names::default();
    let public = resolve(&names, &face.addresses).await;
    // Nobody answers on loopback, and nobody else gets there.
    let outside = public.iter().filter(|ip| !ip.is_loopback());
    let mut places: Vec<Place> =
        outside.map(|&ip| Place { ip, is_ours: forms::is_ours(ip) }).collect();
    if places.iter().all(|place| !place.is_ours) {
        places.extend(own.iter().map(|&ip| Place { ip, is_ours: true }));
    }
    Ok(Patient {
        runs: Running::is_marked(&config.state)?,
        held: Held::new(holders, face.process),
        mask: face.mask.as_deref().map(str::parse).transpose()?,
        datacentres: config.datacentres.clone(),
        roots: config.house.acme_roots.clone(),
        has_ipv6: own.iter().any(IpAddr::is_ipv6),
        public,
        places,
        names,
        links,
        account,
        face,
    })
}

/// A key's links, as they are printed.
fn links(maker: &LinkMaker, access: Access) -> anyhow::Result<Vec<Link>> {
    let links = match maker.links_of(access)? {
        Links::Telegram(links) => *links,
        Links::Web(links) => match links.own {
            Some(own) => own.telegram,
            None => return Ok(Vec::new()),
        },
    };
    let forms = [("plain", links.plain), ("dd", links.dd), ("ee", links.ee)];
    forms
        .into_iter()
        .map(|(form, link)| {
            let ProxyLink { port, secret, .. } = link.tg.parse()?;
            Ok(Link { form, port: port.get(), secret })
        })
        .collect()
}

/// What these addresses and names stand for; a name that is not found stands for nothing.
async fn resolve(names: &Names, addresses: &[String]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in addresses {
        match address.parse() {
            Ok(ip) => found.push(ip),
            Err(_) => {
                let looking = timeout(PATIENCE, names.addresses(address)).await;
                found.extend(looking.into_iter().flatten().flatten());
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|ip| seen.insert(*ip));
    found
}

/// Everything, in the order in which one thing explains the next.
async fn examine(patient: &Patient, from: Option<&Account>) -> Vec<Check> {
    let mut checks = vec![here::relay(patient)];
    checks.extend(here::ports(patient));
    let mask = async {
        match (&patient.mask, patient.name()) {
            (Some(mask), Some(name)) => Some(mask::look(patient, mask, name).await),
            _ => None,
        }
    };
    let telegram = Telegram::look(&patient.datacentres, patient.has_ipv6);
    let (telegram, mask) = tokio::join!(telegram, mask);
    checks.push(telegram.clock());
    checks.extend(telegram.checks());
    checks.extend(mask.as_ref().map(|mask| mask.check.clone()));
    checks.extend(what_stands_in_links(patient));
    checks.extend(house::look_at(patient).await);
    if patient.runs {
        let dc = telegram.answering();
        let hello = mask.as_ref().and_then(|mask| mask.hello.as_ref());
        let there = async {
            match from {
                Some(from) => there::look(patient, from, dc).await,
                None => Vec::new(),
            }
        };
        let (telegram, web, there, scanner) = tokio::join!(
            forms::telegram(patient, dc),
            forms::web(patient, dc),
            there,
            scanner::look(patient, hello)
        );
        checks.extend([telegram, web, there, scanner].into_iter().flatten());
    }
    checks
}

/// Whether links can be made at all.
fn what_stands_in_links(patient: &Patient) -> Option<Check> {
    if patient.links.is_empty() {
        let check = Check::warning("keys", "there is no valid key for Telegram");
        return Some(check.remedy("make one: jaryq key new --label NAME"));
    }
    if !patient.public.is_empty() && patient.places.is_empty() {
        return Some(
            Check::fault("address", "this server has none that others could reach")
                .cause("it has no network, or the relay was started before it had one")
                .remedy("once it has, start the relay again; or give --address ADDRESS"),
        );
    }
    patient.public.is_empty().then(|| {
        Check::fault("address", format!("{} is not found", list(&patient.face.addresses)))
            .cause("the server's own name, which stands in the links, leads nowhere")
            .remedy("make it point here, or start the relay with --address ADDRESS")
    })
}

/// All at the same time; what each gives, in their order.
async fn all<F>(futures: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (number, future) in futures.into_iter().enumerate() {
        tasks.spawn(async move { (number, future.await) });
    }
    let mut done = Vec::new();
    while let Some(one) = tasks.join_next().await {
        done.extend(one);
    }
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, output)| output).collect()
}

/// Several for people to read.
fn list(of: &[impl Display]) -> String {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
