//! What happens to nobody in particular, or to the relay.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Flow;

/// A counter is one line: its name here, its name in the store, in `jaryq stats` and (as
/// `jaryq_.._total`) in Prometheus, which must never change, and what it counts.
macro_rules! counters {
    ($($counter:ident, $name:literal, $help:literal;)+) => {
        /// Something that is counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Counter {
            $(#[doc = $help] $counter,)+
        }

        impl Counter {
            /// All of them, in the order in which they are shown.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$counter),+];

            /// What it is called: small letters and underscores.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$counter => $name,)+ }
            }

            /// What it counts, in a sentence.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$counter => $help,)+ }
            }
        }
    };
}

counters! {
    Strangers, "strangers", "Connections that showed no key.";
    StrangersUp, "strangers_up_bytes", "Bytes carried from strangers to the mask host.";
    StrangersDown, "strangers_down_bytes", "Bytes carried to strangers from the mask host.";
    Crowded, "crowded", "Connections that made room, because too many had shown no key.";
    Replays, "replays", "First messages of people that somebody sent again.";
    ClockSkew, "clock_skew", "Fake TLS refused, because the app's clock was off by too much.";
    WrongPasswords, "wrong_passwords", "Log-ins of SOCKS5 and HTTP with a wrong password.";
    ByHint, "keys_by_hint", "Keys found by the port or the name in the hello.";
    ByRecent, "keys_by_recent", "Keys found among those lately seen from the same address.";
    ByTrial, "keys_by_trial", "Keys found by a trial of all.";
    NotFound, "keys_not_found", "Searches for a key that found none.";
    Trials, "key_trials", "Keys that were tried without a hint.";
    DatacentreUnreachable, "datacentre_unreachable", "Times that no address of a datacentre answered.";
    MaskUnreachable, "mask_unreachable", "Times that the mask host did not answer.";
    NamesUnreachable, "names_unreachable", "Times that the name servers did not answer.";
    Echoes, "echoes", "Questions of bundles' holders that were answered: a port of ours was reached.";
    Climbs, "climbs", "Times that somebody measured how much passes through a port of ours.";
    TooManyEchoes, "too_many_echoes", "Questions and climbs that a bundle had too many of.";
    EgressRefused, "egress_refused", "Wishes for a server to which nobody is taken.";
}

pub(crate) struct Counters {
    values: [AtomicU64; Counter::ALL.len()],
    /// How much of it was taken.
    told: Mutex<[u64; Counter::ALL.len()]>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { values: [const { AtomicU64::new(0) }; _], told: Mutex::default() }
    }
}

impl Counters {
    /// Counts one more.
    pub(crate) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts that many more.
    pub(crate) fn add(&self, counter: Counter, more: usize) {
        self.at(counter).fetch_add(more as u64, Ordering::Relaxed);
    }

    /// What is carried for those who have no key.
    pub(crate) fn strangers(&self) -> Flow<'_> {
        Flow { up: self.at(Counter::StrangersUp), down: self.at(Counter::StrangersDown) }
    }

    /// Those that have grown since the last time, and by how much.
    pub(crate) fn take(&self) -> Vec<(Counter, u64)> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            self.all().into_iter().zip(told.iter_mut()).filter_map(|((counter, now), told)| {
                let fresh = now - std::mem::replace(told, now);
                (fresh > 0).then_some((counter, fresh))
            });
        fresh.collect()
    }

    /// Takes back what could not be written.
    pub(crate) fn put_back(&self, counters: &[(Counter, u64)]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (counter, value) in counters {
            told[*counter as usize] -= value;
        }
    }

    /// All of them, since the start.
    pub(crate) fn all(&self) -> Vec<(Counter, u64)> {
        let value = |counter| (counter, self.at(counter).load(Ordering::Relaxed));
        Counter::ALL.into_iter().map(value).collect()
    }

    fn at(&self, counter: Counter) -> &AtomicU64 {
        &self.values[counter as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_taken_once_and_come_again_if_they_were_put_back() {
        let counters = Counters::default();
        counters.count(Counter::Replays);
        let taken = counters.take();
        assert_eq!(taken, [(Counter::Replays, 1)]);
        assert_eq!(counters.take(), []);
        counters.add(Counter::Replays, 2);
        counters.put_back(&taken);
        assert_eq!(counters.take(), [(Counter::Replays, 3)]);
        assert!(counters.all().contains(&(Counter::Replays, 3)));
    }

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Counter::ALL.map(Counter::name).into();
        assert_eq!(names.len(), Counter::ALL.len());
    }
}
