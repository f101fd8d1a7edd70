//! Tables of everybody's figures, and of what we want to reach.

use std::fmt::{self, Formatter};

use super::{Report, interval};
use crate::figures::{Metric, Of, Summary};
use crate::subject::Subject;
use crate::visit::ALONE;
use crate::way::Way;

/// What everybody is compared with, and in what.
pub(super) struct Against {
    pub(super) floor: Of,
    pub(super) metrics: &'static [Metric],
}

/// What we want to reach, in words, as a limit, and what was reached.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) measure: String,
    pub(crate) limit: Limit,
    pub(crate) unit: &'static str,
    pub(crate) reached: Option<Summary>,
}

/// On which side it is good to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    fn holds(self, median: f64) -> bool {
        match self {
            Self::AtMost(limit) => median <= limit,
            Self::AtLeast(limit) => median >= limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

pub(crate) fn goals(f: &mut Formatter<'_>, goals: &[Goal]) -> fmt::Result {
    writeln!(f, "\n## Goals\n\n| measure | goal | reached | |\n|---|--:|--:|---|")?;
    for Goal { measure, limit, unit, reached } in goals {
        let (reached, verdict) = match reached {
            Some(reached) if limit.holds(reached.median) => (interval(*reached), "yes"),
            Some(reached) => (interval(*reached), "**no**"),
            None => ("not measured".to_owned(), ""),
        };
        writeln!(f, "| {measure} | {limit}{unit} | {reached} | {verdict} |")?;
    }
    Ok(())
}

impl<Options> Report<'_, Options> {
    pub(super) fn table(
        &self,
        f: &mut Formatter<'_>,
        title: &str,
        metrics: &[Metric],
        against: &Against,
    ) -> fmt::Result {
        writeln!(f, "\n## {title}\n")?;
        write!(f, "| |")?;
        let compared = |metric: &&Metric| against.metrics.contains(*metric);
        for metric in metrics {
            write!(f, " {} |", metric.name())?;
            if compared(&metric) {
                write!(f, " × |")?;
            }
        }
        let columns = metrics.len() + metrics.iter().filter(compared).count();
        writeln!(f, "\n|---|{}", "--:|".repeat(columns))?;
        let known = |subject: &'_ Subject| {
            let name = subject.name;
            subject.ways().map(move |way| (way, name)).collect::<Vec<_>>()
        };
        let all = self.subjects.iter().flat_map(known).filter(|(way, _)| *way != Way::Plain);
        for of in all.chain([(Way::Straight, ALONE)]) {
            self.row(f, of, metrics, against)?;
        }
        Ok(())
    }

    fn row(
        &self,
        f: &mut Formatter<'_>,
        of: Of,
        metrics: &[Metric],
        against: &Against,
    ) -> fmt::Result {
        let (way, name) = of;
        let may_lack = matches!(way, Way::Straight | Way::Web);
        if may_lack && self.figures.summary(of, metrics[0]).is_none() {
            return Ok(());
        }
        write!(f, "| {name}, {} |", way.name())?;
        for &metric in metrics {
            match self.figures.summary(of, metric) {
                Some(summary) => write!(f, " {} |", interval(summary))?,
                None if way == Way::Straight => write!(f, " |")?,
                None => write!(f, " failed |")?,
            }
            if against.metrics.contains(&metric) {
                let ratio = self.figures.ratio(of, against.floor, metric).map(interval);
                write!(f, " {} |", ratio.unwrap_or_default())?;
            }
        }
        writeln!(f)
    }
}
