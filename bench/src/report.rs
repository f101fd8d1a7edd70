//! The page that comes out.

use std::collections::BTreeMap;
use std::fmt;

use lab::relay::Form;

use crate::figures::{Figures, Metric, Summary};
use crate::load::CLIENTS;
use crate::subject::Subject;
use crate::visit::{ALONE, ATTEMPTS, STREAMS};
use crate::{Options, machine};

/// Everything that the page says.
pub(crate) struct Report<'a> {
    pub(crate) options: &'a Options,
    pub(crate) subjects: &'a [Subject],
    pub(crate) figures: &'a Figures,
    pub(crate) skipped: Vec<&'static str>,
    pub(crate) failures: Vec<String>,
    /// The machine's load before and after.
    pub(crate) load: (String, String),
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, subjects, load, .. } = self;
        let Options { rounds, mib, idle, handshakes, .. } = options;
        writeln!(f, "# Telegram proxies, side by side\n")?;
        writeln!(
            f,
            "Made by `cargo run --release -p bench -- telegram` on {}.\n",
            machine::today()
        )?;
        writeln!(
            f,
            "- Machine: {}; its load was {} before and {} after.",
            machine::describe(),
            load.0,
            load.1
        )?;
        for Subject { name, version, settings, .. } in *subjects {
            writeln!(f, "- **{name}**: {version}. Set: {settings}.")?;
        }
        for name in &self.skipped {
            writeln!(f, "- {name} was not given and is left out.")?;
        }
        writeln!(
            f,
            "\nMedians of {rounds} rounds; in brackets, how many times ours. ↑: more is better; \
             elsewhere, less is. \\*: the samples lie more than 30 % of the median apart, see the end."
        )?;
        for (form, title) in Form::ALL.into_iter().zip(["plain", "dd", "ee (fake TLS)"]) {
            if !options.forms.contains(&form) {
                continue;
            }
            writeln!(f, "\n## {title}\n")?;
            self.table(f, form)?;
        }
        self.alone(f)?;
        write!(f, "{}", method(*mib, *idle, *handshakes))?;
        self.spread(f)?;
        if !self.failures.is_empty() {
            writeln!(f, "\n## What failed\n")?;
            writeln!(
                f,
                "A transfer fails when nothing comes for ten seconds or other bytes come than were \
                 sent. It is begun anew, up to {ATTEMPTS} times, and only those that got through are \
                 in the tables.\n"
            )?;
            let times =
                self.failures.iter().fold(BTreeMap::<_, usize>::new(), |mut times, failure| {
                    *times.entry(failure).or_default() += 1;
                    times
                });
            times.iter().try_for_each(|(what, times)| writeln!(f, "- {what} ({times}×)"))?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn table(&self, f: &mut fmt::Formatter<'_>, form: Form) -> fmt::Result {
        let names: Vec<&str> = self.subjects.iter().map(|subject| subject.name).collect();
        writeln!(f, "| | {} |\n|---|{}", names.join(" | "), "--:|".repeat(names.len()))?;
        for metric in Metric::ALL {
            write!(f, "| {} |", metric.name())?;
            let of = |subject: &Subject| self.figures.summary(form, metric, subject.name);
            let ours = self.subjects.first().and_then(of);
            for (place, subject) in self.subjects.iter().enumerate() {
                match (of(subject), ours) {
                    (None, _) => write!(f, " failed |")?,
                    (Some(theirs), Some(ours)) if place > 0 => {
                        let times = short(theirs.median / ours.median);
                        write!(f, " {} ({times}×) |", cell(theirs))?;
                    }
                    (Some(alone), _) => write!(f, " {} |", cell(alone))?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn alone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |metric| {
            self.figures.summary(Form::Plain, metric, ALONE).map_or_else(String::new, cell)
        };
        writeln!(
            f,
            "\n## The load tool alone\n\nWith no proxy between them, user and datacentre move {} MiB/s \
             down and {} up and shake hands {} times a second. They take {} CPU s/GiB down, {} up and {} \
             ms a handshake themselves, on the same cores as the proxy; so where a proxy is cheap, MiB/s \
             and handshakes/s say more of the machine than of the proxy.",
            of(Metric::DownRate),
            of(Metric::UpRate),
            of(Metric::HandshakeRate),
            of(Metric::DownCpu),
            of(Metric::UpCpu),
            of(Metric::HandshakeCpu),
        )
    }

    fn spread(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## Where the samples lie far apart\n")?;
        for form in Form::ALL {
            for metric in Metric::ALL {
                for name in self.subjects.iter().map(|subject| subject.name).chain([ALONE]) {
                    let summary = self.figures.summary(form, metric, name);
                    let Some(wide) = summary.filter(|summary| summary.is_wide()) else { continue };
                    let (least, most) = (short(wide.least), short(wide.most));
                    writeln!(f, "- {form:?}, {name}, {}: {least} to {most}", metric.name())?;
                }
            }
        }
        Ok(())
    }
}

fn cell(summary: Summary) -> String {
    format!("{}{}", short(summary.median), if summary.is_wide() { "\\*" } else { "" })
}

/// Three digits that count.
fn short(number: f64) -> String {
    match number.abs() {
        10.0.. if number.abs() >= 100.0 => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        1.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

fn method(mib: u64, idle: usize, handshakes: usize) -> String {
    format!(
        "
## How

- User, server and Telegram are network namespaces with a router between them; the proxy runs alone \
on the server and reaches Telegram at its real IPv4 addresses. Nothing leads out, so no proxy finds a \
name server, a clock or a website.
- Every proxy has the same task: plain, dd and ee on one port with one secret, straight to the \
datacentres, no advertising tag, no website to hide behind. The rest is as each has it by default.
- In each round and form the proxies take turns, and another one begins each time. Each is started \
afresh for its memory and again for its speed.
- CPU is user and system time of the proxy's process and its children, by the kernel's clock for it. \
The kernel bills the work of receiving to whoever is running, so a part of a proxy's is billed to the \
user and the datacentre, and of theirs to the proxy: alike for all.
- Transfer: {STREAMS} connections at once, {mib} MiB together. The first MiB of each is decrypted and \
checked by the other side, the rest is counted. Uploads in ee come in records of 2,878 bytes, as from \
the apps.
- Handshake: connect, shake hands, one ping through to the datacentre and back, close; {handshakes} \
times, by {CLIENTS} clients, after 100 that are not counted. The ee hello is as long as those of \
today (about 1.5 KiB, with a hybrid key share). telemt delays its answer to a hello by 8 to 24 ms on \
purpose; its handshakes/s in ee are a figure of that.
- Memory: PSS of the process and its children from `smaps_rollup`. At rest: 2 s after the first ping. \
Per idle connection: what {idle} connections add, each pinged once, 2 s after the last. The kernel's \
memory for sockets is not in it; it is the same for all.
- Start: from the call that starts the program until a ping through it is answered. Ours has its keys \
from an earlier start; mtprotoproxy and telemt have no network to ask for their address and the time.

## Limits

- One user, one address, a local network without loss or delay; a shared machine. Ratios are worth \
more than figures.
- One secret: what it costs to find the right one among many is not measured here.
"
    )
}
