//! What came of a search, for somebody who is tired.

use std::collections::{BTreeMap, HashSet};

use reach::Verdict;

use super::seen::Seen;
use super::words::{detail, looks_like, passed, sentence};
use crate::chart::count;

/// How many ports are named of each kind.
const NAMED: usize = 6;

/// What works first, then what was met elsewhere, and at last what can be done.
pub(super) fn lines(found: &[Seen], asked: u64, was_loud: bool) -> Vec<String> {
    let mut lines = works(found);
    lines.extend(met(found, asked));
    if !found.iter().any(|seen| seen.verdict.is_crack()) {
        lines.push(String::new());
        lines.push(
            "Nothing works from here now. Shutdowns open for hours and close again: try again later, and \
             from another network (mobile, landline, work), where other rules may hold."
                .to_owned(),
        );
        if !was_loud {
            lines.push(
                "With --minutes 600 it goes on, slowly, through more ports. --loud tries them all in seconds, \
                 and can be noticed."
                    .to_owned(),
            );
        }
    }
    lines
}

/// One row for each port that works, the most proven and fastest first.
fn works(found: &[Seen]) -> Vec<String> {
    let mut ports = BTreeMap::<_, Vec<&Seen>>::new();
    for seen in found.iter().filter(|seen| seen.verdict.is_crack()) {
        ports.entry((seen.transport, seen.address.port())).or_default().push(seen);
    }
    if ports.is_empty() {
        return Vec::new();
    }
    let mut rows: Vec<(_, [String; 5])> = ports
        .into_values()
        .filter_map(|mut all| {
            all.sort_by_key(|seen| (std::cmp::Reverse(rung(seen)), seen.rtt, seen.relay));
            let best = *all.first()?;
            let mut relays: Vec<u16> = all.iter().map(|seen| seen.relay).collect();
            relays.sort_unstable();
            relays.dedup();
            let relays = relays.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let rtt = best.rtt.map_or_else(String::new, |rtt| format!("{} ms", rtt.as_millis()));
            let shape = looks_like(best.shape, best.transport).to_owned();
            let row = [best.port(), shape, relays, rtt, passed(best.verdict)];
            Some(((std::cmp::Reverse(rung(best)), best.rtt), row))
        })
        .collect();
    rows.sort_by_key(|(order, _)| *order);
    let heads = ["port", "looks like", "relay", "answers in", "what passed"].map(str::to_owned);
    let rows: Vec<[String; 5]> =
        std::iter::once(heads).chain(rows.into_iter().map(|(_, row)| row)).collect();
    let mut lines = vec![format!("\nWorks from here ({}):\n", rows.len() - 1)];
    lines.extend(columns(&rows));
    lines
}

fn rung(seen: &Seen) -> Option<reach::Rung> {
    match seen.verdict {
        Verdict::Verified(rung) => Some(rung),
        _ => None,
    }
}

fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// What does not work, a line for each kind, the most frequent first.
fn met(found: &[Seen], asked: u64) -> Vec<String> {
    let mut kinds = BTreeMap::<&str, Vec<&Seen>>::new();
    for seen in found.iter().filter(|seen| !seen.verdict.is_crack()) {
        kinds.entry(sentence(seen.verdict)).or_default().push(seen);
    }
    let many = kinds.values().map(Vec::len).sum::<usize>();
    let silent = asked.saturating_sub(found.len() as u64);
    let mut kinds: Vec<(u64, String)> = kinds
        .into_iter()
        .map(|(sentence, all)| {
            let is_plain = all.iter().all(|seen| seen.verdict.is_silence());
            let named = if is_plain { String::new() } else { format!(": {}", names(&all)) };
            (all.len() as u64, format!("{sentence}{named}"))
        })
        .collect();
    if silent > 0 {
        kinds.push((silent, "asked, and not answered before the search ended".to_owned()));
    }
    if kinds.is_empty() {
        return Vec::new();
    }
    kinds.sort_by_key(|(many, _)| std::cmp::Reverse(*many));
    let width = kinds.iter().map(|(many, _)| count(*many).len()).max().unwrap_or(0);
    let mut lines = vec![format!("\nElsewhere ({} tried):\n", count(many as u64 + silent))];
    lines.extend(kinds.iter().map(|(many, what)| format!("  {:>width$}  {what}", count(*many))));
    lines
}

/// The first few ports, and what belongs to each alone.
fn names(all: &[&Seen]) -> String {
    let mut known = HashSet::new();
    let mut names: Vec<String> = Vec::new();
    for seen in all {
        let more = detail(seen.verdict).map_or_else(String::new, |more| format!(" ({more})"));
        let name = format!("{}{more}", seen.port());
        if known.insert(name.clone()) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more > 0 { format!(", and {} more", count(more as u64)) } else { String::new() };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::seen::tests::seen;
    use super::*;
    use reach::Rung;
    use wire::echo::Transport::{Tcp, Udp};

    #[test]
    fn what_works_stands_first_and_what_was_met_elsewhere_is_summed_up() {
        let mut found = vec![
            seen(Tcp, 179, 1, Verdict::Verified(Rung::Load)),
            seen(Tcp, 179, 2, Verdict::Verified(Rung::Minute)),
            seen(Udp, 53, 1, Verdict::Verified(Rung::Load)),
            seen(Tcp, 443, 1, Verdict::Frozen { up: None, down: Some(16) }),
        ];
        found.extend((1000..1036).map(|port| seen(Tcp, port, 1, Verdict::Dropped)));
        found.extend((1036..1040).map(|port| seen(Tcp, port, 1, Verdict::NoResponse)));
        let text = lines(&found, 44, false).join("\n");
        let wanted = "
Works from here (2):

  port     looks like  relay  answers in  what passed
  tcp 179  noise       1, 2   200 ms      64 KiB each way, and still after a minute
  udp 53   DNS         1      200 ms      64 KiB each way

Elsewhere (41 tried):

  36  nothing came back: dropped on the way, or on the way back
   4  nothing came back, and nobody knows whether the relay answers there at all
   1  began to work, and stopped for good: only so much passes: tcp 443 (after 16 KiB down)";
        assert_eq!(text, wanted, "{text}");
    }

    #[test]
    fn where_nothing_works_it_says_what_to_try_next() {
        let found = [seen(Tcp, 443, 1, Verdict::Dropped)];
        let text = lines(&found, 1, false).join("\n");
        assert!(text.contains("Nothing works from here now") && text.contains("--loud"), "{text}");
        assert!(!lines(&found, 1, true).join("\n").contains("--loud"));
    }

    #[test]
    fn of_very_many_ports_a_few_are_named() {
        let found: Vec<Seen> = (1..=9000).map(|port| seen(Tcp, port, 1, Verdict::Mute)).collect();
        let text = lines(&found, 9000, true).join("\n");
        assert!(text.contains("tcp 1, tcp 2") && text.contains("and 8,994 more"), "{text}");
        assert!(text.len() < 1000);
    }
}
