//! The page that comes out.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write as _};

use crate::figures::Summary;
use crate::report::{Goal, Limit, goals, head, interval};

/// Samples by who and what, in the order in which they came first.
#[derive(Default)]
pub(super) struct Table {
    who: Vec<String>,
    what: Vec<&'static str>,
    samples: BTreeMap<(usize, usize), Vec<f64>>,
}

impl Table {
    pub(super) fn add(&mut self, who: &str, what: &'static str, sample: f64) {
        let row = place(&mut self.who, who.to_owned());
        let column = place(&mut self.what, what);
        self.samples.entry((row, column)).or_default().push(sample);
    }

    /// The mean, where every single sample counts.
    pub(super) fn mean(&self, who: &str, what: &str) -> Option<Summary> {
        let samples = self.samples_of(who, what)?;
        Summary::of(vec![samples.iter().sum::<f64>() / samples.len() as f64])
    }

    /// The worst of all rows.
    pub(super) fn worst(&self, what: &str, worse: fn(f64, f64) -> f64) -> Option<Summary> {
        let rows = self.who.iter().filter_map(|who| self.samples_of(who, what));
        Summary::of(vec![rows.flatten().copied().reduce(worse)?])
    }

    fn samples_of(&self, who: &str, what: &str) -> Option<&Vec<f64>> {
        let row = self.who.iter().position(|name| name == who)?;
        let column = self.what.iter().position(|name| *name == what)?;
        self.samples.get(&(row, column))
    }

    pub(super) fn summary(&self, who: &str, what: &str) -> Option<Summary> {
        Summary::of(self.samples_of(who, what)?.clone())
    }
}

fn place<T: PartialEq>(all: &mut Vec<T>, one: T) -> usize {
    all.iter().position(|other| *other == one).unwrap_or_else(|| {
        all.push(one);
        all.len() - 1
    })
}

impl Table {
    /// Means, and in brackets what 95 of 100 stay within.
    pub(super) fn means(&self) -> String {
        let mut text =
            format!("| | {} |\n|---|{}\n", self.what.join(" | "), "--:|".repeat(self.what.len()));
        for (row, who) in self.who.iter().enumerate() {
            let _ = write!(text, "| {who} |");
            for column in 0..self.what.len() {
                let mut samples = self.samples.get(&(row, column)).cloned().unwrap_or_default();
                samples.sort_by(f64::total_cmp);
                let mean = samples.iter().sum::<f64>() / samples.len() as f64;
                let late = samples.get(samples.len() * 95 / 100).copied().unwrap_or_default();
                let _ = write!(text, " {mean:.2} ({late:.0}) |");
            }
            text.push('\n');
        }
        text
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | {} |", self.what.join(" | "))?;
        writeln!(f, "|---|{}", "--:|".repeat(self.what.len()))?;
        for (row, who) in self.who.iter().enumerate() {
            write!(f, "| {who} |")?;
            for column in 0..self.what.len() {
                let samples = self.samples.get(&(row, column)).cloned();
                match samples.and_then(Summary::of) {
                    // Of what is always the same there is no interval.
                    Some(Summary { median, least, most, .. }) if least >= most => {
                        write!(f, " {} |", (median * 1e3).round() / 1e3)?;
                    }
                    Some(summary) => write!(f, " {} |", interval(summary))?,
                    None => write!(f, " – |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// What was found out, section by section.
#[derive(Default)]
pub(super) struct Page {
    pub(super) rounds: usize,
    /// Rivals and ours, and what they are.
    pub(super) versions: Vec<String>,
    pub(super) goals: Vec<Goal>,
    pub(super) sections: Vec<(&'static str, String)>,
    pub(super) failures: Vec<String>,
    pub(super) load: (String, String),
}

impl Page {
    pub(super) fn goal(
        &mut self,
        measure: &str,
        limit: Limit,
        unit: &'static str,
        reached: Option<Summary>,
    ) {
        self.goals.push(Goal { measure: measure.to_owned(), limit, unit, reached });
    }

    pub(super) fn section(&mut self, title: &'static str, text: impl Display) {
        self.sections.push((title, text.to_string()));
    }
}

impl Display for Page {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, "Finding what still passes, side by side", "reach", &self.load)?;
        self.versions.iter().try_for_each(|version| writeln!(f, "- {version}."))?;
        writeln!(
            f,
            "\nMedians of {} rounds, if nothing else is said; in brackets, where the true median lies \
             with a certainty of 95 %, or all samples where they are fewer than six.",
            self.rounds
        )?;
        goals(f, &self.goals)?;
        for (title, text) in &self.sections {
            writeln!(f, "\n## {title}\n\n{}", text.trim_end())?;
        }
        f.write_str(METHOD)?;
        if !self.failures.is_empty() {
            writeln!(f, "\n## What failed\n")?;
        }
        self.failures.iter().try_for_each(|failure| writeln!(f, "- {failure}"))
    }
}

const METHOD: &str = "
## How

- Inside, the border and each relay are network namespaces with routers between them. A user hangs on \
their provider's border, with no router in between that remembers connections, unless a home is spoken of. \
The relays are real: `jaryq up --ports all`, or a list of six ports where borders are told apart.
- Ours is the real `jaryq reach --json`, as a user without privileges and capabilities; for raw packets, as \
root. Its time is that of the whole program, from its start to its end: to read the bundle and receipts, to \
search, to prove each port by 64 KiB both ways, and to print 65,534 lines. `--brief` leaves out the look \
after a minute. Loud searches begin with a receipt of the day before, so that they are loud at once.
- The scanners look at all TCP ports of the same relay, as they say above. One that has not ended after 40 s \
(nmap -T4: 400 s) is ended; what it had printed counts. What they say is open is taken as they say it: they \
cannot tell who has accepted. They take no part over UDP, where they cannot tell either.
- A full sweep: the border is a rule of its kernel. Five ports of each transport pass, and the rest vanishes; \
the kernel counts first packets by port before that rule. Those to the ten ports are left out of the counts.
- A relay far away: packets are held for 100 ms each way by a program on the border. January 2022: TCP 179, \
646, 3784, 3785, 4784 and UDP 53 pass. Any five: drawn anew each round, above 1023. Time is the search's own, \
from its first packet on; the whole map, of the whole program.
- Loss: of all packets, each way, by a program on the border, with another seed each time. Busy: four shells \
that only count, on the same cores.
- Nothing is cut: no rule at the border, and over 200 ms a program that holds packets. Each search has a bundle \
of its own, since a relay answers 150,000 questions of one in ten minutes. Somebody else at the same provider \
begins to search quietly 0.7 s after it.
- Boxes: programs on the border. They answer for all ports but the ten, and are slower than a border's own \
machines, which shows in the times; nobody's rate was changed for that.
- Told apart: every candidate of the relay with six ports is looked at, and is right if both what happened \
and how much had passed is. A border counts bytes with their dress, so a quarter of the limit is enough.
- A newcomer: a simulation with the product's own order. 200 people report; the honest ones name one of five \
open ports, none of which is in the list, each liar five others. One probe of ten is lost. 2,000 trials.
- A home's router: nftables, with a table of the size that cheap ones have; live entries are read twenty \
times a second.

## Limits

- One machine, one kernel, no other traffic. A border of a country, its delay and its queues are more than \
this. What really passed in a shutdown is known as far as somebody wrote it down.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_and_says_what_was_not_measured() {
        let mut table = Table::default();
        table.add("jaryq", "time: s", 1.5);
        table.add("nmap", "time: s", 7.0);
        table.add("nmap", "false", 64_450.0);
        let text = table.to_string();
        assert!(
            text.starts_with("| | time: s | false |\n|---|--:|--:|\n| jaryq | 1.5 |"),
            "{text}"
        );
        assert!(text.contains(" – |\n| nmap | 7 | 64450 |"), "{text}");
        assert_eq!(table.summary("nmap", "false").expect("one sample").median, 64_450.0);
    }
}
