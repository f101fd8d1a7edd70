//! What is counted, in memory: who takes it from here and writes it down is somebody else.
//!
//! | module | what is in it |
//! |---|---|
//! | this one | connections and bytes: per key, port, protocol and datacentre |
//! | `meter` | what a connection holds of that, and the pump adds to |
//! | `people` | how many different addresses people came from, without knowing one |
//! | `counters` | what happened, and to nobody in particular |
//!
//! Nothing here is an address of a person, and nothing follows from it but numbers.

mod counters;
mod meter;
mod people;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::mtproto::Datacentre;
use wire::tally::{Amounts, Cell, Day, Protocol};

pub use counters::Counter;
pub(crate) use counters::Counters;
pub(crate) use meter::{Flow, Meter};
use people::People;

use crate::sources::Source;

/// How many cells are told apart at the same time; about 25 MB. Those that nobody holds and that
/// were taken go, so it is as many as there are connections and were in the last few seconds.
const MOST_CELLS: usize = 200_000;

/// What was counted since the last time.
#[derive(Clone, Debug, Default)]
pub struct Tallied {
    /// Connections and bytes; no cell twice.
    pub cells: Vec<(Cell, Amounts)>,
    /// From how many different addresses people came since that day began or the relay was
    /// started: see [`Relay::take_tally`](crate::Relay::take_tally).
    pub people: Option<(Day, u64)>,
    /// What happened, how often.
    pub counters: Vec<(Counter, u64)>,
}

/// Everything since the start, and what there is now.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Connections and bytes.
    pub carried: BTreeMap<(Protocol, Option<Datacentre>), Amounts>,
    /// What happened, how often.
    pub counters: Vec<(Counter, u64)>,
    /// Connections of people that are open now.
    pub open: BTreeMap<Protocol, u64>,
    /// What else there is now.
    pub gauges: Vec<Gauge>,
}

/// A number that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// What it is called, in the words of [`Counter::name`].
    pub name: &'static str,
    /// What it counts, in a sentence.
    pub help: &'static str,
    /// How many there are now.
    pub value: u64,
}

#[derive(Default)]
pub(crate) struct Tally {
    cells: Mutex<Cells>,
    people: Mutex<People>,
}

#[derive(Default)]
struct Cells {
    /// What has flowed, and how much of it was taken.
    meters: HashMap<Cell, (Arc<Meter>, Amounts)>,
    /// What flowed through cells that are gone.
    gone: BTreeMap<(Protocol, Option<Datacentre>), Amounts>,
}

impl Tally {
    /// Counts a connection; what flows through it is to be counted by what comes back.
    pub(crate) fn open(&self, cell: Cell, source: Source) -> Arc<Meter> {
        lock(&self.people).see(source);
        let meters = &mut lock(&self.cells).meters;
        let is_full = meters.len() >= MOST_CELLS && !meters.contains_key(&cell);
        let cell = if is_full { cell.folded() } else { cell };
        let (meter, _) = meters.entry(cell).or_default();
        meter.count();
        Arc::clone(meter)
    }

    /// What flowed since the last time.
    pub(crate) fn take(&self) -> Vec<(Cell, Amounts)> {
        let mut taken = Vec::new();
        let Cells { meters, gone } = &mut *lock(&self.cells);
        meters.retain(|cell, (meter, told)| {
            let is_held = Arc::get_mut(meter).is_none();
            // What its last holder added is seen from here on.
            fence(Ordering::Acquire);
            let now = meter.read();
            let mut fresh = now;
            fresh -= *told;
            if fresh.is_nothing() {
                if !is_held {
                    *gone.entry((cell.protocol, cell.datacentre)).or_default() += now;
                }
                return is_held;
            }
            *told = now;
            taken.push((*cell, fresh));
            true
        });
        // What a rush has taken up is given back after it.
        if meters.capacity() > 4 * meters.len() {
            meters.shrink_to(2 * meters.len());
        }
        taken
    }

    /// Takes back what could not be written: it comes out again the next time.
    pub(crate) fn put_back(&self, cells: &[(Cell, Amounts)]) {
        let meters = &mut lock(&self.cells).meters;
        for (cell, amounts) in cells {
            // A cell stays until a time when nothing had flowed, so it is there.
            if let Some((_, told)) = meters.get_mut(cell) {
                *told -= *amounts;
            }
        }
    }

    /// Everything since the start, and the connections that are open now.
    pub(crate) fn totals(&self) -> Totals {
        let cells = lock(&self.cells);
        let mut totals = Totals { carried: cells.gone.clone(), ..Totals::default() };
        for (cell, (meter, _)) in &cells.meters {
            *totals.carried.entry((cell.protocol, cell.datacentre)).or_default() += meter.read();
            *totals.open.entry(cell.protocol).or_default() += Arc::strong_count(meter) as u64 - 1;
        }
        totals
    }

    /// About how many people there were up to now on the day that is under way; with a new day all
    /// is forgotten.
    pub(crate) fn take_people(&self, today: Day) -> Option<(Day, u64)> {
        lock(&self.people).take(today)
    }

    /// About how many people there were today.
    pub(crate) fn people(&self) -> u64 {
        lock(&self.people).estimate()
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use wire::derive::KeyId;

    fn cell(key: u8) -> Cell {
        Cell {
            key: Some(KeyId([key; 8])),
            port: 443,
            protocol: Protocol::TelegramPadded,
            datacentre: Some(Datacentre::Main(2)),
        }
    }

    fn source() -> Source {
        IpAddr::from([192, 0, 2, 1]).into()
    }

    fn amounts(connections: u64, up: u64, down: u64) -> Amounts {
        Amounts { connections, up, down }
    }

    #[test]
    fn what_flows_is_taken_once_while_the_connection_lasts_and_after_it() {
        let tally = Tally::default();
        let meter = tally.open(cell(1), source());
        meter.flow().add_up(10);
        assert_eq!(tally.take(), [(cell(1), amounts(1, 10, 0))]);
        assert_eq!(tally.take(), []);
        meter.flow().add_down(5);
        drop(meter);
        assert_eq!(tally.take(), [(cell(1), amounts(0, 0, 5))]);
        assert_eq!(tally.take(), []);
        assert!(lock(&tally.cells).meters.is_empty(), "nobody holds it any more");
        let carried = tally.totals().carried;
        let all = (Protocol::TelegramPadded, Some(Datacentre::Main(2)));
        assert_eq!(carried.get(&all), Some(&amounts(1, 10, 5)));
    }

    #[test]
    fn what_could_not_be_written_comes_out_again_with_what_was_added() {
        let tally = Tally::default();
        let meter = tally.open(cell(1), source());
        meter.flow().add_up(10);
        let lost = tally.take();
        meter.flow().add_up(1);
        drop(meter);
        tally.put_back(&lost);
        assert_eq!(tally.take(), [(cell(1), amounts(1, 11, 0))]);
    }

    #[test]
    fn connections_that_share_a_cell_are_counted_together_and_seen_as_open() {
        let tally = Tally::default();
        let held = [tally.open(cell(1), source()), tally.open(cell(1), source())];
        let _other = tally.open(cell(2), source());
        assert_eq!(tally.totals().open.get(&Protocol::TelegramPadded), Some(&3));
        held.iter().for_each(|meter| meter.flow().add_down(4));
        drop(held);
        assert_eq!(tally.totals().open.get(&Protocol::TelegramPadded), Some(&1));
        let mut taken = tally.take();
        taken.sort_by_key(|(cell, _)| *cell);
        assert_eq!(taken, [(cell(1), amounts(2, 0, 8)), (cell(2), amounts(1, 0, 0))]);
    }

    #[test]
    fn where_there_are_too_many_cells_keys_are_not_told_apart_and_nothing_is_lost() {
        let tally = Tally::default();
        let key = |n: u64| Cell { key: Some(KeyId(n.to_be_bytes())), ..cell(0) };
        let extra = 10;
        for n in 0..MOST_CELLS as u64 + extra {
            tally.open(key(n), source()).flow().add_up(1);
        }
        let taken = tally.take();
        assert_eq!(taken.len(), MOST_CELLS + 1);
        let folded = taken.iter().find(|(cell, _)| cell.key.is_none());
        assert_eq!(folded, Some(&(cell(0).folded(), amounts(extra, extra, 0))));
    }
}
