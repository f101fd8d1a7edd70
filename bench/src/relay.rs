//! The comparison of everything that we carry with everything that carries the same: in every round,
//! every way of every proxy in turn, and in the next round the other way about.

use std::path::PathBuf;

use crate::accept;
use crate::figures::Figures;
use crate::report::Report;
use crate::subject::{Kind, OURS, Rival, SPLICE, Subject, Wanted};
use crate::visit::{ALONE, Amounts, REST, Visit};
use crate::way::Way;
use crate::world::World;
use crate::{machine, tell};

/// Memory is no matter of chance: it is measured in so many rounds at most.
pub(crate) const MEMORY_ROUNDS: usize = 3;

/// Those who take part in every round: what is compared closely.
const ALWAYS: [&str; 3] = [OURS, SPLICE, ALONE];

/// What the comparison takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Our own program, built with `cargo build --release`
    #[arg(long, value_name = "FILE", default_value = crate::JARYQ)]
    jaryq: PathBuf,

    /// A rival that is not installed, once for each: mtprotoproxy=/path/to/mtprotoproxy.py,
    /// telemt=/path/to/telemt
    #[arg(long = "rival", value_name = "NAME=FILE")]
    rivals: Vec<Rival>,

    /// Only these rivals, with commas, or none; all that are to be had if nothing is said
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Option<Vec<Kind>>,

    /// The Python for rivals that are written in it, with the packages that make them fast
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,

    /// How often everything is measured
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: usize,

    /// In how many rounds every rival takes part; ours and the yardstick do in all
    #[arg(long, default_value_t = 6)]
    pub(crate) rival_rounds: usize,

    /// How much is moved at a time, over all connections, in MiB
    #[arg(long, default_value_t = 512)]
    mib: u64,

    /// How many connections are opened and left idle; of 20,000 open files, ours uses no more than
    /// this needs
    #[arg(long, default_value_t = 4900)]
    idle: usize,

    /// How many connections are made one after another, by 16 clients
    #[arg(long, default_value_t = 500)]
    handshakes: usize,

    /// How many connections are made without a word, to one port and to all
    #[arg(long, default_value_t = 4000)]
    pub(crate) accepts: usize,

    /// One round of little, to see that it works; its figures are worth nothing
    #[arg(long)]
    quick: bool,

    /// Write the report to this file
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results/relay.md"), default_value_if("quick", "true", None))]
    pub(crate) write: Option<PathBuf>,
}

impl Options {
    pub(crate) fn amounts(&self) -> Amounts {
        let rest = if self.quick { REST / 8 } else { REST };
        Amounts { mib: self.mib, idle: self.idle, handshakes: self.handshakes, rest }
    }

    fn as_asked(&self) -> Self {
        let asked = self.clone();
        if !self.quick {
            return asked;
        }
        Self { rounds: 1, mib: 64, idle: 200, handshakes: 100, accepts: 200, ..asked }
    }
}

/// Measures everything; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let options = options.as_asked();
    let world = World::new()?;
    let Options { jaryq, rivals, python, only, rounds, .. } = &options;
    let kinds = only.as_deref().unwrap_or(&Kind::ALL);
    let (subjects, missing) =
        Wanted { jaryq, kinds, rivals, python, certificate: None }.prepare(&world)?;
    let load_before = machine::load_average();
    let mut figures = Figures::default();
    let mut failures = Vec::new();
    let ways = |subject: &Subject| subject.ways().collect::<Vec<_>>();
    let mut visits: Vec<(Way, Option<&Subject>)> = vec![(Way::Straight, None)];
    for subject in &subjects {
        // Plain is dd without what pads it, and is carried the same way.
        let known = ways(subject).into_iter().filter(|way| *way != Way::Plain);
        visits.extend(known.map(|way| (way, Some(subject))));
    }
    for round in 0..*rounds {
        for (way, subject) in &visits {
            let (way, subject) = (*way, *subject);
            let name = subject.map_or(ALONE, |subject| subject.name);
            if round >= options.rival_rounds && !ALWAYS.contains(&name) {
                continue;
            }
            tell(&format!("round {} of {rounds}: {name}, {}", round + 1, way.name()));
            let (world, amounts) = (&world, options.amounts());
            let (figures, failures) = (&mut figures, &mut failures);
            let mut visit = Visit { world, amounts, way, name, round, figures, failures };
            let Some(subject) = subject else {
                visit.alone();
                continue;
            };
            visit.speed_and_delay(subject);
            if round < MEMORY_ROUNDS {
                visit.memory(subject);
                visit.stalled(subject);
            }
        }
        tell(&format!("round {} of {rounds}: accepting", round + 1));
        if let Err(error) =
            accept::measure(&world, &subjects[0], options.accepts, round, &mut figures)
        {
            failures.push(format!("accepting: {error}"));
        }
        visits.reverse();
    }
    let load = (load_before, machine::load_average());
    let options = &options;
    Ok(Report { options, subjects: &subjects, figures: &figures, missing, failures, load }
        .to_string())
}
