//! What the hub answered, for people.

use super::talk::{Block, Door, Link, People, Relay, Told};
use crate::chart::{Row, bytes, count, table};
use crate::print::Printer;

/// Lines for whoever typed the verb.
pub(super) fn show(told: &Told, printer: &Printer) {
    match told {
        Told::Error { error } => printer.line(error),
        Told::Invite { invite, .. } => {
            printer.line(
                "Send this to one volunteer. It is good once, for an hour, for one server:\n",
            );
            printer.line(format!("  sudo jaryq up --join {invite}"));
        }
        Told::Vouched { relay, is_vouched: true } => {
            printer.line(format!("Relay {relay} carries everything that people's keys open."));
        }
        Told::Vouched { relay, .. } => {
            printer.line(format!("Relay {relay} carries Telegram alone."));
        }
        Told::Ports { relays, all } => {
            let ports = if *all { "every port that is free" } else { "their usual ports" };
            printer.line(format!("{relays} relays answer on {ports} once they have heard of it."));
        }
        Told::Relays { relays } => lines(printer, &relay_lines(relays)),
        Told::People(people) => lines(printer, &people_lines(people)),
        Told::Blocks { blocks } => lines(printer, &block_lines(blocks)),
        Told::Given { links, .. } => given(links, printer),
        Told::Bundle { bundle, capitals, relays, .. } => {
            printer.line(bundle);
            if *relays > 0 && capitals.len() <= crate::print::QR_LETTERS {
                printer.line("");
                printer.qr(capitals);
            }
        }
        Told::Door { name, token, path } => {
            printer.line(format!("Door {name}. Its token, which is shown once:\n\n  {token}\n"));
            printer.line(format!(
                "Requests need 'Authorization: Bearer TOKEN'; they go to the hub's address, below \
                 {path}, or to --local on this machine. See docs/hub-api.yaml."
            ));
        }
        Told::Signer { key, words } => {
            printer.line("Who signs this fleet's orders and bundles, for people to compare:\n");
            printer.line(words);
            printer.line(format!("\nTheir key: {key}"));
        }
    }
}

fn lines(printer: &Printer, lines: &[String]) {
    lines.iter().for_each(|line| printer.line(line));
}

fn given(links: &[Link], printer: &Printer) {
    let Some(Link { tg, https }) = links.first() else {
        printer.line(
            "There is no seat for one more at the moment: invite relays (jaryq hub invite), or try \
             again when one is free (jaryq hub relays).",
        );
        return;
    };
    printer.line("For one person; a tap on it sets up their Telegram:\n");
    printer.line(format!("  {tg}\n  {https}"));
    for Link { tg, https } in &links[1..] {
        printer.line(format!("\nIn case that it is blocked, a spare one:\n\n  {tg}\n  {https}"));
    }
    printer.line("");
    printer.qr(tg);
}

fn relay_lines(relays: &[Relay]) -> Vec<String> {
    if relays.is_empty() {
        return vec!["There are no relays yet; invite one: jaryq hub invite".to_owned()];
    }
    let row = |relay: &Relay| {
        let reached = match relay.is_reached {
            None => "not tried",
            Some(true) => "yes",
            Some(false) => "no",
        };
        let (live, all) = relay.datacentres;
        let heard = relay.heard.map_or_else(|| "never".to_owned(), |ago| format!("{ago} s ago"));
        let soon = if relay.is_at_ports { "" } else { " soon" };
        let vouched = if relay.is_vouched { "everything" } else { "Telegram" };
        let cells = [
            relay.id.clone(),
            relay.owner.clone(),
            relay.address.clone(),
            relay.standing.clone(),
            vouched.to_owned(),
            reached.to_owned(),
            format!("{}{soon}", relay.ports),
            heard,
            format!("{live}/{all}"),
            bytes(relay.carried),
            count(relay.helped.into()),
            count(relay.people),
        ];
        Row { cells: cells.into(), bar: Some(relay.people) }
    };
    let heads = [
        "relay", "owner", "address", "standing", "carries", "reached", "ports", "heard",
        "Telegram", "month", "helped", "people",
    ];
    table(&heads, &relays.iter().map(row).collect::<Vec<_>>())
}

fn people_lines(people: &People) -> Vec<String> {
    let mut lines = vec![format!(
        "{} people have a seat, {} wait for one. Who has not been heard of for 7 days is forgotten.",
        count(people.seated),
        count(people.waiting)
    )];
    if !people.doors.is_empty() {
        let row = |door: &Door| Row {
            cells: vec![door.name.clone(), count(door.people)],
            bar: Some(door.people),
        };
        lines.push(String::new());
        lines.extend(table(&["door", "people"], &people.doors.iter().map(row).collect::<Vec<_>>()));
    }
    lines
}

fn block_lines(blocks: &[Block]) -> Vec<String> {
    if blocks.is_empty() {
        return vec!["Nothing was blocked yet, as far as the hub can tell.".to_owned()];
    }
    let row = |block: &Block| Row {
        cells: vec![
            moment(block.at),
            block.endpoints.to_string(),
            count(block.reseated),
            block.cause.clone(),
        ],
        bar: None,
    };
    let heads = ["when (UTC)", "endpoints", "re-seated", "why"];
    table(&heads, &blocks.iter().map(row).collect::<Vec<_>>())
}

/// As in 2026-11-23 17:05:00.
fn moment(unix: u64) -> String {
    let since = std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix);
    humantime::format_rfc3339_seconds(since).to_string().replace('T', " ").replace('Z', "")
}
