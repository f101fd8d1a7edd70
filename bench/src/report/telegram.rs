//! The page that comes out.

use std::fmt::{self, Display, Formatter};

use super::{Report, cell, short};
use crate::figures::Metric;
use crate::load::CLIENTS;
use crate::subject::Subject;
use crate::telegram::Options;
use crate::visit::{ALONE, Amounts, STREAMS};
use crate::way::Way;

/// The rows of every table.
const METRICS: [Metric; 9] = [
    Metric::DownCpu,
    Metric::DownRate,
    Metric::UpCpu,
    Metric::UpRate,
    Metric::HandshakeCpu,
    Metric::HandshakeRate,
    Metric::Idle,
    Metric::Base,
    Metric::Start,
];

impl Display for Report<'_, Options> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { options, subjects, load, .. } = self;
        super::head(f, "Telegram proxies, side by side", "telegram", load)?;
        super::subjects(f, subjects, &self.missing)?;
        writeln!(
            f,
            "\nMedians of {} rounds; in brackets, how many times ours. ↑: more is better; \
             elsewhere, less is. \\*: the samples lie more than 30 % of the median apart, see the end.",
            options.rounds
        )?;
        let titled = Way::TELEGRAM.into_iter().zip(["plain", "dd", "ee (fake TLS)"]);
        for (way, title) in titled.filter(|(way, _)| options.forms.contains(way)) {
            writeln!(f, "\n## {title}\n")?;
            self.form(f, way)?;
        }
        self.alone(f)?;
        write!(f, "{}", method(options.amounts()))?;
        super::settings(f, subjects)?;
        self.spread(f)?;
        super::failures(f, &self.failures)
    }
}

impl Report<'_, Options> {
    fn form(&self, f: &mut Formatter<'_>, way: Way) -> fmt::Result {
        let names: Vec<&str> = self.subjects.iter().map(|subject| subject.name).collect();
        writeln!(f, "| | {} |\n|---|{}", names.join(" | "), "--:|".repeat(names.len()))?;
        for metric in METRICS {
            write!(f, "| {} |", metric.name())?;
            let of = |subject: &Subject| self.figures.summary((way, subject.name), metric);
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

    fn alone(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let of = |metric| {
            self.figures.summary((Way::Straight, ALONE), metric).map_or_else(String::new, cell)
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

    fn spread(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## Where the samples lie far apart\n")?;
        for way in [Way::Straight].into_iter().chain(Way::TELEGRAM) {
            for metric in METRICS {
                for name in self.subjects.iter().map(|subject| subject.name).chain([ALONE]) {
                    let summary = self.figures.summary((way, name), metric);
                    let Some(wide) = summary.filter(|summary| summary.is_wide()) else { continue };
                    let (least, most) = (short(wide.least), short(wide.most));
                    writeln!(f, "- {}, {name}, {}: {least} to {most}", way.name(), metric.name())?;
                }
            }
        }
        Ok(())
    }
}

fn method(Amounts { mib, idle, handshakes, .. }: Amounts) -> String {
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
