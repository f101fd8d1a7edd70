//! What a search has found, all in all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::verdict::{Finding, Verdict};

/// Every verdict, in the order in which they came.
#[derive(Clone, Default, Debug)]
pub struct Map {
    /// One for each spot and shape.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub took: Duration,
    /// Whether everything was tried that was to be.
    pub is_whole: bool,
    /// Whether packets got lost on the way, so that ports were asked several times.
    pub is_lossy: bool,
}

impl Map {
    /// What carries traffic.
    pub fn cracks(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict.is_crack())
    }

    /// How often each verdict was met, by its name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for finding in &self.findings {
            *counts.entry(finding.verdict.name()).or_default() += 1;
        }
        counts
    }

    /// Cracks that carry some shapes and not others, each with what came of the others.
    #[must_use]
    pub fn picky(&self) -> Vec<(&Finding, Vec<&Finding>)> {
        let others = |crack: &Finding| -> Vec<&Finding> {
            let same = |other: &&Finding| {
                other.spot == crack.spot
                    && other.shape != crack.shape
                    && !matches!(other.verdict, Verdict::Verified(_))
            };
            self.findings.iter().filter(same).collect()
        };
        let pairs = self.cracks().map(|crack| (crack, others(crack)));
        pairs.filter(|(_, others)| !others.is_empty()).collect()
    }
}
