//! The comparison of those to whom people speak TLS: in every round, every way of every proxy in
//! turn, and in the next round the other way about.

use std::path::PathBuf;

use crate::certificate::Certificate;
use crate::figures::Figures;
use crate::report::Report;
use crate::subject::{FLOOR, Kind, OURS, Subject, Wanted};
use crate::visit::{ALONE, Amounts, REST, Visit};
use crate::way::Way;
use crate::world::World;
use crate::{machine, tell};

/// Memory and what a long way allows are no matters of chance: they are measured in so many rounds
/// at most.
pub(crate) const FEW_ROUNDS: usize = 3;

/// What the comparison takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Our own program, built with `cargo build --release`
    #[arg(long, value_name = "FILE", default_value = crate::JARYQ)]
    jaryq: PathBuf,

    /// Only these rivals, with commas, or none; all that are to be had if nothing is said
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Option<Vec<Kind>>,

    /// How often everything is measured
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: usize,

    /// In how many rounds every rival takes part; ours and the yardstick do in all
    #[arg(long, default_value_t = 6)]
    pub(crate) rival_rounds: usize,

    /// How much is moved at a time, over all connections, in MiB
    #[arg(long, default_value_t = 512)]
    mib: u64,

    /// How many connections are opened and left idle
    #[arg(long, default_value_t = 2000)]
    idle: usize,

    /// How many connections are made one after another, by 16 clients
    #[arg(long, default_value_t = 500)]
    handshakes: usize,

    /// One round of little, to see that it works; its figures are worth nothing
    #[arg(long)]
    quick: bool,

    /// Write the report to this file
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results/tls.md"), default_value_if("quick", "true", None))]
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
        Self { rounds: 1, mib: 64, idle: 200, handshakes: 100, ..asked }
    }
}

/// Measures everything; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let options = options.as_asked();
    let world = World::new()?;
    let certificate = Certificate::make(&world.server)?;
    let Options { jaryq, only, rounds, .. } = &options;
    let kinds = only.as_deref().unwrap_or(&Kind::TLS);
    let python = "python3".as_ref();
    let wanted = Wanted { jaryq, kinds, rivals: &[], python, certificate: Some(&certificate) };
    let (subjects, missing) = wanted.prepare(&world)?;
    let load_before = machine::load_average();
    let mut figures = Figures::default();
    let mut failures = Vec::new();
    let all = |subject| move |way| (way, Some(subject));
    let mut visits: Vec<(Way, Option<&Subject>)> = vec![(Way::Straight, None)];
    visits.extend(subjects.iter().flat_map(|subject| subject.ways().map(all(subject))));
    for round in 0..*rounds {
        for &(way, subject) in &visits {
            let name = subject.map_or(ALONE, |subject| subject.name);
            if round >= options.rival_rounds && ![OURS, FLOOR, ALONE].contains(&name) {
                continue;
            }
            tell(&format!("round {} of {rounds}: {name}, {}", round + 1, way.name()));
            let (world, amounts) = (&world, options.amounts());
            let (figures, failures) = (&mut figures, &mut failures);
            let mut visit = Visit { world, amounts, way, name, round, figures, failures };
            match subject {
                Some(subject) => visit.speed_and_delay(subject),
                None => visit.alone(),
            }
            if round < FEW_ROUNDS {
                visit.far(subject);
                // A key has a few sessions of WEB at a time, which is not enough to see what one keeps.
                let kept = subject.filter(|_| way != Way::Web);
                kept.into_iter().for_each(|subject| visit.memory(subject));
            }
        }
        visits.reverse();
    }
    let load = (load_before, machine::load_average());
    let options = &options;
    Ok(Report { options, subjects: &subjects, figures: &figures, missing, failures, load }
        .to_string())
}
