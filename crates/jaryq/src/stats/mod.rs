//! `jaryq stats`: what a relay has carried.

mod json;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use store::{By, Group, Key, Store};
use wire::derive::KeyId;
use wire::tally::{Amounts, Day};

use crate::fleet;
use crate::key::open;
use crate::ledger::{Now, unix};
use crate::print::Printer;

pub(crate) fn run(days: u16, state: &Path, printer: &Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = open(state).await?;
        let to = Day::at(unix());
        let from = Day(to.0 - i64::from(days) + 1);
        let stats = Stats::gather(&store, from, to).await?;
        let fleet = fleet::of_stats(&store).await?;
        if printer.is_json() {
            let mut object = stats.object();
            if let Some((_, fleet)) = fleet {
                object["fleet"] = fleet;
            }
            printer.object(&object);
            // A day at a time, and a cell a line: there may be very many.
            for day in (from.0..=to.0).map(Day) {
                for line in store.tally_lines(day).await? {
                    printer.object(&json::cell(&line));
                }
            }
        } else {
            fleet.into_iter().flat_map(|(lines, _)| lines).for_each(|line| printer.line(line));
            stats.lines().iter().for_each(|line| printer.line(line));
        }
        store.close().await;
        Ok(())
    })
}

/// Everything that is shown.
struct Stats {
    from: Day,
    to: Day,
    now: Option<Now>,
    keys: HashMap<KeyId, Key>,
    people: BTreeMap<Day, u64>,
    counters: BTreeMap<Day, Vec<(String, u64)>>,
    by_day: BTreeMap<Day, Amounts>,
    sums: [(By, Vec<(Group, Amounts)>); 4],
}

impl Stats {
    async fn gather(store: &Store, from: Day, to: Day) -> anyhow::Result<Self> {
        let mut counters = BTreeMap::<Day, Vec<_>>::new();
        for (day, name, count) in store.counters(from).await? {
            counters.entry(day).or_default().push((name, count));
        }
        let mut by_day: BTreeMap<Day, Amounts> =
            (from.0..=to.0).map(|day| (Day(day), Amounts::default())).collect();
        for (group, amounts) in store.tally(By::Day, from).await? {
            if let Group::Day(day) = group {
                by_day.insert(day, amounts);
            }
        }
        let mut sums = [By::Protocol, By::Datacentre, By::Port, By::Key].map(|by| (by, Vec::new()));
        for (by, rows) in &mut sums {
            *rows = store.tally(*by, from).await?;
        }
        let keys = store.keys().await?;
        Ok(Self {
            from,
            to,
            now: Now::load(store).await?,
            keys: keys.into_iter().map(|key| (key.id, key)).collect(),
            people: store.people(from).await?.into_iter().collect(),
            counters,
            by_day,
            sums,
        })
    }

    fn total(&self) -> Amounts {
        let mut total = Amounts::default();
        self.by_day.values().for_each(|amounts| total += *amounts);
        total
    }
}

fn word(by: By) -> &'static str {
    match by {
        By::Day => "day",
        By::Protocol => "protocol",
        By::Datacentre => "datacentre",
        By::Port => "port",
        By::Key => "key",
    }
}
