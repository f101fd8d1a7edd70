//! What is believed of somebody, and what blocks have taught of the censor.

use super::Hours;
use super::state::single;

/// The first stretch of time ends here, in hours; each further one is longer by the fourth root of 2.
const FIRST: f64 = 0.25;
/// Up to 13 hours: who speaks later is a sleeper.
const BINS: usize = 24;
/// How finely what follows from it is laid down, in hours, and how far.
const STEP: Hours = 0.0625;
const STEPS: usize = 216;
/// How many informers the belief before the first block is worth.
const WEIGHT: f64 = 2.0;
/// From how many blocks on the oldest count half, so that a censor who changes its ways is noticed.
const MOST: f64 = 400.0;
/// How many people the belief about newcomers before the first one is worth.
const PEOPLE: f64 = 500.0;
/// Between what bounds the share of informers is believed.
const SHARES: (f64, f64) = (1e-5, 0.3);
/// The least that somebody who has long kept quiet is suspected of having spoken just now.
pub(super) const LATE: f64 = 0.02;

/// How common informers are, and how soon one has an endpoint blocked.
///
/// Of a group with so much risk, which sat down together, nobody has spoken for `a` hours with
/// probability exp(-risk · F(a)), where F is the share of informers who have spoken by then: a
/// Poisson number of informers. So blocks, divided by the risk that was there to cause them, add up to
/// F, whatever groups were taken away before they had told (the estimator of Nelson and Aalen).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Learned {
    /// Blocks by the age of the group that they hit.
    pub blocks: Vec<f64>,
    /// The risk of the groups that reached that age.
    pub tested: Vec<f64>,
    /// The share of informers who say nothing for days.
    pub sleepers: f64,
    /// What is believed of a newcomer.
    pub share: f64,
    /// The probability that an informer has kept quiet for so many [`STEP`]s: follows from the above.
    quiet: Vec<f32>,
}

impl Learned {
    /// Before the first block: this share informs, most of them within hours. A mixture of two
    /// beliefs: each hour halves what is left (Iran blocks within 1 to 3 h), or, by a
    /// tenth, any time up to half a day is as likely as half or twice that.
    pub fn new(share: f64, sleepers: f64) -> Self {
        let late = |hours: f64| 1.0 - (hours / FIRST).max(1.0).ln() / (edge(BINS) / FIRST).ln();
        let left = |hours: f64| 0.9 * 0.5f64.powf(hours) + 0.1 * late(hours);
        let blocks =
            (0..BINS).map(|bin| WEIGHT * (left(edge(bin)) - left(edge(bin + 1)))).collect();
        Self::with(blocks, vec![WEIGHT; BINS], sleepers, share)
    }

    /// With what was learned before. `None` if that was with other bins.
    pub fn restore(blocks: Vec<f64>, tested: Vec<f64>, sleepers: f64, share: f64) -> Option<Self> {
        let fits = blocks.len() == BINS && tested.len() == BINS;
        fits.then(|| Self::with(blocks, tested, sleepers, share))
    }

    fn with(blocks: Vec<f64>, tested: Vec<f64>, sleepers: f64, share: f64) -> Self {
        let mut learned = Self { blocks, tested, sleepers, share, quiet: Vec::new() };
        learned.add_up();
        learned
    }

    /// Takes what was learned into [`Self::quiet`].
    pub fn add_up(&mut self) {
        let rate = |bin: usize| self.blocks[bin] / self.tested[bin].max(1e-3);
        let total: f64 = (0..BINS).map(rate).sum();
        let mut spoken = [0.0; BINS + 1];
        for bin in 0..BINS {
            spoken[bin + 1] = spoken[bin] + rate(bin) / total.max(1e-9);
        }
        let quiet = |step: usize| {
            let spoken = between(&spoken, place(step as Hours * STEP)).min(1.0);
            single(1.0 - (1.0 - self.sleepers) * spoken)
        };
        self.quiet = (0..=STEPS).map(quiet).collect();
    }

    /// A group with so much risk has come from one age to another, and was not blocked.
    pub fn lived(&mut self, risk: f64, from: Hours, to: Hours) {
        let (from, to) = (place(from), place(to));
        for bin in index(from)..BINS.min(index(to.ceil())) {
            let here = bin as f64;
            self.tested[bin] += risk * (to.min(here + 1.0) - from.max(here));
        }
    }

    /// A group that sat down together was blocked after so many hours.
    pub fn block(&mut self, age: Hours) {
        // An age on an edge belongs to the bin before it. Half of it is spread over the neighbours.
        if f64::from(age) > edge(BINS) {
            return;
        }
        let at = index((place(age).ceil() - 1.0).max(0.0)).min(BINS - 1);
        self.blocks[at.saturating_sub(1)] += 0.25;
        self.blocks[at] += 0.5;
        self.blocks[(at + 1).min(BINS - 1)] += 0.25;
        if self.blocks.iter().sum::<f64>() > MOST {
            self.blocks.iter_mut().chain(&mut self.tested).for_each(|count| *count /= 2.0);
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
        between(&self.quiet, f64::from(hours / STEP).clamp(0.0, STEPS as f64))
    }

    /// Of an informer who has sat for so long and was quiet until lately: the probability to be so
    /// far, and the probability to have spoken just now.
    pub fn spoke(&self, hours: Hours) -> (f64, f64) {
        let before = self.quiet(hours * 0.7);
        let after = self.quiet(hours * 1.2);
        (before, ((before - after) / before.max(1e-9)).clamp(LATE, 1.0))
    }

    /// After how many hours this share of those who speak at all have spoken.
    pub fn after(&self, spoken: f64) -> Hours {
        let left = self.sleepers + (1.0 - self.sleepers) * (1.0 - spoken);
        let step = self.quiet.iter().position(|&quiet| f64::from(quiet) <= left).unwrap_or(STEPS);
        step as Hours * STEP
    }
}

/// A place in a list, of a number that is none below 0 and has no fraction that counts.
#[allow(clippy::cast_possible_truncation)]
fn index(place: f64) -> usize {
    place as usize
}

/// What a list says at a place between two of its entries.
fn between<T: Copy + Into<f64>>(list: &[T], place: f64) -> f64 {
    let at = index(place).min(list.len() - 1);
    let here: f64 = list[at].into();
    let next = list.get(at + 1).map_or(here, |&next| next.into());
    here + (next - here) * place.fract()
}

/// Where a bin begins, in hours.
fn edge(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { FIRST * 2f64.powf((bin as f64 - 1.0) / 4.0) }
}

/// In which bin an age is, and how far into it; [`BINS`] at most.
fn place(hours: Hours) -> f64 {
    let hours = f64::from(hours).max(0.0);
    let place = if hours <= FIRST { hours / FIRST } else { 1.0 + 4.0 * (hours / FIRST).log2() };
    place.min(BINS as f64)
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
