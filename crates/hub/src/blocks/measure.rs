//! How many come as a rule, how much that swings, and how strongly it speaks that fewer came.

/// What is left of an endpoint's traffic once it is blocked: travellers, and networks without a censor.
const LEFT: f64 = 0.1;
/// The share of those who cannot connect that comes around by another door.
const AROUND: f64 = 0.1;
/// How many people it takes.
pub(super) const PEOPLE: usize = 2;
/// Of those who come around all the time, at least so many for each who connects.
const ALWAYS_AROUND: f64 = 0.01;
/// What came before a level is believed.
const KNOWN: f64 = 8.0;
/// Over how many ticks a level is remembered: an hour's half-life, or as long as it takes 64 to come,
/// but two days at most.
const MEMORY: (f64, f64, f64) = (519.0, 64.0, 17_280.0);
/// Ticks in a week.
const WEEK: f64 = 60_480.0;
/// How many times rarer a false alarm is to be than once a week, as traffic is no such urn as is assumed.
const MARGIN: f64 = 2.0;
/// The least likelihood ratio that is believed.
const LEAST: f64 = 4_000.0;
/// What is believed of an endpoint's swings before it has shown any: their variance, and how many
/// expected counts, squared, that is worth.
const SWING: (f64, f64) = (0.1, 50.0);
/// Between these swings are believed.
const SWINGS: (f64, f64) = (0.02, 0.5);
/// How many connections come at once, at most.
const CLUMP: f64 = 8.0;

/// The logarithm of how much likelier it is that so many came if `changed` were expected than if
/// `usual` were: negative binomial, of this shape.
pub(super) fn ln_ratio(came: f64, usual: f64, changed: f64, shape: f64) -> f64 {
    if usual <= 0.0 || shape <= 0.0 {
        return 0.0;
    }
    let share = |mean: f64| (mean / (shape + mean)).ln();
    came * (share(changed) - share(usual)) + shape * ((shape + usual) / (shape + changed)).ln()
}

/// How many come in ten seconds while all is as busy as it is as a rule: a gamma distribution.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Level {
    came: f64,
    ticks: f64,
}

impl Level {
    /// `None` while too little came.
    pub fn mean(self) -> Option<f64> {
        (self.came >= KNOWN && self.ticks > 0.0).then(|| self.came / self.ticks)
    }

    /// How well it is known: as after so many counts.
    pub fn counts(self) -> f64 {
        self.came
    }

    /// So many came in so many ticks, which were so busy.
    pub fn learn(&mut self, came: f64, ticks: f64) {
        let (least, counts, most) = MEMORY;
        let rate = if self.ticks > 0.0 { self.came / self.ticks } else { 0.0 };
        let memory = (counts / rate.max(1e-9)).clamp(least, most);
        let keep = 1.0 - 1.0 / memory;
        self.came = self.came * keep + came;
        self.ticks = self.ticks * keep + ticks;
    }

    /// Some of those who came are gone for good: this share is left.
    pub fn scale(&mut self, left: f64) {
        self.came *= left;
    }
}

/// What came, and what was expected.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Pair {
    pub came: f64,
    pub expected: f64,
}

impl Pair {
    pub fn add(&mut self, other: Self) {
        self.came += other.came;
        self.expected += other.expected;
    }

    pub fn without(self, other: Self) -> Self {
        Self {
            came: (self.came - other.came).max(0.0),
            expected: (self.expected - other.expected).max(0.0),
        }
    }

    /// The logarithm of how much likelier this is of what is blocked.
    pub fn ln_blocked(self, shape: f64, clump: f64) -> f64 {
        let (came, expected) = (self.came / clump, self.expected / clump);
        ln_ratio(came, expected, expected * LEFT, shape)
    }
}

/// What came at an endpoint or in a network, by who saw it.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Seen {
    /// Connections, on the relay's word.
    pub connected: Pair,
    /// Refreshes that reached the hub through the endpoint.
    pub through: Pair,
    /// People seated there whom the hub has met elsewhere.
    pub around: Pair,
}

impl Seen {
    pub fn add(&mut self, other: Self) {
        self.connected.add(other.connected);
        self.through.add(other.through);
        self.around.add(other.around);
    }

    /// As much as in so many times the time.
    pub fn times(self, longer: f64) -> Self {
        let times =
            |Pair { came, expected }| Pair { came: came * longer, expected: expected * longer };
        let Self { connected, through, around } = self;
        Self { connected: times(connected), through: times(through), around: times(around) }
    }

    /// What those speak for who come around, though nobody has to: as many do not come as do.
    pub fn ln_around(&self, people: usize, shape: f64) -> f64 {
        let expected = self.connected.expected + self.through.expected;
        let usual = self.around.expected.max(expected * ALWAYS_AROUND);
        // One is nobody: they may have any reason.
        let people = if people < PEOPLE { 0 } else { people };
        let came = f64::from(u32::try_from(people).unwrap_or(u32::MAX));
        let ratio = ln_ratio(came, usual, usual + expected * AROUND, shape);
        (0.5 + 0.5 * ratio.min(300.0).exp()).ln()
    }
}

/// From when on something has fallen behind.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Trail {
    /// The beginning of the first interval in which it did; 0 if it has not.
    pub since: super::Seconds,
    pub seen: Seen,
    /// What came at all others since.
    pub others: f64,
    /// The logarithm of the likelihood ratio; and of the part that is no people who come around.
    pub ln: f64,
    pub fewer: f64,
}

impl Trail {
    pub fn is_running(&self) -> bool {
        self.since > 0
    }

    /// How much may be believed of numbers that swing so much and of a level that is known so well.
    pub fn shape(&self, swing: f64, counts: f64) -> f64 {
        1.0 / (swing + 1.0 / counts.max(0.01) + 1.0 / self.others.max(0.01))
    }
}

/// How much an endpoint's own traffic swings, besides what all others' does.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Swing {
    minute: Pair,
    /// Squares of what was too many or too few in a minute, less what chance makes of it; and of what
    /// was expected.
    wrong: f64,
    right: f64,
    /// The same of ten seconds; and what was expected.
    clumps: f64,
    expected: f64,
    ticks: f64,
    starts: f64,
    left: u8,
}

impl Swing {
    /// Takes in ten seconds in which nothing seemed wrong, and whether they were the first that did.
    pub fn learn(&mut self, now: Pair, is_start: bool) {
        const KEEP: f64 = 1.0 - 1.0 / WEEK;
        self.ticks = self.ticks * KEEP + 1.0;
        self.starts = self.starts * KEEP + f64::from(u8::from(is_start));
        let off = now.came - now.expected;
        let most = CLUMP * now.expected + CLUMP * CLUMP;
        self.clumps = self.clumps * KEEP + (off * off).min(most);
        self.expected = self.expected * KEEP + now.expected;
        self.minute.add(now);
        self.left = if self.left == 0 { 5 } else { self.left - 1 };
        if self.left == 0 {
            let Pair { came, expected } = std::mem::take(&mut self.minute);
            let off = came - expected;
            let square = expected * expected;
            self.wrong = self.wrong * KEEP + (off * off - expected * self.clump()).min(square);
            self.right = self.right * KEEP + square;
        }
    }

    /// The variance of a factor by which it is busier or less busy for minutes.
    pub fn variance(&self) -> f64 {
        let (usual, worth) = SWING;
        ((self.wrong + usual * worth) / (self.right + worth)).clamp(SWINGS.0, SWINGS.1)
    }

    /// How many come at once.
    pub fn clump(&self) -> f64 {
        const WORTH: f64 = 50.0;
        let mean = self.expected / self.ticks.max(1.0);
        let swings = self.expected * mean * self.variance();
        ((self.clumps - swings + WORTH) / (self.expected + WORTH)).clamp(1.0, CLUMP)
    }

    /// The logarithm of the likelihood ratio that chance alone reaches once in two weeks, at most.
    pub fn threshold(&self) -> f64 {
        let share = (self.starts + 36.0) / (self.ticks + 360.0);
        (MARGIN * WEEK * share).max(LEAST).ln()
    }
}
