//! How busy a network is, and whether it leads anybody out.

use super::Seconds;
use super::measure::Pair;
use super::state::{GROUPS, STREAMS};

/// How many counts a group remembers, and for how many ticks at most.
const REMEMBERED: f64 = 20.0;
const LONGEST: f64 = 60.0;
/// So many must be remembered to say how busy it is.
const ENOUGH: f64 = 5.0;
/// Over how many ticks what is usual is taken; the lesser of both counts, as a crowd that comes at once
/// leaves at once.
const FAST: f64 = 30.0;
const SLOW: f64 = 360.0;
/// How sure it must be that a network is cut off: as one chance in all ticks of a week.
const SURE: f64 = 11.0;
/// How much a group's traffic swings beside what is usual.
const SHAPE: f64 = 12.0;
const CLUMP: f64 = 1.5;

/// A network leads out again if so much of what was usual is back, this long after it was cut off. It
/// may have been day then, and be night now.
const BACK: f64 = 0.2;
const SETTLED: Seconds = 120;

/// One network inside.
#[derive(Clone, Default, Debug)]
pub(super) struct Field {
    pub streams: [Index; STREAMS],
    /// What came from it in this tick.
    pub came: f64,
    /// Since when each group has fallen behind what is usual.
    pub groups: [Behind; GROUPS],
    /// Since when it leads nobody out, as far as is known; 0 if it does.
    cut: Seconds,
}

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Behind {
    pub since: Seconds,
    pub pair: Pair,
    pub ln: f64,
}

/// How busy one thing is beside its level.
#[derive(Clone, Debug)]
pub(super) struct Index {
    groups: [Group; GROUPS],
    fast: f64,
    slow: f64,
}

#[derive(Clone, Copy, Default, Debug)]
struct Group {
    now: Pair,
    smooth: Pair,
    keep: f64,
}

impl Default for Index {
    fn default() -> Self {
        Self { groups: [Group::default(); GROUPS], fast: 1.0, slow: 1.0 }
    }
}

impl Index {
    /// A tick begins.
    pub fn clear(&mut self) {
        self.groups.iter_mut().for_each(|group| group.now = Pair::default());
    }

    /// So many came where the level is so much.
    pub fn add(&mut self, group: usize, came: f64, level: f64) {
        self.groups[group].now.add(Pair { came, expected: level });
    }

    /// All has been added.
    pub fn advance(&mut self, is_frozen: bool) {
        let usual = self.usual();
        for group in &mut self.groups {
            let kept = REMEMBERED / (REMEMBERED + group.now.expected * usual);
            group.keep = kept.min(1.0 - 1.0 / LONGEST);
            group.smooth = smooth(group.smooth, group.now, group.keep);
        }
        if let (false, Some(busy)) = (is_frozen, self.busy(GROUPS, Pair::default())) {
            self.fast += (busy - self.fast) / FAST;
            self.slow += (busy - self.slow) / SLOW;
        }
    }

    /// How busy it was of late.
    pub fn usual(&self) -> f64 {
        self.fast.min(self.slow)
    }

    /// What an endpoint adds to its group's memory.
    pub fn own(&self, group: usize, smoothed: Pair, now: Pair) -> Pair {
        smooth(smoothed, now, self.groups[group].keep)
    }

    /// How busy it is at all but one endpoint: the lower median of the groups, so that none can bend it.
    pub fn busy(&self, group: usize, own: Pair) -> Option<f64> {
        let usual = self.usual();
        let mut busy = [0.0; GROUPS];
        let mut count = 0;
        for (place, of) in self.groups.iter().enumerate() {
            let of = if place == group { of.smooth.without(own) } else { of.smooth };
            if of.expected * usual >= ENOUGH {
                busy[count] = of.came / of.expected;
                count += 1;
            }
        }
        busy[..count].sort_by(f64::total_cmp);
        busy[..count].get(count.saturating_sub(1) / 2).copied()
    }
}

fn smooth(old: Pair, now: Pair, keep: f64) -> Pair {
    Pair { came: old.came * keep + now.came, expected: old.expected * keep + now.expected }
}

impl Field {
    /// Whether somebody seems to be cut off, so that what is usual is not learned.
    pub fn is_doubtful(&self) -> bool {
        self.is_cut() || self.groups.iter().filter(|group| group.ln > 3.0).count() * 2 > self.used()
    }

    /// Whether it is known to lead nobody out.
    pub fn is_cut(&self) -> bool {
        self.cut > 0
    }

    /// It is known from now on.
    pub fn cut(&mut self, now: Seconds) {
        self.cut = now;
    }

    fn used(&self) -> usize {
        let index = &self.streams[0];
        let usual = index.usual();
        index.groups.iter().filter(|group| group.smooth.expected * usual >= ENOUGH).count()
    }

    /// Takes in what came from it in the tick that began at `start`.
    pub fn watch(&mut self, start: Seconds) {
        let index = &self.streams[0];
        let usual = index.usual();
        for (behind, group) in self.groups.iter_mut().zip(&index.groups) {
            let expected = group.now.expected * usual;
            behind.pair.add(Pair { came: group.now.came, expected });
            behind.since = if behind.since == 0 { start } else { behind.since };
            behind.ln = behind.pair.ln_blocked(SHAPE, CLUMP);
            if behind.ln <= 0.0 {
                *behind = Behind::default();
            }
        }
        let busy = index.busy(GROUPS, Pair::default());
        let is_back = busy.is_some_and(|busy| busy >= BACK * usual);
        if self.is_cut() && is_back && start > self.cut + SETTLED {
            self.cut = 0;
            self.groups = <[Behind; GROUPS]>::default();
        }
    }

    /// How sure it is that it leads nobody out, if it is: with the loudest group left out where there
    /// are three, and one more that may say otherwise.
    pub fn is_gone(&self) -> Option<(f64, Seconds)> {
        let used = self.used();
        let mut all = self.groups.map(|group| group.ln);
        all.sort_by(f64::total_cmp);
        let said = &all[GROUPS - used.max(1)..];
        let ln = match said {
            [one] => *one,
            [less, _] => *less,
            [_, next, .., _] if *next > 0.0 => said[..said.len() - 1].iter().sum(),
            _ => 0.0,
        };
        let since = self.groups.iter().filter(|group| group.since > 0).map(|group| group.since);
        (ln >= SURE).then(|| (ln, since.min().unwrap_or(0)))
    }

    /// Whether people come from it as ever, although enough are expected to see it if they did not.
    pub fn is_alive(&self, ticks: f64) -> bool {
        let index = &self.streams[0];
        let expected: f64 = index.groups.iter().map(|group| group.now.expected).sum();
        let behind = self.groups.iter().filter(|group| group.ln > 0.0).count();
        expected * index.usual() * ticks >= ENOUGH && behind * 2 < self.used() && !self.is_cut()
    }
}
