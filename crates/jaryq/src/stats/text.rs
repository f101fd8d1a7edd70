//! The same for people.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use store::{By, Group};
use wire::tally::{Amounts, Day};

use super::{Stats, word};
use crate::chart::{Row, bytes, count, table};
use crate::key::day as date;
use crate::ledger::unix;
use crate::print::key_name;

/// How many ports and keys are shown.
const SHOWN: usize = 10;

impl Stats {
    fn group_name(&self, group: Group) -> String {
        match group {
            Group::Day(day) => date(day.start()),
            Group::Protocol(protocol) => protocol.name().to_owned(),
            Group::Datacentre(Some(one)) => format!("Telegram {one}"),
            Group::Datacentre(None) => "elsewhere".to_owned(),
            Group::Port(Some(port)) => port.to_string(),
            Group::Key(Some(id)) => match self.keys.get(&id) {
                Some(key) => key_name(key),
                None => id.to_string(),
            },
            Group::Port(None) | Group::Key(None) => "not told apart any more".to_owned(),
        }
    }

    /// Tables with bars.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.now_line()];
        lines.extend(self.waits_line());
        lines.push(String::new());
        if self.total().is_nothing() && self.counters.is_empty() {
            lines.push(
                "Nothing was counted on these days. A relay writes down what it carries every few \
                 seconds; send somebody a link (jaryq key list)."
                    .to_owned(),
            );
            return lines;
        }
        lines.extend(self.days());
        for (by, rows) in &self.sums {
            lines.push(String::new());
            lines.extend(self.section(*by, rows));
        }
        lines.extend(self.happened());
        lines.push(String::new());
        lines.push(
            "Days are in UTC. People: addresses from which somebody came with a key, at least and \
             about (2 %); who share one count once."
                .to_owned(),
        );
        lines
    }

    fn days(&self) -> Vec<String> {
        let row = |(day, amounts): (&Day, &Amounts)| {
            let people = self.people.get(day).map_or("-".to_owned(), |people| count(*people));
            row(date(day.start()), Some(people), *amounts, true)
        };
        let mut rows: Vec<Row> = self.by_day.iter().map(row).collect();
        if rows.len() > 1 {
            rows.push(self::row("all".to_owned(), Some(String::new()), self.total(), false));
        }
        table(&["day", "people", "connections", "down", "up"], &rows)
    }

    fn section(&self, by: By, rows: &[(Group, Amounts)]) -> Vec<String> {
        let most = if matches!(by, By::Port | By::Key) { SHOWN } else { usize::MAX };
        let mut shown: Vec<Row> = rows
            .iter()
            .take(most)
            .map(|(group, amounts)| row(self.group_name(*group), None, *amounts, true))
            .collect();
        if rows.len() > most {
            let mut rest = Amounts::default();
            rows[most..].iter().for_each(|(_, amounts)| rest += *amounts);
            shown.push(row(format!("{} more", rows.len() - most), None, rest, false));
        }
        table(&[word(by), "connections", "down", "up"], &shown)
    }

    /// What else happened, as far as it did.
    fn happened(&self) -> Vec<String> {
        let mut sums = BTreeMap::<&str, u64>::new();
        for (name, count) in self.counters.values().flatten() {
            *sums.entry(name).or_default() += count;
        }
        let known = |name: &str| relay::Counter::ALL.into_iter().find(|one| one.name() == name);
        let mut lines = Vec::new();
        for counter in relay::Counter::ALL {
            if let Some(sum) = sums.get(counter.name()) {
                lines.push(format!("  {:>14}  {}", count(*sum), counter.help()));
            }
        }
        // What another version counted.
        for (name, sum) in sums.iter().filter(|(name, _)| known(name).is_none()) {
            lines.push(format!("  {:>14}  {name}", count(*sum)));
        }
        if !lines.is_empty() {
            lines.insert(0, String::new());
        }
        lines
    }

    /// Who waits for the trial of all keys, if anybody does or did in the last minute.
    fn waits_line(&self) -> Option<String> {
        let now = self.now.as_ref().filter(|now| now.is_running())?;
        let gauge = |name| now.gauges.get(name).copied().unwrap_or(0);
        let [waiting, from, found, in_vain, turned_away] =
            ["waiting_now", "waiting_from", "waited_found", "waited_in_vain", "turned_away"]
                .map(gauge);
        if [waiting, found, in_vain, turned_away] == [0; 4] {
            return None;
        }
        Some(format!(
            "Without a hint at their key: {} wait (from {} addresses). In the last minute: {} were let \
             in after {} ms (99 of 100 within {} ms), {} waited in vain, {} were turned away.",
            count(waiting),
            count(from),
            count(found),
            gauge("waited_median_milliseconds"),
            gauge("waited_p99_milliseconds"),
            count(in_vain),
            count(turned_away),
        ))
    }

    fn now_line(&self) -> String {
        let ago = |seconds: u64| humantime::format_duration(Duration::from_secs(seconds));
        match &self.now {
            None => "No relay has run yet that counts.".to_owned(),
            Some(now) if now.is_running() => {
                let all: u64 = now.connections.values().sum();
                let each: Vec<String> = now
                    .connections
                    .iter()
                    .map(|(protocol, open)| format!("{} {protocol}", count(*open)))
                    .collect();
                let each =
                    if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) };
                let gauge = |name| count(now.gauges.get(name).copied().unwrap_or(0));
                format!(
                    "The relay has run for {}. Now: {} connections{each}, {} at the door, {} strangers.",
                    ago(unix().saturating_sub(now.started)),
                    count(all),
                    gauge("at_the_door"),
                    gauge("strangers_now"),
                )
            }
            Some(now) => {
                let when =
                    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(now.time));
                format!("No relay runs; the last one wrote this down at {when}.")
            }
        }
    }
}

fn row(name: String, people: Option<String>, amounts: Amounts, with_bar: bool) -> Row {
    let amount = [count(amounts.connections), bytes(amounts.down), bytes(amounts.up)];
    let cells = std::iter::once(name).chain(people).chain(amount).collect();
    Row { cells, bar: with_bar.then(|| amounts.bytes()) }
}
