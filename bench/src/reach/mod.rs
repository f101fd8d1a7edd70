//! Finding what still passes: `cargo run --release -p bench -- reach`.
//!
//! | module | what is in it |
//! |---|---|
//! | `scene` | a user, a border and relays |
//! | `ours`, `rivals` | who searches: the real `jaryq reach`, and the scanners that people have |
//! | `sweep` | all ports, where nothing in between remembers anything |
//! | `far` | until the first crack, over 200 ms |
//! | `rough` | where packets are lost, and on a busy machine |
//! | `open` | where nothing is cut, and the relay's door is narrow |
//! | `boxes` | where something answers in a relay's name |
//! | `told_apart` | where something begins, and is stopped |
//! | `newcomer` | with others' reports, most of them lies: a simulation |
//! | `router` | what is left in a home's router |
//! | `page` | what comes out |

mod boxes;
mod far;
mod newcomer;
mod open;
mod ours;
mod page;
mod rivals;
mod rough;
mod router;
mod scene;
mod sweep;
mod told_apart;

use std::path::PathBuf;

use clap::builder::ArgPredicate;

use crate::machine;

use ours::Searcher;
use page::Page;
use rivals::Rival;
use scene::Scene;

/// What passed in January 2022.
const TCP: [u16; 5] = [179, 646, 3784, 3785, 4784];
/// As many of the other transport, 53 among them. (A relay never takes 123, which is network time's.)
const UDP: [u16; 5] = [53, 500, 3784, 4784, 51820];

/// What is no matter of chance is measured in so many rounds at most.
const FEW_ROUNDS: usize = 2;

/// What the measurement takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Our own program, built with `cargo build --release`
    #[arg(long, value_name = "FILE", default_value = crate::JARYQ)]
    jaryq: PathBuf,

    /// RustScan, where it is not installed
    #[arg(long, value_name = "FILE")]
    rustscan: Option<PathBuf>,

    /// Only these parts, with commas
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Option<Vec<Part>>,

    /// How often everything is measured
    #[arg(long, default_value_t = 6)]
    rounds: usize,

    /// In how many rounds the rivals take part; 0 for none
    #[arg(long, default_value_t = 3)]
    rival_rounds: usize,

    /// With so many seeds of loss as it takes to be sure: hours
    #[arg(long)]
    long: bool,

    /// One round, to see that it works
    #[arg(long)]
    quick: bool,

    /// Write the report to this file; one of some parts only where a file is named
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results/reach.md"), default_value_ifs([("quick", ArgPredicate::Equals("true".into()), None), ("only", ArgPredicate::IsPresent, None)]))]
    pub(crate) write: Option<PathBuf>,
}

/// What can be measured alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Part {
    /// All ports, fast
    Sweep,
    /// A relay 200 ms away
    Far,
    /// Loss, and a busy machine
    Rough,
    /// Nothing is cut
    Open,
    /// What is left in a home's router
    Router,
    /// Boxes that answer in a relay's name
    Boxes,
    /// Borders that let something begin
    ToldApart,
    /// With others' reports, in a simulation
    Newcomer,
}

/// The rivals that are to be had.
struct Rivals(Vec<(Rival, PathBuf)>);

impl Rivals {
    fn find(options: &Options, page: &mut Page) -> anyhow::Result<Self> {
        let mut found = Vec::new();
        for rival in Rival::ALL.into_iter().filter(|_| options.rival_rounds > 0) {
            let given = options.rustscan.as_deref().filter(|_| rival == Rival::RustScan);
            let name = rival.name();
            let Some(program) = rival.find(given) else {
                page.versions
                    .push(format!("{name} is not installed, or was not given, and is left out"));
                continue;
            };
            let version = rival.version(&program)?;
            let words = rival.arguments([192, 0, 2, 1].into()).join(" ");
            page.versions.push(format!("**{name}**: {version}, `{} {words}`", rival.program()));
            found.push((rival, program));
        }
        Ok(Self(found))
    }

    /// All of them, in every second round from the last to the first.
    fn turns(&self, round: usize) -> Vec<(Rival, &PathBuf)> {
        let mut turns: Vec<_> = self.0.iter().map(|(rival, program)| (*rival, program)).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        turns
    }
}

/// Measures everything; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let rounds = if options.quick { 1 } else { options.rounds };
    let mut page = Page { rounds, ..Page::default() };
    let load = machine::load_average();
    let rivals = Rivals::find(options, &mut page)?;
    let wants = |part| options.only.as_ref().is_none_or(|only| only.contains(&part));
    let scene = Scene::new(&options.jaryq)?;
    Searcher::introduce(&scene)?;
    if wants(Part::Sweep) {
        sweep::measure(&scene, &rivals, rounds, options.rival_rounds, &mut page)?;
    }
    if wants(Part::Far) {
        far::measure(&scene, rounds, &mut page)?;
    }
    if wants(Part::Rough) {
        let seeds = if options.long { 100 } else { rounds as u64 };
        rough::measure(&scene, seeds, rounds, &mut page)?;
    }
    if wants(Part::Boxes) {
        boxes::measure(&scene, &rivals, &mut page)?;
    }
    if wants(Part::ToldApart) {
        told_apart::measure(&scene, rounds.min(FEW_ROUNDS), &mut page)?;
    }
    if wants(Part::Newcomer) {
        newcomer::measure(&mut page)?;
    }
    if wants(Part::Router) {
        router::measure(&scene, &rivals, &mut page)?;
    }
    // At the end: it uses up what a relay answers in ten minutes.
    if wants(Part::Open) {
        open::measure(&scene, &mut page)?;
    }
    page.load = (load, machine::load_average());
    Ok(page.to_string())
}
