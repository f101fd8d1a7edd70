//! Our figures beside the rivals', in one run: `cargo run --release -p bench -- telegram`.
//!
//! Every proxy is a program of its own, in a network namespace of the [`lab`], between the same
//! user and the same Telegram. The load tool is made to cost little and to check what it can: what
//! is measured is the proxy's process, never the tool.
//!
//! | module | what is in it |
//! |---|---|
//! | [`keys`] | how long it takes to find one key of very many |
//! | [`telegram`] | the run: rounds, forms, proxies in turn |
//! | [`visit`] | what is measured of one proxy in one form |
//! | [`subject`] | a proxy that can be started: ours, and each rival as its own documents configure it |
//! | [`process`] | CPU time and memory of a process and its children |
//! | [`load`] | the user and the datacentre |
//! | [`figures`], [`report`] | samples, medians, and the page that comes out |

#![forbid(unsafe_code)]

mod figures;
mod keys;
mod load;
mod machine;
mod process;
mod report;
mod subject;
mod telegram;
mod visit;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use lab::relay::Form;

use subject::Rival;

/// Measures jaryq beside other programs that do the same.
#[derive(Parser)]
#[command(name = "bench", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Telegram proxies: CPU, memory and speed in the forms plain, dd and ee. Needs root
    Telegram(Options),
    /// One key among 100,000: how long it takes to find, also under a flood
    Keys(keys::Options),
}

/// What the comparison of Telegram proxies takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Our own program, built with `cargo build --release`
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/jaryq"))]
    jaryq: PathBuf,

    /// A rival, once for each: mtprotoproxy=/path/to/mtprotoproxy.py, telemt=/path/to/telemt
    #[arg(long = "rival", value_name = "NAME=FILE")]
    rivals: Vec<Rival>,

    /// The Python for rivals that are written in it, with the packages that make them fast
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,

    /// The forms to measure, with commas
    #[arg(long, value_delimiter = ',', value_parser = form, default_value = "plain,dd,ee")]
    forms: Vec<Form>,

    /// How often everything is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// How much is moved at a time, over all connections, in MiB
    #[arg(long, default_value_t = 1024)]
    mib: u64,

    /// How many connections are opened and left idle
    #[arg(long, default_value_t = 2000)]
    idle: usize,

    /// How many connections are made one after another, by 16 clients
    #[arg(long, default_value_t = 1000)]
    handshakes: usize,

    /// Write the report to this file as well
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn form(name: &str) -> Result<Form, String> {
    let forms = ["plain", "dd", "ee"].into_iter().zip(Form::ALL);
    let found = forms.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, form)| form).ok_or_else(|| "the forms are plain, dd and ee".to_owned())
}

fn main() -> anyhow::Result<()> {
    let (report, file) = match Args::parse().what {
        What::Telegram(options) => (telegram::run(&options)?, options.write),
        What::Keys(options) => (keys::run(&options)?, options.write),
    };
    if let Some(file) = &file {
        fs::write(file, &report).with_context(|| format!("cannot write {}", file.display()))?;
    }
    io::stdout().write_all(report.as_bytes())?;
    Ok(())
}
