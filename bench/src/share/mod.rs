//! Handing out endpoints while a censor has informers among those who ask: `cargo run --release -p bench -- share`.
//!
//! A simulation. What hands out is the hub's own core, [`hub::seats`], and beside it our own short
//! versions of what others do.
//!
//! | module | what is in it |
//! |---|---|
//! | `world` | people come, are seated, and are cut off: half an hour at a time, for five days |
//! | `censor` | what it is told, and when it blocks |
//! | `cell` | fleets, censors and hardships: what is simulated |
//! | `office` | what the world tells whoever hands out, and asks of them; and ours |
//! | `rivals` | the others |
//! | `runs` | every office in every cell, with each seed |
//! | `outcome` | what came of one simulation |
//! | `page`, `plot` | what comes out |

mod cell;
mod censor;
mod office;
mod outcome;
mod page;
mod plot;
mod rivals;
mod runs;
#[cfg(test)]
mod tests;
mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{machine, tell};

use cell::{Cell, S};
use page::Page;
use runs::Who;

/// What the simulation takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// With how many seeds everything is simulated
    #[arg(long, default_value_t = 10)]
    seeds: u64,

    /// Only these cells, with commas, as in B-0.1,C-1-sleeper
    #[arg(long, value_delimiter = ',', value_name = "CELLS")]
    only: Option<Vec<Cell>>,

    /// Ours alone
    #[arg(long)]
    alone: bool,

    /// Write the report to this file, and the plot beside it [default: its page in results/, and
    /// nowhere if it is not all of it]
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/share.md");

impl Options {
    /// Where the page goes.
    pub(crate) fn page(&self) -> Option<PathBuf> {
        let is_whole = self.only.is_none() && !self.alone;
        self.write.clone().or_else(|| is_whole.then(|| PAGE.into()))
    }
}

/// Simulates everything; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    ensure!(options.seeds > 0, "at least one seed is needed");
    let load = machine::load_average();
    let start = Instant::now();
    let cells = options.only.clone().unwrap_or_else(|| Cell::ALL.to_vec());
    let offices = if options.alone { &[Who::Ours][..] } else { &Who::ALL };
    let large = cells.iter().find(|cell| cell.fleet == S).map(time_alone).transpose()?;
    let outcomes = runs::run(&cells, offices, options.seeds)?;
    let took = start.elapsed();
    let load = (load, machine::load_average());
    let page = Page { cells, offices, outcomes, seeds: options.seeds, large, took, load };
    if let Some(file) = options.page() {
        let plot = file.with_extension("svg");
        if let Some(drawing) = page.plot() {
            std::fs::write(&plot, drawing)?;
            tell(&format!("the plot is in {}", plot.display()));
        }
    }
    Ok(page.to_string())
}

/// The large fleet while nothing else runs: the whole simulation, and the office in it.
fn time_alone(cell: &Cell) -> anyhow::Result<(Duration, Duration)> {
    let start = Instant::now();
    let outcome = runs::simulate(cell, Who::Ours, 1)?;
    Ok((start.elapsed(), outcome.cpu))
}
