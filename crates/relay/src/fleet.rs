//! What a relay's hub says of the fleet, and what the relay counts for it.
//!
//! Of whoever comes with a key, the hub hears to which port and from which network, many together; of a
//! key that was used outside of the networks at home, that one bit. Nothing of an address is kept.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::derive::KeyId;
use wire::fleet::heartbeat::{MOST_ABROAD, MOST_COUNTED};
use wire::fleet::{Carries, Counted, HubAddress};
use wire::tally::Cell;

/// What the hub says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fleet {
    /// Where the hub is: whoever has a key is taken there, whatever else is closed.
    pub hub: Vec<HubAddress>,
    /// Other machines of the fleet: nobody is taken there.
    pub others: HashSet<IpAddr>,
    /// What people are carried to.
    pub carries: Carries,
    /// The numbers of the networks at home; empty where nobody looks.
    pub home: HashSet<u32>,
}

/// Who came since the last time.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Census {
    /// Connections that showed a valid key, by port and network; network 0 where it is not known.
    pub counted: Vec<Counted>,
    /// Keys that were used abroad.
    pub abroad: Vec<KeyId>,
}

/// The same while it is counted.
#[derive(Default)]
pub(crate) struct Counting(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    connections: HashMap<(u16, u32), u32>,
    abroad: HashSet<KeyId>,
}

impl Counting {
    /// Counts a connection that has shown a key.
    pub(crate) fn count(&self, fleet: &Fleet, cell: &Cell, network: Option<u32>) {
        let mut counts = self.counts();
        counts.add(cell.port, network.unwrap_or(0), 1);
        let is_abroad =
            network.is_some_and(|number| !fleet.home.is_empty() && !fleet.home.contains(&number));
        if is_abroad && let Some(key) = cell.key {
            counts.note_abroad(key);
        }
    }

    pub(crate) fn take(&self) -> Census {
        let Counts { connections, abroad } = mem::take(&mut *self.counts());
        let each = |((port, network), connections)| Counted { port, network, connections };
        Census {
            counted: connections.into_iter().map(each).collect(),
            abroad: abroad.into_iter().collect(),
        }
    }

    /// Takes back what the hub did not hear: it comes out again the next time.
    pub(crate) fn put_back(&self, census: &Census) {
        let mut counts = self.counts();
        for Counted { port, network, connections } in &census.counted {
            counts.add(*port, *network, *connections);
        }
        census.abroad.iter().for_each(|key| counts.note_abroad(*key));
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, port: u16, network: u32, connections: u32) {
        // Where there are too many to be told apart, one place is left for all others.
        let has_room = self.connections.len() + 1 < MOST_COUNTED;
        let place = (port, network);
        let is_told_apart = has_room || self.connections.contains_key(&place);
        let place = if is_told_apart { place } else { (0, 0) };
        let count = self.connections.entry(place).or_default();
        *count = count.saturating_add(connections);
    }

    fn note_abroad(&mut self, key: KeyId) {
        if self.abroad.len() < MOST_ABROAD {
            self.abroad.insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::tally::Protocol;

    fn cell(key: u8, port: u16) -> Cell {
        let protocol = Protocol::TelegramPadded;
        Cell { key: Some(KeyId([key; 8])), port, protocol, datacentre: None }
    }

    fn fleet(home: &[u32]) -> Fleet {
        let home = home.iter().copied().collect();
        Fleet { hub: Vec::new(), others: HashSet::new(), carries: Carries::Telegram, home }
    }

    #[test]
    fn what_the_hub_did_not_hear_comes_out_again_with_what_came_since() {
        let counting = Counting::default();
        let fleet = fleet(&[9198]);
        counting.count(&fleet, &cell(1, 443), Some(9198));
        counting.count(&fleet, &cell(2, 443), Some(9198));
        counting.count(&fleet, &cell(3, 443), Some(3320));
        let unheard = counting.take();
        assert_eq!((unheard.counted.len(), unheard.abroad.as_slice()), (2, &[KeyId([3; 8])][..]));
        assert_eq!(counting.take(), Census::default());
        counting.count(&fleet, &cell(1, 443), Some(9198));
        counting.put_back(&unheard);
        let mut heard = counting.take();
        heard.counted.sort_by_key(|counted| counted.network);
        let counted: Vec<_> = heard.counted.iter().map(|c| (c.network, c.connections)).collect();
        assert_eq!(counted, [(3320, 1), (9198, 3)]);
    }

    #[test]
    fn nobody_is_abroad_where_home_or_their_network_is_not_known() {
        let counting = Counting::default();
        counting.count(&fleet(&[]), &cell(1, 443), Some(3320));
        counting.count(&fleet(&[9198]), &cell(1, 443), None);
        assert_eq!(counting.take().abroad, []);
    }

    #[test]
    fn where_there_are_too_many_to_be_told_apart_none_is_lost() {
        let counting = Counting::default();
        for network in 0..10_000 {
            counting.count(&fleet(&[]), &cell(1, 443), Some(network));
        }
        let census = counting.take();
        assert_eq!(census.counted.len(), MOST_COUNTED);
        assert_eq!(census.counted.iter().map(|counted| counted.connections).sum::<u32>(), 10_000);
    }
}
