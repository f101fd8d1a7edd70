//! What is remembered of an address: which keys were lately seen from it, and how many keys were
//! tried for it in vain. In memory alone, and forgotten when others come.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wire::derive::KeyId;

use crate::generations::Generations;
use crate::keyring::{Hints, Search};

/// Where a connection comes from: an IPv4 address, or an IPv6 /64, which is what one customer has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Source(IpAddr);

impl Source {
    /// The same for everybody behind it, and different from all others'.
    pub(crate) fn octets(self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
            IpAddr::V6(six) => six.octets(),
        }
    }
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(six) => Ipv6Addr::from(u128::from(six) >> 64 << 64).into(),
            four => four,
        })
    }
}

/// How many addresses are remembered at least.
const SOURCES: usize = 32_768;
/// How many keys are remembered for an address; thousands of people may share one.
const RECENT: usize = 64;
/// How many keys are tried for an address without a hint, each minute.
const BUDGET: usize = 5_000;
/// How much further each success carries; an address from which people come with good keys is
/// worth a longer search, up to [`MOST`].
const TRUST: usize = 5_000;
const MOST: usize = 200_000;
const MINUTE: Duration = Duration::from_secs(60);

struct Record {
    recent: Vec<KeyId>,
    budget: usize,
    since: Instant,
    cursor: usize,
}

impl Record {
    fn new(now: Instant) -> Self {
        Self { recent: Vec::new(), budget: BUDGET, since: now, cursor: 0 }
    }

    fn refresh(&mut self, now: Instant) {
        if now.duration_since(self.since) >= MINUTE {
            self.budget = self.budget.max(BUDGET);
            self.since = now;
        }
    }
}

pub(crate) struct Sources(Mutex<Generations<Source, Record>>);

impl Default for Sources {
    fn default() -> Self {
        Self(Mutex::new(Generations::new(SOURCES)))
    }
}

impl Sources {
    /// Adds to the hints what is known of `source`, and lets `search` make use of it.
    pub(crate) fn search<T>(
        &self,
        source: Source,
        hints: Hints<'_>,
        search: impl FnOnce(&Hints<'_>) -> Search<T>,
    ) -> Option<(KeyId, T)> {
        let now = Instant::now();
        let (recent, budget, cursor) = self.with(source, now, |record| {
            record.refresh(now);
            (record.recent.clone(), record.budget, record.cursor)
        });
        let result = search(&Hints { recent: &recent, budget, cursor, ..hints });
        self.with(source, now, |record| {
            record.cursor = result.cursor;
            record.budget = record.budget.saturating_sub(result.trials);
            if let Some((key, _)) = &result.found {
                record.budget = (record.budget + result.trials + TRUST).min(MOST);
                record.recent.retain(|known| known != key);
                record.recent.insert(0, *key);
                record.recent.truncate(RECENT);
            }
        });
        result.found
    }

    fn with<R>(&self, source: Source, now: Instant, act: impl FnOnce(&mut Record) -> R) -> R {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = map.get(&source) {
            return act(record);
        }
        let mut record = Record::new(now);
        let result = act(&mut record);
        map.insert(source, record);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::By;

    fn source(last: u8) -> Source {
        IpAddr::from([192, 0, 2, last]).into()
    }

    /// A search that tries as many keys as it may, up to `wanted`.
    fn tries(sources: &Sources, from: Source, wanted: usize, found: bool) -> usize {
        let mut tried = 0;
        sources.search(from, Hints::default(), |hints| {
            tried = wanted.min(hints.budget);
            let found = found.then_some((KeyId([1; 8]), ()));
            Search { found, by: By::Trial, trials: tried, cursor: 0 }
        });
        tried
    }

    #[test]
    fn an_address_that_only_ever_fails_uses_up_its_budget_and_nobody_elses() {
        let sources = Sources::default();
        assert_eq!(tries(&sources, source(1), 4000, false), 4000);
        assert_eq!(tries(&sources, source(1), 4000, false), 1000);
        assert_eq!(tries(&sources, source(1), 4000, false), 0);
        assert_eq!(tries(&sources, source(2), 4000, false), 4000);
    }

    #[test]
    fn an_address_with_good_keys_never_runs_out() {
        let sources = Sources::default();
        for _ in 0..100 {
            assert_eq!(tries(&sources, source(1), 4000, true), 4000);
        }
    }

    #[test]
    fn keys_seen_from_an_address_are_suggested_there_and_nowhere_else() {
        let sources = Sources::default();
        let found = |key: u8| {
            move |_: &Hints<'_>| Search {
                found: Some((KeyId([key; 8]), ())),
                by: By::Trial,
                trials: 0,
                cursor: 0,
            }
        };
        sources.search(source(1), Hints::default(), found(1));
        sources.search(source(1), Hints::default(), found(2));
        let recent = |from| {
            let mut seen = Vec::new();
            sources.search(from, Hints::default(), |hints| {
                seen = hints.recent.to_vec();
                Search { found: None::<(KeyId, ())>, by: By::Trial, trials: 0, cursor: 0 }
            });
            seen
        };
        assert_eq!(recent(source(1)), [KeyId([2; 8]), KeyId([1; 8])]);
        assert_eq!(recent(source(2)), []);
    }

    #[test]
    fn the_addresses_of_one_ipv6_customer_are_one_source() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }
}
