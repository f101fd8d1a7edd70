//! How fast. Pure: time comes in.
//!
//! Quiet, we look like somebody whose apps try some servers: forty ports in the first minute, two
//! hundred in ten, never at a beat. Every probe leaves an entry in the home router's table of
//! connections, which has room for a few thousand; we keep account of ours.

use std::collections::VecDeque;
use std::time::Duration;

use wire::echo::Transport;

/// How many entries of a router's table may be ours at a time.
pub const ENTRIES: usize = 1_000;
/// How long a router remembers a dial that nobody answered, or a connection that has ended.
const TCP_ENTRY: Duration = Duration::from_secs(120);
/// How long a router remembers a datagram that nobody answered.
const UDP_ENTRY: Duration = Duration::from_secs(30);

/// How many ports are tried at once in the beginning, and how far apart.
const BURST: u64 = 40;
const BURST_GAP: Duration = Duration::from_millis(110);
/// When the others follow: 160 until ten minutes are over.
const LATER: Duration = Duration::from_secs(60);
const LATER_GAP: Duration = Duration::from_millis(3_375);

/// How fast candidates may follow each other.
#[derive(Debug)]
pub struct Pace {
    kind: Kind,
    jitter: Jitter,
    next: Duration,
    count: u64,
    entries: Entries,
}

#[derive(Debug)]
enum Kind {
    Quiet,
    Loud { a_second: u32 },
}

/// Our entries in the router's table, by when they end.
#[derive(Debug, Default)]
struct Entries {
    tcp: VecDeque<Duration>,
    udp: VecDeque<Duration>,
}

/// Noise for gaps; nothing depends on nobody guessing it.
#[derive(Debug)]
struct Jitter(u64);

impl Pace {
    /// As somebody would who is watched.
    #[must_use]
    pub fn quiet(seed: u64) -> Self {
        Self::new(Kind::Quiet, seed)
    }

    /// So many a second.
    #[must_use]
    pub fn loud(a_second: u32) -> Self {
        Self::new(Kind::Loud { a_second }, 0)
    }

    fn new(kind: Kind, seed: u64) -> Self {
        let entries = Entries::default();
        Self { kind, jitter: Jitter(seed | 1), next: Duration::ZERO, count: 0, entries }
    }

    /// How many may start now, time being since the search began; then [`Self::spend`].
    #[must_use]
    pub fn now(&mut self, now: Duration) -> u32 {
        self.entries.end(now);
        match self.kind {
            Kind::Quiet => u32::from(now >= self.next && self.entries.len() < ENTRIES),
            Kind::Loud { a_second } => {
                // Whoever was kept waiting makes up for at most a fiftieth of a second.
                let most = Duration::from_millis(20);
                self.next = self.next.max(now.saturating_sub(most));
                let due = now.saturating_sub(self.next).as_secs_f64() * f64::from(a_second);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let due = due as u32;
                due
            }
        }
    }

    /// A port is tried that was not tried before, at this time.
    pub fn spend(&mut self, transport: Transport, now: Duration) {
        match self.kind {
            Kind::Quiet => {
                self.count += 1;
                self.entries.begin(transport, now);
                let gap = if self.count < BURST { BURST_GAP } else { LATER_GAP };
                self.next = now + self.jitter.around(gap);
                if self.count == BURST {
                    self.next = self.next.max(LATER);
                }
            }
            Kind::Loud { a_second } => {
                self.next += Duration::from_secs(1) / a_second.max(1);
            }
        }
    }

    /// Something more leaves an entry in the router's table, though no port is new.
    pub fn also(&mut self, transport: Transport, now: Duration) {
        if matches!(self.kind, Kind::Quiet) {
            self.entries.begin(transport, now);
        }
    }

    /// When the next may start, as far as is known.
    #[must_use]
    pub fn next(&self, now: Duration) -> Duration {
        match self.kind {
            Kind::Quiet if self.entries.len() >= ENTRIES => self.entries.first().max(now),
            Kind::Quiet => self.next.max(now),
            // Some at a time: to wake up costs more than to send one.
            Kind::Loud { .. } => (self.next + Duration::from_micros(500)).max(now),
        }
    }
}

impl Entries {
    fn begin(&mut self, transport: Transport, now: Duration) {
        match transport {
            Transport::Tcp => self.tcp.push_back(now + TCP_ENTRY),
            Transport::Udp => self.udp.push_back(now + UDP_ENTRY),
        }
    }

    fn end(&mut self, now: Duration) {
        for queue in [&mut self.tcp, &mut self.udp] {
            while queue.front().is_some_and(|end| *end <= now) {
                queue.pop_front();
            }
        }
    }

    fn len(&self) -> usize {
        self.tcp.len() + self.udp.len()
    }

    fn first(&self) -> Duration {
        let ends = self.tcp.front().into_iter().chain(self.udp.front());
        ends.min().copied().unwrap_or_default()
    }
}

impl Jitter {
    /// Between three quarters and five quarters of it.
    fn around(&mut self, gap: Duration) -> Duration {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let drawn = u32::try_from(self.0 % 256).unwrap_or(0);
        gap * 3 / 4 + gap / 2 * drawn / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn starts(pace: &mut Pace, transport: Transport, until: Duration) -> Vec<Duration> {
        let mut now = Duration::ZERO;
        let mut starts = Vec::new();
        while now < until {
            if pace.now(now) > 0 {
                pace.spend(transport, now);
                starts.push(now);
            }
            now = pace.next(now).max(now + Duration::from_millis(1));
        }
        starts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn quiet_is_forty_in_a_minute_and_two_hundred_in_ten_at_most_ten_a_second(seed: u64) {
            let starts = starts(&mut Pace::quiet(seed), Transport::Tcp, Duration::from_secs(1800));
            let within = |seconds| {
                let end = Duration::from_secs(seconds);
                starts.iter().filter(|start| **start < end).count()
            };
            prop_assert_eq!(within(60), 40);
            prop_assert!(within(6) >= 39);
            prop_assert!((190..=210).contains(&within(600)), "{}", within(600));
            for eleven in starts.windows(11) {
                prop_assert!(eleven[10] - eleven[0] >= Duration::from_millis(850));
            }
            let live = |at: &Duration| {
                let since = at.saturating_sub(TCP_ENTRY);
                starts.iter().filter(|start| (since..=*at).contains(start)).count()
            };
            prop_assert!(starts.iter().all(|start| live(start) <= ENTRIES));
        }
    }

    #[test]
    fn no_more_than_a_thousand_entries_live_whatever_else_is_opened() {
        let mut pace = Pace::quiet(7);
        for _ in 0..ENTRIES {
            pace.also(Transport::Tcp, Duration::from_secs(1));
        }
        assert_eq!(pace.now(Duration::from_secs(2)), 0);
        assert_eq!(pace.next(Duration::from_secs(2)), Duration::from_secs(121));
        assert_eq!(pace.now(Duration::from_secs(121)), 1);
    }

    #[test]
    fn loud_keeps_its_rate_and_makes_up_for_little() {
        let mut pace = Pace::loud(60_000);
        let mut sent = 0;
        for ms in 1..=1_000 {
            for _ in 0..pace.now(Duration::from_millis(ms)) {
                pace.spend(Transport::Tcp, Duration::from_millis(ms));
                sent += 1;
            }
        }
        assert!((59_900..=60_100).contains(&sent), "{sent}");
        assert!(pace.now(Duration::from_secs(100)) <= 1_200);
    }
}
