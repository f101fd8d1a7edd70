//! `jaryq key`: one for each person.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use store::{Key, Store};
use wire::derive::Form;

use crate::args::KeyVerb;
use crate::face::{Face, LinkMaker, Links};
use crate::print::{Printer, key_name, key_object};
use crate::root;

pub(crate) fn run(verb: KeyVerb, state: &Path, printer: &Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = open(state).await?;
        match verb {
            KeyVerb::New { label, form, cleartext } => {
                let key = match (form, cleartext) {
                    (Form::Telegram, false) => store.new_key(label, form).await?,
                    (Form::Web, true) => store.new_cleartext_key(label, form).await?,
                    (Form::Web, false) => bail!(
                        "--for web opens SOCKS5 and HTTP proxies; they speak in clear, on a port that \
                         can be recognised as a proxy; if that will do, add --cleartext"
                    ),
                    (Form::Telegram, true) => {
                        bail!("Telegram's links need nothing in clear; --cleartext is for --for web")
                    }
                };
                show(&store, &key, false, printer, "made").await?;
            }
            KeyVerb::List => list(&store.keys().await?, printer),
            KeyVerb::Show { id, qr } => {
                let key = store.key(&id).await?;
                if key.revoked.is_some() {
                    bail!("key {} was revoked; its links do not work", key_name(&key));
                }
                show(&store, &key, qr, printer, "shown").await?;
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

async fn show(
    store: &Store,
    key: &Key,
    qr: bool,
    printer: &Printer,
    event: &str,
) -> anyhow::Result<()> {
    let links = links(store, key).await?;
    if printer.is_json() {
        printer.object(&json!({ "event": event, "key": key_object(key, links.as_ref()) }));
        return Ok(());
    }
    printer.line(format!("Key {} opens {}.", key_name(key), key.form.name()));
    match links {
        None => printer.line("Its links can be shown once the relay has been started: jaryq up"),
        Some(_) if !printer.may_show_links() => {
            // The hint goes where it does not end up among what was asked for.
            let _ = writeln!(io::stderr(), "Links are printed on a terminal only, or with --json.");
        }
        Some(links) => printer.links(&links, qr),
    }
    Ok(())
}

async fn links(store: &Store, key: &Key) -> anyhow::Result<Option<Links>> {
    let Some(face) = Face::load(store).await? else {
        return Ok(None);
    };
    let maker = LinkMaker::new(face, &store.identity().await?)?;
    maker.links(key).map(Some).context("no links yet")
}

fn list(keys: &[Key], printer: &Printer) {
    if printer.is_json() {
        let objects: Vec<Value> = keys.iter().map(|key| key_object(key, None)).collect();
        return printer.object(&json!({ "event": "keys", "keys": objects }));
    }
    if keys.is_empty() {
        return printer.line("No keys yet; make one with 'jaryq key new --label NAME'.");
    }
    printer.line(format!("{:<15}{:<10}{:<12}{:<9}{}", "id", "for", "made", "state", "label"));
    for key in keys {
        let state = if key.revoked.is_some() { "revoked" } else { "valid" };
        let row = format!(
            "{:<15}{:<10}{:<12}{state:<9}{}",
            key.id,
            key.form.name(),
            day(key.created),
            key.label
        );
        printer.line(row.trim_end());
    }
}

/// A day as in 2026-11-23, in UTC.
fn day(unix: i64) -> String {
    let since = Duration::from_secs(unix.try_into().unwrap_or(0));
    let mut time = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    time.truncate("2026-11-23".len());
    time
}
