//! What is believed of people, and how the censor's habits are learned.

/// How long ages are told apart, in hours.
const BIN: f64 = 0.5;
const BINS: usize = 96;

/// What blocks so far have taught: how common informers are, and how soon one has their endpoint
/// blocked.
#[derive(Clone, Debug)]
pub struct Learned {
    /// Blocks by the age of the group they hit, in half hours; the prior is in it.
    ages: [f64; BINS],
    total: f64,
    /// The share of informers that says nothing for days.
    sleepers: f64,
    /// Σ risk and number of people about whom there is evidence.
    sum: f64,
    count: f64,
}

impl Learned {
    /// Before the first block: one person in `1 / share` informs, half of them within an hour.
    #[must_use]
    pub fn new(share: f64, sleepers: f64) -> Self {
        let mut ages = [0.0; BINS];
        const WEIGHT: f64 = 4.0;
        for (bin, age) in ages.iter_mut().enumerate() {
            let (from, to) = (bin as f64 * BIN, (bin + 1) as f64 * BIN);
            *age = WEIGHT * (0.5f64.powf(from) - 0.5f64.powf(to));
        }
        let count = 500.0;
        Self { ages, total: WEIGHT, sleepers, sum: share * count, count }
    }

    /// A group of one age was blocked after so many hours.
    pub fn block(&mut self, age: f64) {
        let bin = ((age / BIN) as usize).min(BINS - 1);
        self.ages[bin] += 1.0;
        self.total += 1.0;
    }

    /// What is believed of all people about whom there is evidence.
    pub fn census(&mut self, sum: f64, count: f64, share: f64) {
        const WEIGHT: f64 = 500.0;
        (self.sum, self.count) = (sum + share * WEIGHT, count + WEIGHT);
    }

    /// What a newcomer's risk is.
    #[must_use]
    pub fn share(&self) -> f64 {
        (self.sum / self.count).clamp(1e-5, 0.3)
    }

    /// The probability that an informer has kept quiet for so many hours.
    #[must_use]
    pub fn quiet(&self, hours: f64) -> f64 {
        let place = (hours / BIN).max(0.0);
        let whole = (place as usize).min(BINS);
        let before: f64 = self.ages[..whole].iter().sum();
        let part = self.ages.get(whole).map_or(0.0, |bin| bin * (place - whole as f64));
        self.sleepers + (1.0 - self.sleepers) * (1.0 - (before + part) / self.total).max(0.0)
    }
}

/// What is believed after somebody's group has lived on, where an informer keeps quiet for so long
/// with this probability.
#[must_use]
pub fn cleared(risk: f64, quiet: f64) -> f64 {
    risk * quiet / (1.0 - risk + risk * quiet)
}
