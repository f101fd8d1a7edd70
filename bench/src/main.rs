//! Our figures beside the rivals', in one run: `cargo run --release -p bench -- relay`;
//! `-- tls` for those to whom people speak TLS, `-- telegram` for the proxies of Telegram alone, `-- keys`
//! for one key among very many, `-- reach` for finding what still passes a border, `-- blocks` for noticing
//! that an endpoint is blocked, `-- share` for handing out endpoints while informers tell a censor, `-- hub`
//! for what a hub can do. The folder's README says what it needs.
//!
//! Every proxy is a program of its own, in a network namespace of the [`lab`], between the same
//! user and the same Telegram. The load tool is made to cost little and to check what it can: what
//! is measured is the proxy's process, never the tool.
//!
//! | module | what is in it |
//! |---|---|
//! | [`rounds`] | a comparison: rounds, and proxies in turn |
//! | [`relay`], [`tls`] | what is compared, with whom |
//! | [`telegram`] | the same for one protocol in its forms |
//! | [`reach`] | which ports still pass a border, beside scanners |
//! | [`blocks`] | how soon a hub notices a block: a simulation |
//! | [`share`] | who stays online while informers tell a censor: a simulation |
//! | [`keys`] | how long it takes to find one key of very many |
//! | [`hub`] | what a hub can do, in hand-outs, memory and time |
//! | [`visit`] | what is measured of one proxy in one way |
//! | [`accept`] | what it costs to accept connections on all ports |
//! | [`subject`] | a proxy that can be started: ours, and each rival as its own documents configure it |
//! | [`certificate`] | what they show where people speak TLS to them |
//! | [`process`] | CPU time and memory of a process and its children |
//! | [`world`], [`load`], [`way`] | where it happens; the user and the datacentre; what they speak |
//! | [`figures`], [`report`] | samples, medians, and the pages that come out |

#![forbid(unsafe_code)]

mod accept;
mod blocks;
mod certificate;
mod figures;
mod hub;
mod keys;
mod load;
mod machine;
mod process;
mod reach;
mod relay;
mod report;
mod rounds;
mod share;
mod subject;
mod telegram;
mod tls;
mod visit;
mod way;
mod world;

use std::fs;
use std::io::{self, Write};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Our own program as the workspace builds it.
const JARYQ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/jaryq");

/// Measures jaryq beside other programs that do the same.
#[derive(Parser)]
#[command(name = "bench", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Everything that it carries, beside proxies of every kind: CPU, memory and delay. Needs root
    Relay(relay::Relay),
    /// What TLS costs where it is taken off: for browsers' proxies and Telegram's WEB. Needs root
    Tls(tls::Tls),
    /// Telegram proxies: CPU, memory and speed in the forms plain, dd and ee. Needs root
    Telegram(telegram::Options),
    /// One key among 100,000: how long it takes to find, also under a flood
    Keys(keys::Options),
    /// Which ports still pass a border: all of them, fast, beside scanners. Needs root
    Reach(reach::Options),
    /// How soon a block is noticed, and how often what is none: a simulation
    Blocks(blocks::Options),
    /// What a hub can do: hand-outs, refreshes, memory of a million people
    Hub(hub::Options),
    /// Handing out endpoints while informers tell a censor: a simulation, beside other ways
    Share(share::Options),
}

fn main() -> anyhow::Result<()> {
    let (report, write) = match Args::parse().what {
        What::Relay(comparison) => rounds::run(&comparison)?,
        What::Tls(comparison) => rounds::run(&comparison)?,
        What::Telegram(options) => (telegram::run(&options)?, options.write),
        What::Keys(options) => (keys::run(&options)?, options.write),
        What::Reach(options) => (reach::run(&options)?, options.write),
        What::Blocks(options) => (blocks::run(&options)?, options.write),
        What::Hub(options) => {
            // The hub's own process has no page to write.
            let write = options.write.clone().filter(|_| !options.is_server());
            (hub::run(&options)?, write)
        }
        What::Share(options) => (share::run(&options)?, options.page()),
    };
    if let Some(file) = &write {
        fs::write(file, &report).with_context(|| format!("cannot write {}", file.display()))?;
    }
    io::stdout().write_all(report.as_bytes())?;
    Ok(())
}

/// Says how far it is. Nobody reading is no reason to stop.
fn tell(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}
