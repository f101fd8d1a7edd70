//! The page that comes out.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::cell::{Cell, FLEETS, Hardship};
use super::outcome::Outcome;
use super::plot::{self, Line, Panel};
use super::runs::{Outcomes, Who};
use super::world::STEPS;
use crate::figures::Summary;
use crate::report::{Goal, Limit, goals, head, interval, short};

/// All that was found out.
pub(super) struct Page<'a> {
    pub(super) cells: Vec<Cell>,
    pub(super) offices: &'a [Who],
    pub(super) outcomes: Outcomes,
    pub(super) seeds: u64,
    /// How long the large fleet took alone: all of it, and the office's part.
    pub(super) large: Option<(Duration, Duration)>,
    pub(super) took: Duration,
    pub(super) load: (String, String),
}

/// What is wanted on day 5, in percent.
const ONLINE: [(&str, f64); 6] = [
    ("B-0.1", 95.0),
    ("B-1", 75.0),
    ("C-1", 99.5),
    ("C-5", 96.0),
    ("B-0.1-zigzag", 81.0),
    ("B-0.1-sleeper", 91.0),
];
/// What is drawn.
const DRAWN: [(&str, &str); 2] =
    [("B-0.1", "the censor blocks addresses"), ("C-1", "the censor blocks address and port")];

impl Page<'_> {
    fn cell(&self, name: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.name == name)
    }

    fn mean(
        &self,
        name: &'static str,
        who: Who,
        of: impl Fn(&Outcome) -> Option<f64>,
    ) -> Option<Summary> {
        let outcomes = self.outcomes.get(&(name, who))?;
        Summary::mean(&outcomes.iter().filter_map(of).collect::<Vec<_>>())
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        let mut goal = |measure: String, limit, unit, reached| {
            goals.push(Goal { measure, limit, unit, reached });
        };
        for (name, limit) in ONLINE {
            let Some(cell) = self.cell(name) else { continue };
            let reached = self.mean(cell.name, Who::Ours, |outcome| Some(day(outcome, 5)));
            let measure = format!("{}: honest people online on day 5", cell.title());
            goal(measure, Limit::AtLeast(limit), " %", reached);
        }
        let ours = self.outcomes.iter().filter(|((_, who), _)| *who == Who::Ours);
        let banned = ours.flat_map(|(_, outcomes)| outcomes).map(|outcome| 100.0 * outcome.banned);
        let banned = Summary::mean(&[banned.fold(0.0, f64::max)]);
        goal(
            "honest people banned, at most in any cell".to_owned(),
            Limit::AtMost(0.0),
            " %",
            banned,
        );
        for cell in self.cells.iter().filter(|cell| cell.hardship.has_travellers()) {
            let reached = self.mean(cell.name, Who::Ours, |outcome| outcome.travellers);
            let measure = format!("{}: cuts of travellers, against others'", cell.title());
            goal(measure, Limit::AtMost(1.2), " times", reached);
        }
        if let Some((all, office)) = self.large {
            let reached = Summary::mean(&[office.as_secs_f64()]);
            let measure = format!(
                "2 million people, 400 relays, five days: CPU (with the world around it {:.0} s)",
                all.as_secs_f64()
            );
            goal(measure, Limit::AtMost(10.0), " s", reached);
        }
        goals
    }

    /// A row for each of these cells, a column for each office.
    fn table(
        &self,
        f: &mut Formatter<'_>,
        cells: &[&Cell],
        text: impl Fn(&'static str, Who) -> Option<String>,
    ) -> fmt::Result {
        write!(f, "| |")?;
        self.offices.iter().try_for_each(|who| write!(f, " {who} |"))?;
        writeln!(f, "\n|---|{}", "--:|".repeat(self.offices.len()))?;
        for cell in cells {
            write!(f, "| {} |", cell.title())?;
            for &who in self.offices {
                write!(f, " {} |", text(cell.name, who).unwrap_or_else(|| "–".to_owned()))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// Who is online, in the cells of a section.
    fn online(&self, f: &mut Formatter<'_>, about: &Section) -> fmt::Result {
        let cells: Vec<&Cell> = self.cells.iter().filter(|cell| (about.has)(cell)).collect();
        if cells.is_empty() {
            return Ok(());
        }
        let Section { title, text, .. } = about;
        writeln!(f, "\n## {title}\n\n{text} Honest people online on day 5, in percent:\n")?;
        self.table(f, &cells, |name, who| {
            let online = self.mean(name, who, |outcome| Some(day(outcome, 5)))?;
            Some(with_spread(online, |share| format!("{share:.1}")))
        })?;
        writeln!(f, "\nOn days 1 and 3:\n")?;
        self.table(f, &cells, |name, who| {
            let mean = |on| Some(self.mean(name, who, |outcome| Some(day(outcome, on)))?.median);
            Some(format!("{:.0}, {:.0}", mean(1)?, mean(3)?))
        })
    }

    /// Something else, in all cells.
    fn measure(
        &self,
        f: &mut Formatter<'_>,
        title: &str,
        text: &str,
        of: impl Fn(&Outcome) -> Option<f64>,
    ) -> fmt::Result {
        let cells: Vec<&Cell> = self.cells.iter().collect();
        writeln!(f, "\n## {title}\n\n{text}\n")?;
        self.table(f, &cells, |name, who| Some(with_spread(self.mean(name, who, &of)?, plain)))
    }

    /// Where ours is not the best.
    fn beaten(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.offices.iter().any(|who| *who != Who::Ours) {
            return Ok(());
        }
        writeln!(
            f,
            "\n## Where another way does better\n\nOn day 5, by more than a tenth of a percent. Days 1 and 3 are in the tables below: on those, uniform is ahead in several more.\n"
        )?;
        let mut is_best = true;
        for cell in &self.cells {
            let online = |who| {
                let mean = self.mean(cell.name, who, |outcome| Some(day(outcome, 5)))?.median;
                Some((who, mean))
            };
            let Some((_, ours)) = online(Who::Ours) else { continue };
            let all = self.offices.iter().filter_map(|&who| online(who));
            let Some((best, most)) = all.max_by(|one, two| one.1.total_cmp(&two.1)) else {
                continue;
            };
            if most > ours + 0.1 {
                is_best = false;
                writeln!(f, "- {}: {best} {most:.1} %, ours {ours:.1} %.", cell.title())?;
            }
        }
        if is_best {
            writeln!(f, "- In none of these.")?;
        }
        Ok(())
    }

    fn hours(&self, name: &'static str, who: Who) -> Vec<Option<f64>> {
        let mean = |step: usize| Some(self.mean(name, who, |one| one.online[step])?.median);
        (0..STEPS).map(mean).collect()
    }

    /// The plot, where what it shows was simulated.
    pub(super) fn plot(&self) -> Option<String> {
        let panel = |(name, blocks): &(&str, &str)| {
            let cell = self.cell(name)?;
            let line = |&who: &Who| Line { who, online: self.hours(cell.name, who) };
            let title = format!("{} % of those who ask inform", cell.share * 100.0);
            let about = format!("Fleet {}: {blocks}", cell.fleet.name);
            let lines = self.offices.iter().map(line).collect();
            Some(Panel { title, about, lines })
        };
        let panels: Vec<Panel> = DRAWN.iter().map(panel).collect::<Option<_>>()?;
        Some(plot::draw(&panels))
    }
}

/// Some of the cells.
struct Section {
    title: &'static str,
    text: &'static str,
    has: fn(&Cell) -> bool,
}

const SECTIONS: [Section; 3] = [
    Section {
        title: "Informers who tell at once",
        text: "Fleet, and the share of informers. What they know is blocked an hour later.",
        has: Cell::is_plain,
    },
    Section {
        title: "Other censors",
        text: "Sleepers say nothing until hour 60, and then all. Partial: each thing that an informer \
knows is told with one chance in ten, each half hour. Zig-zag: the censor also follows one of 500 people who \
come from an endpoint that it knew. After 6 h: so long from report to block. Irregular: an hour in the \
mean, each time drawn anew (exponential).",
        has: |cell| !cell.is_plain() && cell.hardship == Hardship::None,
    },
    Section {
        title: "Hardships",
        text: "What else can go wrong; it is explained below.",
        has: |cell| cell.hardship != Hardship::None,
    },
];

/// In percent.
fn day(outcome: &Outcome, day: usize) -> f64 {
    100.0 * outcome.day(day)
}

/// The mean, and all seeds' range where it shows.
fn with_spread(of: Summary, text: impl Fn(f64) -> String) -> String {
    let (mean, least, most) = (text(of.median), text(of.least), text(of.most));
    if least == most { mean } else { format!("{mean} ({least}–{most})") }
}

/// Counts without digits that mean nothing.
fn plain(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { short(number) }
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, "Who stays online while informers tell the censor", "share", &self.load)?;
        writeln!(
            f,
            "- {} seeds, {} s for all of it.\n\n{INTRODUCTION}",
            self.seeds,
            self.took.as_secs()
        )?;
        goals(f, &self.goals())?;
        self.beaten(f)?;
        writeln!(
            f,
            "\n## Fleets\n\n| | what the censor can block | people | relays |\n|---|---|--:|--:|"
        )?;
        for fleet in FLEETS {
            writeln!(
                f,
                "| {} | {} | {} | {} |",
                fleet.name, fleet.what, fleet.people, fleet.relays
            )?;
        }
        SECTIONS.iter().try_for_each(|section| self.online(f, section))?;
        self.measure(f, "Cuts", "How often an honest person is cut off, a day.", |one| {
            Some(one.cuts)
        })?;
        let text = "How often an honest person is given another endpoint while theirs still works, a \
day. Their app must fetch it in time.";
        self.measure(f, "Moves", text, |one| Some(one.moves))?;
        let text = "How many endpoints were blocked while they were in use or ready for it.";
        self.measure(f, "Endpoints burned", text, |one| Some(one.burned as f64))?;
        let text = "How many endpoints anybody was ever given.";
        self.measure(f, "Endpoints used", text, |one| Some(one.used as f64))?;
        let text = "The share of honest people who are never given anything again, in percent.";
        self.measure(f, "Banned", text, |one| Some(100.0 * one.banned))?;
        let text = "At the end, the share of informers who sit with nobody honest, of those who sit \
anywhere, in percent. A dash: none does. Who is alone harms nobody; but whoever moves people before a block comes \
need not find informers, and has few alone.";
        self.measure(f, "Informers alone", text, |one| one.isolated.map(|share| 100.0 * share))?;
        let text = "What the office itself takes for five days, in seconds.";
        self.measure(f, "CPU", text, |one| Some(one.cpu.as_secs_f64()))?;
        let watched = self.cells.iter().find(|cell| cell.hardship == Hardship::WatchesItsOwn);
        let seen =
            watched.and_then(|cell| self.mean(cell.name, Who::Ours, |one| Some(100.0 * one.seen)));
        if let Some(seen) = seen {
            writeln!(
                f,
                "\nWith two of 13 relays the censor's, they see the addresses of {} % of ours in five days.",
                interval(seen)
            )?;
        }
        f.write_str(METHOD)
    }
}

const INTRODUCTION: &str = "A simulation: thousands of strangers ask for a way in, some of them tell the \
censor what they were given, and it is blocked. Who is still online? What hands out here is the hub's own core \
(`hub::seats`), not a copy of it; beside it are other ways, each in our own few lines \
(`bench/src/share/rivals`). Everybody has the same people, informers and endpoints. Figures are means of all \
seeds, in brackets the least and the most of them.

![Honest people online over five days, by who hands out endpoints](share.svg)";

const METHOD: &str = "
## How

- Half an hour at a time, for five days. Most people come at hour 6, all by hour 48 (a triangle); nobody leaves. \
In each half hour relays get their fresh endpoints, people come, the office seats whoever waits, informers tell, and \
what is due is blocked. Whoever is cut off is offline for that half hour and asks again in the next.
- An endpoint is what the censor can block. A relay has so many at a time, and keeps no more fresh ones than \
that. Relays can carry 1.6 people for each that there is.
- Every office hears of a block at once, and of no block that is none: how a hub finds out is no part of this.
- A censor has no address but those it is told, and never forgets one. Informers remember all that they were \
ever given. Somebody who is moved before a block is never offline: their app has half an hour to \
fetch the new link, which only links that refresh themselves can do.
- The goals are from a first simulation with a constant hour from report to block. Whoever knows that hour can \
move everybody before it is over; the irregular censor, who sometimes blocks within the same half hour, shows how much of a figure is due to that. \
Whoever sits on an endpoint that the office closes without giving another is offline too.

Hardships:

- Travellers: of the honest, 5 % log in from abroad, each once a day, and the relay where they sit says so. A relay \
lies of log-ins: one says it of everybody on it, all the time. Each relay has another owner. Rivals hear nothing of it.
- The censor's relays: a tenth, rounded up, two of 13. It blocks all that is handed out on them; or it leaves them \
alone, sees the addresses of those who sit there, and follows one of 500 of their moves from then on. A relay \
that pretends to be blocked is like the first of these.
- Prefixes: three relays share one. When four endpoints there were blocked within 24 hours, the censor blocks all \
that live there, at one stroke. Fresh ones come as before.

Not simulated: all combinations of these, S with other censors, endpoints that are shown as a spare, a \
relay's lone word that it is blocked (the core is never told it), people who leave, and relays that come and go.

Rivals, and what is simpler here than there:

- **uniform**: everybody gets the emptiest endpoint, in random order, and relays re-address themselves. Drawn among \
all that live it did much worse when we tried.
- **Nasr et al.** (NDSS 2019): deferred acceptance where all rank alike, utilities of ProxySimulator's \"kind\" profile; \
its \"strict\" one refused most of the honest when we tried. No distances; capacity is the relay's, and not 40.
- **BridgeDB**: ring and answers as in its source, three hours. Each person is a subnet of their own; the ring takes new \
addresses with each interval.
- **Salmon** (PETS 2016): groups of 10, ban above 1/3, levels. Everybody is let in, and has one server.
- **rBridge** (NDSS 2013): a day of three living bridges pays for an invitation, where it takes months there. \
No credentials, no private transfer.
- **Lox** (PETS 2023): ten people a bridge, a hundred bridges a day however large the fleet, as in lox-library 0.3.0. \
Whoever is cut off may ask again, which is kinder than Lox; its trust begins after 30 days.
- **by hand**: 2,000 answers a day, each passed on to 149 others, and one new address a relay a day.

What these need in the world, Salmon's old accounts, rBridge's friends, Lox's privacy, is worth something that is \
not in these figures: the share of informers is the same for all here. Nor were they made for five days.
";
