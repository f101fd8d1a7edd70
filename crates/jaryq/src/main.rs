//! The command: one small file per verb, wiring only. What it wires is in the other rooms.
//!
//! | module | what is in it |
//! |---|---|
//! | `args`, `config` | what was asked for: flags, then `JARYQ_*` variables, then `jaryq.toml`, then defaults |
//! | `up`, `key`, `bundle`, `trust`, `reach`, `stats`, `doctor`, `install` | the verbs |
//! | `hub` | the office of a fleet, and its verbs |
//! | `announce` | what `up` says at the start |
//! | `fleet` | a relay that has joined a hub's fleet, and `jaryq pause`, `resume`, `leave` |
//! | `reload` | settings that change while a relay runs |
//! | `watch` | what a relay does while it runs, besides carrying |
//! | `doors` | the ports on which a relay answers while it runs, and `jaryq ports` |
//! | `ledger` | what was counted, on its way into the state |
//! | `metrics` | the same for Prometheus |
//! | `chart` | tables with bars |
//! | `face` | what the world sees of a relay (addresses, ports, mask), and the links that follow |
//! | `house` | a website and a certificate of its own |
//! | `lent` | its files, where only root can read them |
//! | `rooms` | its addresses that lead to one key |
//! | `desk` | the page on which somebody sets up their apps |
//! | `cleartext` | the port of SOCKS5 and HTTP proxies, while somebody has a key for it |
//! | `address` | which addresses this machine has |
//! | `root` | giving root up |
//! | `machine` | how many files and how much memory it may have |
//! | `supervisor` | what a service manager wants to hear |
//! | `running` | whether a relay runs on a state directory |
//! | `print` | for people, or for programs with `--json` |

#![forbid(unsafe_code)]

mod address;
mod announce;
mod args;
mod bundle;
mod chart;
mod cleartext;
mod config;
mod desk;
mod doctor;
mod doors;
mod echoes;
mod face;
mod fleet;
mod house;
mod hub;
mod install;
mod key;
mod ledger;
mod lent;
mod machine;
mod metrics;
mod print;
mod reach;
mod reload;
mod rooms;
mod root;
mod running;
mod stats;
mod supervisor;
mod trust;
mod up;
mod watch;

use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;

use args::{Args, Place, Service, Verb};
use config::{Asked, Config};
use print::Printer;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Who asked for JSON gets its errors in it too. (Help is no error.)
        Err(wrong) if wrong.use_stderr() && std::env::args().any(|word| word == "--json") => {
            Printer::new(true).error(&wrong.into());
            return ExitCode::from(2);
        }
        Err(wrong) => wrong.exit(),
    };
    let printer = Printer::new(args.json);
    match run(args, &printer) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            printer.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn run(args: Args, printer: &Printer) -> anyhow::Result<bool> {
    let state = |place| anyhow::Ok(Config::gather(place, Service::default())?.state);
    match args.verb {
        Verb::Up(service) => up::run(&Asked::new(args.place, service), printer)?,
        Verb::Ports { mode } => doors::change(&mode, &state(args.place)?, printer)?,
        Verb::Pause => fleet::pause(true, &state(args.place)?, printer)?,
        Verb::Resume => fleet::pause(false, &state(args.place)?, printer)?,
        Verb::Leave => fleet::leave(&state(args.place)?, printer)?,
        Verb::Key(verb) => key::run(verb, &state(args.place)?, printer)?,
        Verb::Bundle(verb) => bundle::run(verb, || state(args.place), printer)?,
        Verb::Trust(arguments) => trust::run(arguments, printer)?,
        Verb::Reach(arguments) => return reach::run(&arguments, printer),
        Verb::Hub(asked) => hub::run(args.place, *asked, printer)?,
        Verb::Doctor { key, from } => {
            let config = Config::gather(args.place, Service::default())?;
            return doctor::run(&config, key.as_deref(), from.as_ref(), printer);
        }
        Verb::Stats { days } => stats::run(days, &state(args.place)?, printer)?,
        Verb::Install { service, root } => {
            let Place { state, config } = args.place;
            if state.is_some() || config.is_some() {
                bail!(
                    "a service has its keys in /var/lib/jaryq and its settings in /etc/jaryq.toml"
                );
            }
            install::install(service, root.as_deref(), printer)?;
        }
        Verb::Lend { to, group } => {
            let config = Config::gather(args.place, Service::default())?;
            lent::lend(&config.house, &to, &group)?;
        }
        Verb::Uninstall { root } => install::uninstall(root.as_deref(), printer)?,
    }
    Ok(true)
}
