//! What is believed of somebody, and what blocks have taught of the censor.

use super::Hours;

/// How finely ages are told apart, in hours.
const BIN: f64 = 0.5;
/// Up to two days.
const BINS: usize = 96;
/// How many blocks the belief before the first one is worth.
const WEIGHT: f64 = 4.0;
/// How many people the belief about newcomers before the first one is worth.
const PEOPLE: f64 = 500.0;
/// Between what bounds the share of informers is believed.
const SHARES: (f64, f64) = (1e-5, 0.3);

/// How common informers are, and how soon one has an endpoint blocked.
#[derive(Clone, Debug)]
pub(super) struct Learned {
    /// Blocks by the age of the group that they hit.
    ages: [f64; BINS],
    total: f64,
    /// The share of informers who say nothing for days.
    sleepers: f64,
    /// What is believed of a newcomer.
    share: f64,
}

impl Learned {
    /// Before the first block: this share informs, half of them within an hour.
    pub fn new(share: f64, sleepers: f64) -> Self {
        let mut ages = [0.0; BINS];
        let mut left = 1.0;
        for age in &mut ages {
            let after = left * 0.5f64.powf(BIN);
            *age = WEIGHT * (left - after);
            left = after;
        }
        Self { ages, total: WEIGHT, sleepers, share }
    }

    /// A group that sat down together was blocked after so many hours.
    pub fn block(&mut self, age: Hours) {
        self.ages[bin(age).0.min(BINS - 1)] += 1.0;
        self.total += 1.0;
    }

    /// Of so many people something is known, and so much risk is theirs together; `share` is what was
    /// believed to begin with.
    pub fn census(&mut self, risk: f64, people: f64, share: f64) {
        self.share = ((risk + share * PEOPLE) / (people + PEOPLE)).clamp(SHARES.0, SHARES.1);
    }

    /// What is believed of a newcomer.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// The probability that an informer has kept quiet for so long.
    pub fn quiet(&self, hours: Hours) -> f64 {
        let (whole, part) = bin(hours);
        let whole = whole.min(BINS);
        let before: f64 = self.ages[..whole].iter().sum();
        let within = self.ages.get(whole).map_or(0.0, |age| age * part);
        let spoken = ((before + within) / self.total).min(1.0);
        self.sleepers + (1.0 - self.sleepers) * (1.0 - spoken)
    }
}

/// Which stretch of time, and how far into it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn bin(hours: Hours) -> (usize, f64) {
    let place = (f64::from(hours) / BIN).max(0.0);
    (place as usize, place.fract())
}

/// What is believed after a time in which an informer keeps quiet with this probability, and nothing
/// happened (Bayes).
pub(super) fn cleared(risk: f64, quiet: f64) -> f64 {
    risk * quiet / (1.0 - risk + risk * quiet)
}

/// By how much everybody's risk grows where one of them must have informed, and nobody had with this
/// probability (Bayes).
pub(super) fn blame(nobody: f64) -> f64 {
    1.0 / (1.0 - nobody).max(1e-9)
}
