//! Samples of what was measured, and their medians.

use std::collections::BTreeMap;

use crate::way::Way;

/// What is measured, and in what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Metric {
    DownCpu,
    DownRate,
    UpCpu,
    UpRate,
    HandshakeCpu,
    HandshakeRate,
    FirstByte,
    Idle,
    Base,
    Start,
    Stalled,
    StalledPipes,
    StalledSockets,
    AcceptCpu,
    AcceptAll,
    FarDown,
    FarUp,
}

impl Metric {
    /// What it is called in the reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DownCpu => "download: CPU s/GiB",
            Self::DownRate => "download: MiB/s ↑",
            Self::UpCpu => "upload: CPU s/GiB",
            Self::UpRate => "upload: MiB/s ↑",
            Self::HandshakeCpu => "handshake: CPU ms",
            Self::HandshakeRate => "handshakes/s ↑",
            Self::FirstByte => "first byte, later than direct: ms",
            Self::Idle => "memory per idle connection: KiB",
            Self::Base => "memory at rest: MiB",
            Self::Start => "start until it answers: ms",
            Self::Stalled => "memory with readers that stall: MiB",
            Self::StalledPipes => "of them in pipes, at most: MiB",
            Self::StalledSockets => "of them in sockets: MiB",
            Self::AcceptCpu => "accept: CPU µs of the proxy",
            Self::AcceptAll => "accept: CPU µs of the proxy and the user",
            Self::FarDown => "download: MiB/s ↑",
            Self::FarUp => "upload: MiB/s ↑",
        }
    }
}

/// What belongs to one proxy's way.
pub(crate) type Of = (Way, &'static str);

/// Everything that was measured: by way, proxy and metric, the samples with their rounds.
#[derive(Default, Debug)]
pub(crate) struct Figures(BTreeMap<(Of, Metric), Vec<(usize, f64)>>);

/// The middle of the samples and how far it can be trusted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// Between these lies the true median with a certainty of 95 %, or all samples where those are
    /// fewer than six.
    pub(crate) interval: (f64, f64),
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Summary {
    /// `None` of nothing.
    pub(crate) fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let count = samples.len();
        let (least, most) = (*samples.first()?, *samples.last()?);
        let median = f64::midpoint(samples[(count - 1) / 2], samples[count / 2]);
        let rank = rank(count);
        let interval = (samples[rank], samples[count - 1 - rank]);
        Some(Self { median, interval, least, most })
    }

    /// The mean where the median would be, and all samples as its interval; `None` of nothing.
    pub(crate) fn mean(samples: &[f64]) -> Option<Self> {
        let least = samples.iter().copied().reduce(f64::min)?;
        let most = samples.iter().copied().reduce(f64::max)?;
        let mean = samples.iter().sum::<f64>() / samples.len() as f64;
        Some(Self { median: mean, interval: (least, most), least, most })
    }

    /// The largest sample alone.
    pub(crate) fn at_most(self) -> Self {
        let Self { most, .. } = self;
        Self { median: most, interval: (most, most), least: most, most }
    }

    /// The same in another unit.
    pub(crate) fn times(self, factor: f64) -> Self {
        let Self { median, interval: (low, high), least, most } = self;
        Self {
            median: median * factor,
            interval: (low * factor, high * factor),
            least: least * factor,
            most: most * factor,
        }
    }

    /// Whether the samples differ so much that their median is to be taken with care.
    pub(crate) fn is_wide(self) -> bool {
        self.most - self.least > 0.3 * self.median.abs()
    }
}

/// How many samples at either end may be left out of the interval. That the true median lies below
/// all but `k` of them has the chance of at most `k` heads in so many throws of a coin.
fn rank(count: usize) -> usize {
    let mut chance = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let (mut sum, mut rank) = (chance, 0);
    while sum <= 0.025 {
        rank += 1;
        chance *= (count + 1 - rank) as f64 / rank as f64;
        sum += chance;
    }
    rank.saturating_sub(1)
}

impl Figures {
    pub(crate) fn add(&mut self, of: Of, metric: Metric, round: usize, sample: f64) {
        self.0.entry((of, metric)).or_default().push((round, sample));
    }

    /// `None` where nothing was measured.
    pub(crate) fn summary(&self, of: Of, metric: Metric) -> Option<Summary> {
        Summary::of(self.0.get(&(of, metric))?.iter().map(|(_, sample)| *sample).collect())
    }

    /// How many times `other`, round by round: what slows a whole round down does not count.
    pub(crate) fn ratio(&self, of: Of, other: Of, metric: Metric) -> Option<Summary> {
        let others = self.0.get(&(other, metric))?;
        let pairs = self.0.get(&(of, metric))?.iter().filter_map(|(round, sample)| {
            let (_, other) = others.iter().find(|(other, _)| other == round)?;
            Some(sample / other)
        });
        Summary::of(pairs.collect())
    }
}

/// What so many of a hundred do not exceed (nearest rank); `None` of nothing.
pub(crate) fn within<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let wanted = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(wanted - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Of = (Way::Plain, "x");

    fn figures(samples: impl IntoIterator<Item = f64>) -> Figures {
        let mut figures = Figures::default();
        for (round, sample) in samples.into_iter().enumerate() {
            figures.add(OF, Metric::Base, round, sample);
        }
        figures
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let figures = figures([9.0, 1.0, 2.0, 3.0]);
        let summary = figures.summary(OF, Metric::Base).expect("samples");
        assert!((summary.median - 2.5).abs() < 1e-9 && summary.is_wide());
        assert!(figures.summary((Way::Padded, "x"), Metric::Base).is_none());
    }

    #[test]
    fn the_interval_of_twenty_leaves_out_five_at_either_end() {
        let summary = figures((1..=20).map(f64::from)).summary(OF, Metric::Base);
        assert_eq!(summary.expect("samples").interval, (6.0, 15.0));
        let few = figures([1.0, 2.0, 3.0]).summary(OF, Metric::Base);
        assert_eq!(few.expect("samples").interval, (1.0, 3.0));
    }

    #[test]
    fn a_slow_round_does_not_count_in_a_ratio() {
        let mut figures = figures([10.0, 1000.0, 10.0]);
        let other = (Way::Forward, "y");
        for (round, sample) in [(0, 20.0), (1, 2000.0), (3, 1.0)] {
            figures.add(other, Metric::Base, round, sample);
        }
        let ratio = figures.ratio(OF, other, Metric::Base).expect("two rounds of both");
        assert_eq!((ratio.least, ratio.most), (0.5, 0.5));
    }
}
