//! All 65,535 ports, loud, where nothing in between remembers anything: five of each transport pass,
//! and the rest vanishes.

use std::collections::BTreeMap;

use lab::Result;
use wire::echo::Transport;

use super::ours::{Search, Searcher};
use super::page::{Page, Table};
use super::scene::Scene;
use super::{Rivals, TCP, UDP};
use crate::report::Limit;
use crate::tell;
use crate::visit::MIB;

const OURS: &str = "jaryq, TCP, no privileges";
const RAW: &str = "jaryq, TCP, raw packets";
const DATAGRAMS: &str = "jaryq, UDP, no privileges";

const TIME: &str = "time: s";
const CPU: &str = "CPU: s";
const MEMORY: &str = "memory at most: MiB";
const FOUND: &str = "found, of 5";
const FALSE: &str = "said to be open and are not";
const SENT: &str = "first packets";
const MOST: &str = "of them to one port, at most";
const ENDED: &str = "ended by itself, of 1";

/// Everybody once a round, in every second round in the other order.
pub(super) fn measure(
    scene: &Scene,
    rivals: &Rivals,
    rounds: usize,
    rival_rounds: usize,
    page: &mut Page,
) -> Result {
    scene.only(TCP, UDP)?;
    let mut table = Table::default();
    let ours = [
        (OURS, Transport::Tcp, false, &["--only", "tcp"][..]),
        (RAW, Transport::Tcp, true, &["--only", "tcp"][..]),
        (DATAGRAMS, Transport::Udp, false, &["--only", "udp"][..]),
    ];
    for round in 0..rounds {
        for (who, transport, as_root, arguments) in ours {
            tell(&format!("round {} of {rounds}: {who}", round + 1));
            let searcher = Searcher { as_root, ..Searcher::again(scene) };
            let meter = scene.meter(transport)?;
            match searcher.search(&[&["--loud"], arguments].concat()) {
                Ok(search) => {
                    add(&mut table, who, transport, &search);
                    add_sent(&mut table, who, &meter.sent()?);
                }
                Err(error) => page.failures.push(format!("{who}: {error}")),
            }
        }
        if round >= rival_rounds {
            continue;
        }
        for (rival, program) in rivals.turns(round) {
            let who = rival.name();
            if round > 0 && rival.is_slow() {
                continue;
            }
            tell(&format!("round {} of {rounds}: {who}", round + 1));
            let meter = scene.meter(Transport::Tcp)?;
            let look = rival.look(program, &scene.user, scene.server())?;
            table.add(who, TIME, look.spent.took.as_secs_f64());
            table.add(who, CPU, look.spent.cpu.as_secs_f64());
            table.add(who, MEMORY, look.spent.peak / MIB);
            let right = look.open.iter().filter(|port| TCP.contains(port)).count();
            table.add(who, FOUND, right as f64);
            table.add(who, FALSE, (look.open.len() - right) as f64);
            table.add(who, ENDED, f64::from(u8::from(look.ended)));
            add_sent(&mut table, who, &meter.sent()?);
        }
    }
    for (what, who, limit) in [
        ("loud: a full TCP sweep without privileges", OURS, 2.0),
        ("loud: a full TCP sweep by raw packets, verified", RAW, 0.7),
        ("loud: a full UDP sweep without privileges", DATAGRAMS, 0.7),
    ] {
        page.goal(what, Limit::AtMost(limit), " s", table.summary(who, TIME));
        page.goal(
            &format!("{what}: found"),
            Limit::AtLeast(5.0),
            " of 5",
            table.summary(who, FOUND),
        );
    }
    page.goal(
        "loud: first packets to one TCP port, at most",
        Limit::AtMost(1.0),
        "",
        table.summary(OURS, MOST),
    );
    page.section("A full sweep", &table);
    Ok(())
}

fn add(table: &mut Table, who: &str, transport: Transport, search: &Search) {
    let open: &[u16] = if transport == Transport::Tcp { &TCP } else { &UDP };
    table.add(who, TIME, search.spent.took.as_secs_f64());
    table.add(who, CPU, search.spent.cpu.as_secs_f64());
    table.add(who, MEMORY, search.spent.peak / MIB);
    let right = search.cracks.iter().filter(|(of, port)| *of == transport && open.contains(port));
    let right = right.count();
    table.add(who, FOUND, right as f64);
    table.add(who, FALSE, (search.cracks.len() - right) as f64);
    table.add(who, ENDED, 1.0);
}

/// To ports that do not pass: to the others more may go, and does.
fn add_sent(table: &mut Table, who: &str, sent: &BTreeMap<u16, u64>) {
    let sent = sent.iter().filter(|(port, _)| !TCP.contains(port) && !UDP.contains(port));
    let sent: Vec<u64> = sent.map(|(_, count)| *count).collect();
    table.add(who, SENT, sent.iter().sum::<u64>() as f64);
    table.add(who, MOST, sent.iter().copied().max().unwrap_or_default() as f64);
}
