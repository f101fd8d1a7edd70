//! What speaks for one way.

use wire::crack::{Hour, freshness};
use wire::receipt::RelayTag;

/// How many relays are told apart.
const MOST_RELAYS: usize = 8;
/// How many receipts of others count, as if they were hours of one relay.
const MOST_OTHERS: u16 = 8;
/// Within so many hours two relays vouch for a way together.
const LATELY: u32 = 24;

/// The hours in which one relay has seen it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hours {
    pub relay: RelayTag,
    pub latest: Hour,
    /// Bit n: n hours before the latest.
    before: u128,
}

impl Hours {
    fn add(&mut self, hour: Hour) -> bool {
        let old = *self;
        if hour > self.latest {
            self.before = self.before.checked_shl(hour.0 - self.latest.0).unwrap_or(0);
            self.latest = hour;
        }
        self.before |= 1_u128.checked_shl(self.latest.0 - hour.0).unwrap_or(0);
        *self != old
    }

    fn count(&self) -> u32 {
        self.before.count_ones()
    }

    fn weight(&self, now: Hour) -> f64 {
        let ago = (0..u128::BITS).filter(|ago| self.before >> ago & 1 == 1);
        ago.map(|ago| freshness(Hour(self.latest.0.saturating_sub(ago)), now)).sum()
    }
}

/// What speaks for one way: of relays that have looked the network up, or of those that were told.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Seen {
    relays: Vec<Hours>,
    /// The last hour that others have, in whose bundles it is, and how many receipts.
    others: Option<(Hour, u16)>,
}

impl Seen {
    /// Whether that is news.
    pub fn add(&mut self, relay: RelayTag, hour: Hour) -> bool {
        if let Some(known) = self.relays.iter_mut().find(|hours| hours.relay == relay) {
            return known.add(hour);
        }
        let new = Hours { relay, latest: hour, before: 1 };
        if self.relays.len() < MOST_RELAYS {
            self.relays.push(new);
            return true;
        }
        // The one that has been silent the longest makes room, if it is not the new one.
        let oldest = self.relays.iter_mut().min_by_key(|hours| (hours.latest, hours.relay));
        let is_later = |old: &&mut Hours| (old.latest, old.relay) < (hour, relay);
        oldest.filter(is_later).map(|old| *old = new).is_some()
    }

    pub fn add_others(&mut self, hour: Hour, receipts: u16) {
        let (known, most) = self.others.unwrap_or((hour, 0));
        self.others = Some((known.max(hour), most.max(receipts)));
    }

    pub fn is_of(&self, relay: RelayTag) -> bool {
        self.relays.iter().any(|hours| hours.relay == relay)
    }

    /// How many relays have lately seen it.
    pub fn relays(&self, now: Hour) -> usize {
        let is_late = |latest: Hour| now.0.saturating_sub(latest.0) <= LATELY;
        let others = self.others.is_some_and(|(hour, _)| is_late(hour));
        self.relays.iter().filter(|hours| is_late(hours.latest)).count() + usize::from(others)
    }

    /// How many hours of relays speak for it, each half as loudly after six more.
    pub fn weight(&self, now: Hour) -> f64 {
        let others = self.others.map_or(0.0, |(hour, receipts)| {
            f64::from(receipts.clamp(1, MOST_OTHERS)) * freshness(hour, now)
        });
        self.relays.iter().map(|hours| hours.weight(now)).sum::<f64>() + others
    }

    /// When it was last seen.
    pub fn latest(&self) -> Option<Hour> {
        let others = self.others.iter().map(|(hour, _)| *hour);
        self.relays.iter().map(|hours| hours.latest).chain(others).max()
    }

    /// How many hours of relays. Those of others may be the same.
    pub fn receipts(&self) -> u16 {
        let ours = self.relays.iter().map(Hours::count).sum::<u32>();
        let others = self.others.map_or(0, |(_, receipts)| receipts);
        u16::try_from(ours).unwrap_or(u16::MAX).max(others)
    }
}
