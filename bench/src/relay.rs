//! The comparison of everything that we carry with everything that carries the same.

use crate::figures::Figures;
use crate::rounds::{Comparison, FEW_ROUNDS, Rounds};
use crate::subject::{Kind, OURS, SPLICE, Subject};
use crate::visit::{ALONE, Visit};
use crate::way::Way;
use crate::world::World;
use crate::{accept, tell};

/// What the comparison takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Relay {
    #[command(flatten)]
    rounds: Rounds,

    /// How many connections are made without a word, to one port and to all
    #[arg(long, default_value_t = 4000)]
    accepts: usize,
}

impl Relay {
    pub(crate) const fn accepts(&self) -> usize {
        if self.rounds.quick { 200 } else { self.accepts }
    }
}

impl Comparison for Relay {
    const NAME: &'static str = "relay";
    const KINDS: &'static [Kind] = &Kind::ALL;
    const ALWAYS: &'static [&'static str] = &[OURS, SPLICE, ALONE];
    /// Of 20,000 open files, ours uses no more than this needs.
    const IDLE: usize = 4900;

    fn asked(&self) -> &Rounds {
        &self.rounds
    }

    /// Plain is dd without what pads it, and is carried the same way.
    fn compares(&self, way: Way) -> bool {
        way != Way::Plain
    }

    fn visit(&self, visit: &mut Visit<'_>, subject: Option<&Subject>) {
        let Some(subject) = subject else { return visit.alone() };
        visit.speed_and_delay(subject);
        if visit.round < FEW_ROUNDS {
            visit.memory(subject);
            visit.stalled(subject);
        }
    }

    fn once(
        &self,
        world: &World,
        ours: &Subject,
        round: usize,
        figures: &mut Figures,
    ) -> lab::Result {
        tell("accepting");
        accept::measure(world, ours, self.accepts(), round, figures)
    }
}
