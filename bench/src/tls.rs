//! The comparison of those to whom people speak TLS.

use crate::certificate::Certificate;
use crate::rounds::{Comparison, FEW_ROUNDS, Rounds};
use crate::subject::{FLOOR, Kind, OURS, Subject};
use crate::visit::{ALONE, Visit};
use crate::way::Way;
use crate::world::World;

/// What the comparison takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Tls {
    #[command(flatten)]
    rounds: Rounds,
}

impl Comparison for Tls {
    const NAME: &'static str = "tls";
    const KINDS: &'static [Kind] = &Kind::TLS;
    const ALWAYS: &'static [&'static str] = &[OURS, FLOOR, ALONE];
    const IDLE: usize = 2000;

    fn asked(&self) -> &Rounds {
        &self.rounds
    }

    fn certificate(&self, world: &World) -> anyhow::Result<Option<Certificate>> {
        Certificate::make(&world.server).map(Some)
    }

    fn visit(&self, visit: &mut Visit<'_>, subject: Option<&Subject>) {
        match subject {
            Some(subject) => visit.speed_and_delay(subject),
            None => visit.alone(),
        }
        if visit.round < FEW_ROUNDS {
            visit.far(subject);
            // A key has a few sessions of WEB at a time, which is not enough to see what one keeps.
            if let Some(subject) = subject.filter(|_| visit.way != Way::Web) {
                visit.memory(subject);
            }
        }
    }
}
