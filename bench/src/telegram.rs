//! The comparison of Telegram proxies: in every round, for every form, every proxy in turn.

use std::path::PathBuf;

use crate::figures::Figures;
use crate::report::Report;
use crate::subject::{Kind, Rival, Wanted};
use crate::visit::{ALONE, Amounts, REST, Visit};
use crate::way::Way;
use crate::world::World;
use crate::{machine, tell};

/// What the comparison takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Our own program, built with `cargo build --release`
    #[arg(long, value_name = "FILE", default_value = crate::JARYQ)]
    jaryq: PathBuf,

    /// A rival, once for each: mtprotoproxy=/path/to/mtprotoproxy.py, telemt=/path/to/telemt
    #[arg(long = "rival", value_name = "NAME=FILE")]
    rivals: Vec<Rival>,

    /// The Python for rivals that are written in it, with the packages that make them fast
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,

    /// The forms to measure, with commas
    #[arg(long, value_delimiter = ',', value_parser = Way::telegram, default_value = "plain,dd,ee")]
    pub(crate) forms: Vec<Way>,

    /// How often everything is measured
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,

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
    pub(crate) write: Option<PathBuf>,
}

impl Options {
    pub(crate) const fn amounts(&self) -> Amounts {
        Amounts { mib: self.mib, idle: self.idle, handshakes: self.handshakes, rest: REST }
    }
}

/// Measures everything; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let world = World::new()?;
    let Options { jaryq, rivals, python, .. } = options;
    let wanted = Wanted { jaryq, kinds: &Kind::TELEGRAM, rivals, python, certificate: None };
    let (subjects, missing) = wanted.prepare(&world)?;
    let load_before = machine::load_average();
    let mut figures = Figures::default();
    let mut failures = Vec::new();
    for round in 0..options.rounds {
        // The tool alone, then each form; another proxy begins each time.
        let turns =
            (0..subjects.len()).map(|turn| Some(&subjects[(turn + round) % subjects.len()]));
        let visits = options.forms.iter().flat_map(|&form| turns.clone().map(move |of| (form, of)));
        for (way, subject) in [(Way::Straight, None)].into_iter().chain(visits) {
            let name = subject.map_or(ALONE, |subject| subject.name);
            tell(&format!("round {} of {}: {}, {name}", round + 1, options.rounds, way.name()));
            let (world, amounts) = (&world, options.amounts());
            let (figures, failures) = (&mut figures, &mut failures);
            let mut visit = Visit { world, amounts, way, name, round, figures, failures };
            match subject {
                Some(subject) => {
                    visit.memory(subject);
                    visit.speed(subject);
                }
                None => visit.alone(),
            }
        }
    }
    let load = (load_before, machine::load_average());
    Ok(Report { options, subjects: &subjects, figures: &figures, missing, failures, load }
        .to_string())
}
