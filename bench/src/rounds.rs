//! A comparison: in every round, every way of every proxy in turn, and in the next round the other way
//! about.
//!
//! One more is a file like [`relay`](crate::relay), which says what is measured, a page below
//! [`report`](crate::report), and a line in `main`.

use std::fmt::Display;
use std::path::PathBuf;

use crate::certificate::Certificate;
use crate::figures::Figures;
use crate::report::Report;
use crate::subject::{Kind, Rival, Subject, Wanted};
use crate::visit::{ALONE, Amounts, REST, Visit};
use crate::way::Way;
use crate::world::World;
use crate::{machine, tell};

/// What is no matter of chance (memory, what windows allow) is measured in so many rounds at most.
pub(crate) const FEW_ROUNDS: usize = 3;

/// Who is compared with whom, and in what.
pub(crate) trait Comparison {
    /// What it is called on the command line, and its page.
    const NAME: &'static str;
    /// The rivals, where nothing is said.
    const KINDS: &'static [Kind];
    /// Those who take part in every round: what is compared closely.
    const ALWAYS: &'static [&'static str];
    /// How many connections are left idle, where nothing is said.
    const IDLE: usize;

    /// What the command line says.
    fn asked(&self) -> &Rounds;

    /// What everybody shows, where everybody is to take TLS off.
    fn certificate(&self, _: &World) -> anyhow::Result<Option<Certificate>> {
        Ok(None)
    }

    /// Whether this way of a proxy is measured.
    fn compares(&self, _: Way) -> bool {
        true
    }

    /// One turn, of a proxy or of the user alone.
    fn visit(&self, visit: &mut Visit<'_>, subject: Option<&Subject>);

    /// What is measured once in a round, of ours.
    fn once(&self, _: &World, _: &Subject, _round: usize, _: &mut Figures) -> lab::Result {
        Ok(())
    }

    /// How much of everything.
    fn amounts(&self) -> Amounts {
        let Rounds { quick, mib, idle, handshakes, .. } = *self.asked();
        if quick {
            return Amounts { mib: 64, idle: 200, handshakes: 100, rest: REST / 8 };
        }
        Amounts { mib, idle: idle.unwrap_or(Self::IDLE), handshakes, rest: REST }
    }

    /// How often everything is measured.
    fn rounds(&self) -> usize {
        if self.asked().quick { 1 } else { self.asked().rounds }
    }

    /// In how many of these rounds rivals take part.
    fn rival_rounds(&self) -> usize {
        self.rounds().min(self.asked().rival_rounds)
    }
}

/// What every comparison takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Rounds {
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
    rounds: usize,

    /// In how many rounds every rival takes part; ours and the yardstick do in all
    #[arg(long, default_value_t = 6)]
    rival_rounds: usize,

    /// How much is moved at a time, over all connections, in MiB
    #[arg(long, default_value_t = 512)]
    mib: u64,

    /// How many connections are opened and left idle [default: as the page in results/ has it]
    #[arg(long)]
    idle: Option<usize>,

    /// How many connections are made one after another, by 16 clients
    #[arg(long, default_value_t = 500)]
    handshakes: usize,

    /// One round of little, to see that it works; its figures are worth nothing
    #[arg(long)]
    pub(crate) quick: bool,

    /// Write the report to this file [default: its page in results/, and nowhere if quick]
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Measures everything; gives the report, and the file that it is for.
pub(crate) fn run<C>(comparison: &C) -> anyhow::Result<(String, Option<PathBuf>)>
where
    C: Comparison,
    for<'a> Report<'a, C>: Display,
{
    let Rounds { jaryq, rivals, only, python, quick, write, .. } = comparison.asked();
    let world = World::new()?;
    let certificate = comparison.certificate(&world)?;
    let kinds = only.as_deref().unwrap_or(C::KINDS);
    let wanted = Wanted { jaryq, kinds, rivals, python, certificate: certificate.as_ref() };
    let (subjects, missing) = wanted.prepare(&world)?;
    let load_before = machine::load_average();
    let (mut figures, mut failures) = (Figures::default(), Vec::new());
    let mut visits: Vec<(Way, Option<&Subject>)> = vec![(Way::Straight, None)];
    for subject in &subjects {
        let ways = subject.ways().filter(|way| comparison.compares(*way));
        visits.extend(ways.map(|way| (way, Some(subject))));
    }
    let rounds = comparison.rounds();
    for round in 0..rounds {
        for &(way, subject) in &visits {
            let name = subject.map_or(ALONE, |subject| subject.name);
            if round >= comparison.rival_rounds() && !C::ALWAYS.contains(&name) {
                continue;
            }
            tell(&format!("round {} of {rounds}: {name}, {}", round + 1, way.name()));
            let (world, amounts) = (&world, comparison.amounts());
            let (figures, failures) = (&mut figures, &mut failures);
            let mut visit = Visit { world, amounts, way, name, round, figures, failures };
            comparison.visit(&mut visit, subject);
        }
        if let Err(error) = comparison.once(&world, &subjects[0], round, &mut figures) {
            failures.push(format!("once in a round: {error}"));
        }
        visits.reverse();
    }
    let load = (load_before, machine::load_average());
    let (options, subjects, figures) = (comparison, &subjects[..], &figures);
    let report = Report { options, subjects, figures, missing, failures, load }.to_string();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/results");
    let page = || (!quick).then(|| PathBuf::from(page).join(C::NAME).with_extension("md"));
    Ok((report, write.clone().or_else(page)))
}
