//! `jaryq key`: one for each person.

use std::io::{self, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, bail};
use front::pages::Openings;
use serde::Serialize;
use serde_json::{Value, json};
use store::{Key, Store};
use wire::derive::Form;

use crate::args::KeyVerb;
use crate::cleartext::InClear;
use crate::face::{Face, LinkMaker};
use crate::fleet;
use crate::ledger::unix;
use crate::print::{Printer, how_it_ended, key_name, key_object};
use crate::root;

/// How long a new key waits for a running relay to open its port.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn run(verb: KeyVerb, state: &Path, printer: &Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = open(state).await?;
        fleet::is_ours_to_say(&store).await?;
        match verb {
            KeyVerb::New { label, form, cleartext, count } => {
                let has_house = Face::load(&store).await?.is_some_and(|face| face.house.is_some());
                match (form, cleartext) {
                    (Form::Telegram, false) | (Form::Web, true) => {}
                    (Form::Web, false) if has_house => {}
                    (Form::Web, false) => bail!(
                        "--for web opens SOCKS5 and HTTP proxies; they speak in clear, on a port that \
                         can be recognised as a proxy; if that will do, add --cleartext; a relay with \
                         a website of its own has better ones, by TLS: jaryq up --domain NAME"
                    ),
                    (Form::Telegram, true) => {
                        bail!("Telegram's links need nothing in clear; --cleartext is for --for web")
                    }
                }
                let keys = store.new_keys(&label, form, cleartext, count).await?;
                let in_clear = match form {
                    Form::Web if cleartext => opened(&store).await?,
                    _ => InClear::Closed,
                };
                let shown = Shown { brief: keys.len() > 1, ..Shown::default() };
                show(&store, &keys, &shown, printer, "made").await?;
                if let InClear::Refused(why) = in_clear {
                    printer.warning("cleartext-port", &why);
                }
            }
            KeyVerb::List => list(&store.keys().await?, printer),
            KeyVerb::Show { id, qr, port } => {
                let key = store.key(&id).await?;
                if key.revoked.is_some() {
                    bail!("key {} {}; its links do not work", key_name(&key), how_it_ended(&key));
                }
                let in_house = Face::load(&store).await?.is_some_and(|face| face.house.is_some());
                if port.is_some() && key.form != Form::Telegram && !in_house {
                    bail!(
                        "--port is for Telegram's links, which a key for web has only at a relay with a \
                         website of its own; SOCKS5 and HTTP have the port of --cleartext-port"
                    );
                }
                let shown = Shown { qr, port, brief: false };
                show(&store, &[key], &shown, printer, "shown").await?;
            }
            KeyVerb::Page { id } => {
                let key = store.key(&id).await?;
                if key.revoked.is_some() {
                    bail!("key {} {}; it has no page", key_name(&key), how_it_ended(&key));
                }
                if Face::load(&store).await?.is_none_or(|face| face.house.is_none()) {
                    bail!("only a relay with a website of its own has pages: jaryq up --domain NAME");
                }
                store.next_page(key.id).await?;
                show(&store, &[key], &Shown::default(), printer, "page").await?;
            }
            KeyVerb::Revoke { id } => {
                let key = store.revoke(&id).await?;
                if printer.is_json() {
                    printer.object(&json!({ "event": "revoked", "key": key_object(&key, None) }));
                } else {
                    printer.line(format!(
                        "Key {} is revoked; its links no longer work.",
                        key_name(&key)
                    ));
                }
            }
        }
        store.close().await;
        Ok(())
    })
}

/// The state of a relay that was started before, as its owner.
pub(crate) async fn open(state: &Path) -> anyhow::Result<Store> {
    root::become_owner(state)?;
    Store::open_existing(state).await.map_err(|error| match error {
        store::Error::Absent(_) => anyhow::anyhow!(
            "{error}; start a relay with 'jaryq up', and if it runs as root, ask as root (sudo)"
        ),
        other => other.into(),
    })
}

/// How things stand with the port of a key that speaks in clear, once a running relay knows of it.
async fn opened(store: &Store) -> anyhow::Result<InClear> {
    let end = Instant::now() + PATIENCE;
    loop {
        let in_clear = Face::load(store).await?.map(|face| face.in_clear).unwrap_or_default();
        if in_clear != InClear::Closed || Instant::now() > end {
            return Ok(in_clear);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The link to a key's page.
#[derive(Serialize, Debug)]
pub(crate) struct PageLink {
    pub url: String,
    /// Whether it can still be opened.
    pub is_left: bool,
    /// Whether it is what one sends: browsers accept its certificate, once there is one.
    pub is_best: bool,
    /// Whether there is none yet.
    pub is_awaited: bool,
}

impl PageLink {
    pub(crate) async fn of(
        maker: &LinkMaker,
        store: &Store,
        key: &Key,
    ) -> anyhow::Result<Option<Self>> {
        let Some(rooms) = maker.rooms(key.id) else { return Ok(None) };
        let page = store.page(key.id).await?;
        let is_left = Openings::from_bytes(page.openings).is_left(unix());
        let is_best = is_left && rooms.house.is_accepted();
        let is_awaited = rooms.house.awaited;
        Ok(Some(Self { url: rooms.page(page.number), is_left, is_best, is_awaited }))
    }
}

/// How links are shown.
#[derive(Default)]
struct Shown {
    qr: bool,
    /// In place of the best port.
    port: Option<NonZeroU16>,
    /// The best link alone.
    brief: bool,
}

async fn show(
    store: &Store,
    keys: &[Key],
    shown: &Shown,
    printer: &Printer,
    event: &str,
) -> anyhow::Result<()> {
    let maker = link_maker(store, shown.port).await?;
    for key in keys {
        let links = maker.as_ref().map(|maker| maker.links(key)).transpose()?;
        let page = match &maker {
            Some(maker) => PageLink::of(maker, store, key).await?,
            None => None,
        };
        if printer.is_json() {
            let mut object = key_object(key, links.as_ref());
            object["page"] = json!(page);
            printer.object(&json!({ "event": event, "key": object }));
            continue;
        }
        printer.line(format!("Key {} opens {}.", key_name(key), key.form.name()));
        match (links, page) {
            (Some(_), Some(page)) if printer.may_show_links() && shown.brief && page.is_best => {
                printer.line(page.url);
            }
            (Some(links), _) if printer.may_show_links() && shown.brief => {
                printer.best_link(&links);
            }
            (Some(links), page) if printer.may_show_links() => {
                if let Some(page) = page {
                    printer.page(&page, &key.id.to_string()[..8]);
                }
                printer.links(&links, shown.qr);
            }
            _ => {}
        }
    }
    if printer.is_json() {
        return Ok(());
    }
    if maker.is_none() {
        printer.line("Links can be shown once the relay has been started: jaryq up");
    } else if !printer.may_show_links() {
        // The hint goes where it does not end up among what was asked for.
        let _ = writeln!(io::stderr(), "Links are printed on a terminal only, or with --json.");
    }
    Ok(())
}

/// `None` while the relay was never started.
async fn link_maker(store: &Store, port: Option<NonZeroU16>) -> anyhow::Result<Option<LinkMaker>> {
    let Some(face) = Face::load(store).await? else {
        return Ok(None);
    };
    if let Some(port) = port {
        is_the_relays(&face, port.get())?;
    }
    let maker = LinkMaker::new(face, &store.identity().await?)?;
    Ok(Some(match port {
        None => maker,
        Some(port) => maker.with_port(port)?,
    }))
}

/// Fails for a port that a relay on all ports leaves to others.
fn is_the_relays(face: &Face, port: u16) -> anyhow::Result<()> {
    if !face.all_ports || face.ports.contains(&port) || face.bucket_ports.contains(&port) {
        return Ok(());
    }
    if ports::is_never_taken(port) {
        bail!("the relay never answers on port {port}, which is ssh's, DHCP's or network time's");
    }
    let holders = ports::holders().context("cannot tell which ports are other programs'")?;
    if holders.iter().any(|holder| holder.at.port() == port) {
        bail!("the relay does not answer on port {port}: another program listens there");
    }
    Ok(())
}

fn list(keys: &[Key], printer: &Printer) {
    if printer.is_json() {
        let objects: Vec<Value> = keys.iter().map(|key| key_object(key, None)).collect();
        return printer.object(&json!({ "event": "keys", "keys": objects }));
    }
    if keys.is_empty() {
        return printer.line("No keys yet; make one with 'jaryq key new --label NAME'.");
    }
    printer.line(format!("{:<15}{:<10}{:<12}{:<18}{}", "id", "for", "made", "state", "label"));
    for key in keys {
        let state = match key.ends.map(|last| day(last.start())) {
            _ if key.has_ended() => "ended".to_owned(),
            _ if key.revoked.is_some() => "revoked".to_owned(),
            Some(last) => format!("until {last}"),
            None => "valid".to_owned(),
        };
        let row = format!(
            "{:<15}{:<10}{:<12}{state:<18}{}",
            key.id,
            key.form.name(),
            day(key.created),
            key.label
        );
        printer.line(row.trim_end());
    }
}

/// A day as in 2026-11-23, in UTC.
pub(crate) fn day(unix: i64) -> String {
    let since = Duration::from_secs(unix.try_into().unwrap_or(0));
    let mut time = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    time.truncate("2026-11-23".len());
    time
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_relay_on_all_ports_has_none_that_another_program_has_or_that_is_never_taken() {
        let face = |all: bool| {
            let face = json!({
                "addresses": ["203.0.113.5"], "ports": [443, 123], "all_ports": all, "mode": "all",
                "mask": null,
            });
            serde_json::from_value::<Face>(face).expect("a face")
        };
        let other = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = other.local_addr().expect("an address").port();
        let has = |all, port| is_the_relays(&face(all), port);
        assert!(has(true, 22).is_err() && has(true, port).is_err());
        assert!(has(true, 443).is_ok() && has(true, 123).is_ok(), "it says that it has these");
        assert!(has(false, port).is_ok(), "others are looked for in its list");
        assert!(has(true, 1).is_ok(), "nobody has that");
    }
}
