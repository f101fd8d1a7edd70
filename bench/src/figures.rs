//! Samples of what was measured, and their medians.

use std::collections::BTreeMap;

use lab::relay::Form;

/// What is measured, and in what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Metric {
    DownCpu,
    DownRate,
    UpCpu,
    UpRate,
    HandshakeCpu,
    HandshakeRate,
    Idle,
    Base,
    Start,
}

impl Metric {
    pub(crate) const ALL: [Self; 9] = [
        Self::DownCpu,
        Self::DownRate,
        Self::UpCpu,
        Self::UpRate,
        Self::HandshakeCpu,
        Self::HandshakeRate,
        Self::Idle,
        Self::Base,
        Self::Start,
    ];

    /// What it is called in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DownCpu => "download: CPU s/GiB",
            Self::DownRate => "download: MiB/s ↑",
            Self::UpCpu => "upload: CPU s/GiB",
            Self::UpRate => "upload: MiB/s ↑",
            Self::HandshakeCpu => "handshake: CPU ms",
            Self::HandshakeRate => "handshakes/s ↑",
            Self::Idle => "memory per idle connection: KiB",
            Self::Base => "memory at rest: MiB",
            Self::Start => "start until it answers: ms",
        }
    }
}

/// Everything that was measured, by form, metric and proxy.
#[derive(Default, Debug)]
pub(crate) struct Figures(BTreeMap<(usize, Metric, &'static str), Vec<f64>>);

/// The middle of the samples, and the least and the greatest of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Summary {
    /// Whether the samples differ so much that their median is to be taken with care.
    pub(crate) fn is_wide(self) -> bool {
        self.most - self.least > 0.3 * self.median.abs()
    }
}

impl Figures {
    pub(crate) fn add(&mut self, form: Form, metric: Metric, of: &'static str, sample: f64) {
        self.0.entry((number(form), metric, of)).or_default().push(sample);
    }

    /// `None` where nothing was measured.
    pub(crate) fn summary(&self, form: Form, metric: Metric, of: &'static str) -> Option<Summary> {
        let mut samples = self.0.get(&(number(form), metric, of))?.clone();
        samples.sort_by(f64::total_cmp);
        let middle = samples.len() / 2;
        let lower = samples[(samples.len() - 1) / 2];
        let (least, most) = (*samples.first()?, *samples.last()?);
        Some(Summary { median: f64::midpoint(lower, samples[middle]), least, most })
    }
}

fn number(form: Form) -> usize {
    Form::ALL.iter().position(|one| *one == form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let mut figures = Figures::default();
        for sample in [9.0, 1.0, 2.0, 3.0] {
            figures.add(Form::Plain, Metric::Base, "x", sample);
        }
        let summary = figures.summary(Form::Plain, Metric::Base, "x").expect("samples");
        assert!((summary.median - 2.5).abs() < 1e-9 && summary.is_wide());
        assert!(figures.summary(Form::Padded, Metric::Base, "x").is_none());
    }
}
