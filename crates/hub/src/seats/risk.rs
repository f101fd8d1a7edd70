//! What is believed of somebody, and what blocks have taught of the censor.

use super::Hours;

/// How finely ages are told apart, in hours.
const BIN: f64 = 0.25;
/// Up to two days.
const BINS: usize = 192;
/// How many blocks the belief before the first one is worth.
const WEIGHT: f64 = 2.0;
/// From how many blocks on the oldest count half, so that a censor who changes its ways is noticed.
const MOST: f64 = 400.0;
/// How many people the belief about newcomers before the first one is worth.
const PEOPLE: f64 = 500.0;
/// Between what bounds the share of informers is believed.
const SHARES: (f64, f64) = (1e-5, 0.3);
/// The least that somebody who has long kept quiet is suspected of having spoken just now.
const LATE: f64 = 0.02;

/// How common informers are, and how soon one has an endpoint blocked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Learned {
    /// Blocks by the age of the group that they hit.
    pub ages: Vec<f64>,
    /// The share of informers who say nothing for days.
    pub sleepers: f64,
    /// What is believed of a newcomer.
    pub share: f64,
    /// For each edge of a bin, the probability that an informer has kept quiet for so long: follows
    /// from `ages`.
    quiet: Vec<f64>,
}

impl Learned {
    /// Before the first block: this share informs, most of them within hours. A mixture of two
    /// beliefs: half an hour more halves what is left (Iran blocks in 1 to 3 h), or any time up to two
    /// days is as likely as half or twice that (China took days).
    pub fn new(share: f64, sleepers: f64) -> Self {
        let late = |hours: f64| 1.0 - ((hours / BIN).max(1.0).ln() / (BINS as f64).ln());
        let left = |hours: f64| 0.7 * 0.5f64.powf(hours) + 0.3 * late(hours);
        let edge = |bin: usize| bin as f64 * BIN;
        let ages = (0..BINS).map(|bin| WEIGHT * (left(edge(bin)) - left(edge(bin + 1)))).collect();
        Self::restore(ages, sleepers, share)
    }

    /// With what was learned before. What is missing counts as never seen.
    pub fn restore(mut ages: Vec<f64>, sleepers: f64, share: f64) -> Self {
        ages.resize(BINS, 0.0);
        let mut learned = Self { ages, sleepers, share, quiet: vec![1.0; BINS + 1] };
        learned.add_up();
        learned
    }

    fn add_up(&mut self) {
        let total: f64 = self.ages.iter().sum();
        let mut left = total;
        for (quiet, age) in self.quiet.iter_mut().skip(1).zip(&self.ages) {
            left -= age;
            *quiet = self.sleepers + (1.0 - self.sleepers) * (left / total).clamp(0.0, 1.0);
        }
    }

    /// A group that sat down together was blocked after so many hours.
    pub fn block(&mut self, age: Hours) {
        // An age on an edge belongs to the bin before it. Half of it is spread over the neighbours.
        let at = ((f64::from(age) / BIN).ceil().max(1.0) as usize - 1).min(BINS - 1);
        self.ages[at.saturating_sub(1)] += 0.25;
        self.ages[at] += 0.5;
        self.ages[(at + 1).min(BINS - 1)] += 0.25;
        if self.ages.iter().sum::<f64>() > MOST {
            self.ages.iter_mut().for_each(|age| *age /= 2.0);
        }
        self.add_up();
    }

    /// Of so many people something is known, and so much risk is theirs together; `share` is what was
    /// believed to begin with.
    pub fn census(&mut self, risk: f64, people: f64, share: f64) {
        self.share = ((risk + share * PEOPLE) / (people + PEOPLE)).clamp(SHARES.0, SHARES.1);
    }

    /// The probability that an informer has kept quiet for so long.
    pub fn quiet(&self, hours: Hours) -> f64 {
        let place = (f64::from(hours) / BIN).clamp(0.0, BINS as f64);
        let whole = place as usize;
        let here = self.quiet[whole];
        let next = self.quiet.get(whole + 1).copied().unwrap_or(here);
        here + (next - here) * place.fract()
    }

    /// Of an informer who has sat for so long and was quiet until lately: the probability to be so
    /// far, and the probability to have spoken just now.
    pub fn spoke(&self, hours: Hours) -> (f64, f64) {
        let width = BIN as Hours;
        let before = self.quiet(hours - 2.0 * width);
        let after = self.quiet(hours + width);
        (before, ((before - after) / before.max(1e-9)).clamp(LATE, 1.0))
    }

    /// After how many hours this share of those who speak at all have spoken.
    pub fn after(&self, spoken: f64) -> Hours {
        let left = self.sleepers + (1.0 - self.sleepers) * (1.0 - spoken);
        let edge = self.quiet.iter().position(|&quiet| quiet <= left).unwrap_or(BINS);
        (edge as f64 * BIN) as Hours
    }
}

/// What is believed after a time in which an informer keeps quiet with this probability, and nothing
/// happened (Bayes).
pub(super) fn cleared(risk: f64, quiet: f64) -> f64 {
    risk * quiet / (1.0 - risk + risk * quiet)
}

/// What is believed of one of several, of whom somebody has spoken just now (Bayes): their risk, with
/// what probability they would have spoken now if they inform, and with what probability nobody of
/// all has spoken.
///
/// P(informs | block) = (P(speaks) + P(informs, silent) · P(another speaks)) / P(block)
pub(super) fn blamed(risk: f64, speaks: f64, nobody: f64) -> f64 {
    let spoke = risk * speaks;
    let others = 1.0 - nobody / (1.0 - spoke).max(1e-9);
    ((spoke + (risk - spoke) * others) / (1.0 - nobody).max(1e-9)).clamp(0.0, 1.0)
}
