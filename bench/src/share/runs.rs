//! Every office in every cell, with each seed, on all the cores there are.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, available_parallelism};

use super::cell::{Cell, Fleet, S};
use super::office::{Office, Ours};
use super::outcome::Outcome;
use super::rivals::{BridgeDb, ByHand, Lox, Nasr, RBridge, Salmon, Uniform};
use super::world::World;
use crate::tell;

/// Who hands out seats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Who {
    Ours,
    Uniform,
    ByHand,
    BridgeDb,
    Salmon,
    RBridge,
    Lox,
    Nasr,
}

impl Who {
    pub(super) const ALL: [Self; 8] = [
        Self::Ours,
        Self::Uniform,
        Self::Nasr,
        Self::BridgeDb,
        Self::Salmon,
        Self::RBridge,
        Self::Lox,
        Self::ByHand,
    ];

    pub(super) fn office(self, seed: u64) -> Box<dyn Office> {
        match self {
            Self::Ours => Box::new(Ours::new(seed)),
            Self::Uniform => Box::new(Uniform::new(seed)),
            Self::ByHand => Box::new(ByHand::new(seed)),
            Self::BridgeDb => Box::new(BridgeDb::new(seed)),
            Self::Salmon => Box::<Salmon>::default(),
            Self::RBridge => Box::new(RBridge::new(seed)),
            Self::Lox => Box::<Lox>::default(),
            Self::Nasr => Box::new(Nasr::new(seed)),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "jaryq",
            Self::Uniform => "uniform",
            Self::ByHand => "by hand",
            Self::BridgeDb => "BridgeDB",
            Self::Salmon => "Salmon",
            Self::RBridge => "rBridge",
            Self::Lox => "Lox",
            Self::Nasr => "Nasr et al.",
        })
    }
}

/// What came of each cell, by its name and office, in the order of the seeds.
pub(super) type Outcomes = BTreeMap<(&'static str, Who), Vec<Outcome>>;

/// With rivals, so large a fleet is simulated once.
fn seeds(fleet: &Fleet, who: Who, seeds: u64) -> u64 {
    if *fleet == S && who != Who::Ours { seeds.min(1) } else { seeds }
}

/// One simulation.
pub(super) fn simulate(cell: &Cell, who: Who, seed: u64) -> lab::Result<Outcome> {
    let mut office = who.office(seed);
    World::new(cell, &mut *office, seed).run()
}

/// All of them, the first of the list first.
pub(super) fn run(cells: &[Cell], offices: &[Who], many: u64) -> lab::Result<Outcomes> {
    let mut jobs = Vec::new();
    for cell in cells {
        for &who in offices {
            jobs.extend((1..=seeds(&cell.fleet, who, many)).map(|seed| (cell, who, seed)));
        }
    }
    let left = jobs.len();
    let jobs = Mutex::new((jobs.into_iter(), left));
    let next = || {
        let (jobs, left) = &mut *jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = jobs.next()?;
        *left -= 1;
        if *left % 50 == 0 {
            tell(&format!("{left} simulations are left: {}, {}", job.0.name, job.1));
        }
        Some(job)
    };
    let work = || -> lab::Result<Vec<_>> {
        let mut done = Vec::new();
        while let Some((cell, who, seed)) = next() {
            done.push(((cell.name, who), seed, simulate(cell, who, seed)?));
        }
        Ok(done)
    };
    let mut all = Vec::new();
    thread::scope(|scope| -> lab::Result {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => all.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })?;
    all.sort_by_key(|(of, seed, _)| (*of, *seed));
    let mut outcomes = Outcomes::new();
    for (of, _, outcome) in all {
        outcomes.entry(of).or_default().push(outcome);
    }
    Ok(outcomes)
}
