//! What is remembered of an address: which keys were lately seen from it, and how many keys were
//! tried for it in vain. In memory alone, and forgotten when others come.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::derive::{BUCKETS, KeyId};

use crate::generations::Generations;

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
        Self(first(address.to_canonical(), 64))
    }
}

/// Where sources come from that one party may have all of: an IPv4 address, behind which a carrier puts
/// thousands of people, or an IPv6 /48, which is what one server or line is given at most (RFC 6177).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Network(IpAddr);

impl From<Source> for Network {
    fn from(Source(address): Source) -> Self {
        Self(first(address, 48))
    }
}

/// The first address of an IPv6 prefix of so many bits; an IPv4 address as it is.
fn first(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V6(six) => {
            Ipv6Addr::from_bits(six.to_bits() >> (128 - bits) << (128 - bits)).into()
        }
        four => four,
    }
}

/// How many addresses are remembered at least, of those from which people came with a key, and again of
/// all others.
const SOURCES: usize = 32_768;
/// How many keys are remembered for any address.
const RECENT: usize = 64;
/// How many for one behind which a carrier has put thousands of people, as long as those of all
/// addresses together are not more than [`MOST_RECENT`] of ten bytes each.
const RECENT_OF_CARRIER: usize = 8_192;
const MOST_RECENT: usize = 1 << 20;
/// How far the port that somebody comes from is from the one they came from before, at most. Carriers
/// give a customer a block of ports, of 64 to 2,048 (RFC 7422), and systems go on from port to port.
const NEAR: u16 = 128;
/// How many keys are tried for an address without a hint, each minute.
const BUDGET: usize = 5_000;
/// How much further each success carries; an address from which people come with good keys is
/// worth a longer search, up to [`MOST`].
const TRUST: usize = 5_000;
const MOST: usize = 200_000;
const MINUTE: Duration = Duration::from_secs(60);

/// A key that was seen, and the port that its owner came from.
#[derive(Clone, Copy)]
struct Seen {
    key: KeyId,
    port: u16,
}

struct Record {
    /// The last one last.
    recent: Vec<Seen>,
    budget: usize,
    since: Instant,
    /// Where the next trial of all keys begins.
    bucket: usize,
}

impl Record {
    fn new() -> Self {
        Self { recent: Vec::new(), budget: BUDGET, since: Instant::now(), bucket: 0 }
    }
}

/// What may be done for an address without a hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Allowance {
    /// How many keys may be tried.
    pub budget: usize,
    /// In which bucket to begin.
    pub bucket: usize,
}

#[derive(Default)]
pub(crate) struct Sources(Mutex<Known>);

struct Known {
    /// Addresses from which somebody came with a key.
    people: Generations<Source, Record>,
    /// All others, apart from these: who has any number of addresses makes only strangers forgotten.
    strangers: Generations<Source, Record>,
    /// How many keys are remembered in all.
    recent: usize,
    /// [`MOST_RECENT`].
    most_recent: usize,
}

impl Default for Known {
    fn default() -> Self {
        let [people, strangers] = [(); 2].map(|()| Generations::new(SOURCES));
        Self { people, strangers, recent: 0, most_recent: MOST_RECENT }
    }
}

impl Sources {
    /// The keys lately seen from there, the likeliest first: of those who came from ports near `port`, the
    /// nearest first, then of all others, the last one first. `which` of them, counted from 0.
    pub(crate) fn recent(&self, source: Source, port: u16, which: Range<usize>) -> Vec<KeyId> {
        let known = self.lock();
        let Some(Record { recent, .. }) = known.people.peek(&source) else { return Vec::new() };
        let is_near = |seen: &&Seen| seen.port.abs_diff(port) < NEAR;
        let mut near: Vec<&Seen> = recent.iter().rev().filter(is_near).take(RECENT).collect();
        near.sort_by_key(|seen| seen.port.abs_diff(port));
        let mut left = near.len();
        let others = recent.iter().rev().filter(|seen| {
            let is_first = left > 0 && is_near(seen);
            left -= usize::from(is_first);
            !is_first
        });
        let keys = near.into_iter().chain(others).map(|seen| seen.key);
        keys.skip(which.start).take(which.len()).collect()
    }

    /// What may be done for `source` now.
    pub(crate) fn allowance(&self, source: Source) -> Allowance {
        let mut known = self.lock();
        let record = known.record(source);
        if record.since.elapsed() >= MINUTE {
            record.budget = record.budget.max(BUDGET);
            record.since = Instant::now();
        }
        Allowance { budget: record.budget, bucket: record.bucket }
    }

    /// Takes what was tried off its allowance; the trial of all keys goes on so many buckets later.
    pub(crate) fn spend(&self, source: Source, tried: usize, buckets: usize) {
        let mut known = self.lock();
        let record = known.record(source);
        record.budget = record.budget.saturating_sub(tried);
        record.bucket = (record.bucket + buckets) % usize::from(BUCKETS);
    }

    /// Remembers whose key came from there, from which port, after how many trials without a hint.
    pub(crate) fn welcome(&self, source: Source, key: KeyId, port: u16, tried: usize) {
        let mut known = self.lock();
        let has_room = known.recent < known.most_recent;
        let record = known.person(source);
        record.budget = (record.budget + tried + TRUST).min(MOST);
        let before = record.recent.len();
        if let Some(at) = record.recent.iter().rposition(|seen| seen.key == key) {
            record.recent.remove(at);
        }
        let most = if has_room { RECENT_OF_CARRIER } else { before.max(RECENT) };
        let surplus = (record.recent.len() + 1).saturating_sub(most);
        record.recent.drain(..surplus);
        record.recent.push(Seen { key, port });
        let after = record.recent.len();
        known.recent = known.recent + after - before;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn record(&mut self, source: Source) -> &mut Record {
        if self.people.peek(&source).is_some() {
            return self.person(source);
        }
        self.strangers.get_or_insert(source, Record::new, drop)
    }

    fn person(&mut self, source: Source) -> &mut Record {
        let Self { people, strangers, recent, .. } = self;
        let forget = |record: Record| *recent -= record.recent.len();
        let as_stranger = || strangers.remove(&source).unwrap_or_else(Record::new);
        people.get_or_insert(source, as_stranger, forget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        IpAddr::from([192, 0, 2, last]).into()
    }

    fn key(number: u64) -> KeyId {
        KeyId(number.to_be_bytes())
    }

    /// Tries as many keys as it may, up to `wanted`.
    fn tries(sources: &Sources, from: Source, wanted: usize, found: bool) -> usize {
        let tried = wanted.min(sources.allowance(from).budget);
        sources.spend(from, tried, 500);
        if found {
            sources.welcome(from, key(1), 1, tried);
        }
        tried
    }

    #[test]
    fn an_address_that_only_ever_fails_uses_up_its_budget_and_nobody_elses() {
        let sources = Sources::default();
        assert_eq!(tries(&sources, source(1), 4000, false), 4000);
        assert_eq!(tries(&sources, source(1), 4000, false), 1000);
        assert_eq!(tries(&sources, source(1), 4000, false), 0);
        assert_eq!(tries(&sources, source(2), 4000, false), 4000);
        let left = Allowance { budget: 0, bucket: 1500 % 1024 };
        assert_eq!(sources.allowance(source(1)), left, "and it goes on where it stopped");
    }

    #[test]
    fn an_address_with_good_keys_never_runs_out() {
        let sources = Sources::default();
        for _ in 0..100 {
            assert_eq!(tries(&sources, source(1), 4000, true), 4000);
        }
    }

    #[test]
    fn keys_seen_from_an_address_are_suggested_there_and_nowhere_else_the_last_one_first() {
        let sources = Sources::default();
        for seen in [1, 2, 3, 2] {
            sources.welcome(source(1), key(seen), 40_000, 0);
        }
        assert_eq!(sources.recent(source(1), 1, 0..64), [key(2), key(3), key(1)]);
        assert_eq!(sources.recent(source(1), 1, 1..2), [key(3)]);
        assert_eq!(sources.recent(source(2), 1, 0..64), []);
    }

    #[test]
    fn who_comes_from_a_port_near_the_last_one_is_suggested_first() {
        let sources = Sources::default();
        for person in 0..5000u16 {
            sources.welcome(source(1), key(person.into()), 1024 + 10 * person, 0);
        }
        let recent = sources.recent(source(1), 1024 + 12_341, 0..64);
        assert_eq!(recent[..3], [key(1234), key(1235), key(1233)]);
        assert!(recent[20..].contains(&key(4999)));
        assert_eq!(sources.recent(source(1), 1, 64..usize::MAX).len(), 5000 - 64);
    }

    #[test]
    fn keys_are_remembered_in_bounded_memory() {
        let sources = Sources::default();
        sources.lock().most_recent = 12_000;
        for (carrier, most) in
            [(0, RECENT_OF_CARRIER), (1, 12_000 - RECENT_OF_CARRIER), (2, RECENT)]
        {
            for person in 0..10_000 {
                sources.welcome(source(carrier), key(person), 1, 0);
            }
            assert_eq!(sources.recent(source(carrier), 1, 0..usize::MAX).len(), most);
            assert_eq!(sources.recent(source(carrier), 1, 0..1), [key(9_999)]);
        }
        let counted = |known: &Known| known.recent;
        assert_eq!(counted(&sources.lock()), 12_000 + RECENT);
        for other in (0u32..).take(2 * SOURCES) {
            sources.welcome(IpAddr::from(other.to_be_bytes()).into(), key(0), 1, 0);
        }
        let known = sources.lock();
        assert_eq!(counted(&known), known.people.len(), "the first ones are forgotten");
    }

    #[test]
    fn strangers_from_any_number_of_addresses_do_not_make_it_forget_where_people_come_from() {
        let sources = Sources::default();
        sources.spend(source(1), 1000, 7);
        sources.welcome(source(1), key(1), 1, 0);
        let known = Allowance { budget: BUDGET - 1000 + TRUST, bucket: 7 };
        for other in (0u32..).take(3 * SOURCES) {
            sources.allowance(IpAddr::from(other.to_be_bytes()).into());
        }
        assert_eq!(sources.recent(source(1), 1, 0..64), [key(1)]);
        assert_eq!(sources.allowance(source(1)), known);
        assert!(sources.lock().strangers.len() <= 2 * SOURCES);
    }

    #[test]
    fn the_addresses_of_one_ipv6_customer_are_one_source() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        let network = |text| Network::from(source(text));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:ffff::1"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:1:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
