//! Everything that we carry, beside everything that carries the same.

use std::fmt::{self, Display, Formatter};

use super::table::{self, Against, Goal, Limit};
use super::{Report, interval};
use crate::accept;
use crate::figures::{Metric, Of, Summary};
use crate::load::CLIENTS;
use crate::relay::Relay;
use crate::rounds::{Comparison, FEW_ROUNDS};
use crate::subject::{OURS, SPLICE};
use crate::visit::{ALONE, Amounts, FIRST_BYTES, STALLED, STREAMS};
use crate::way::Way;

/// What every proxy's CPU is compared with.
const FLOOR: Of = (Way::Forward, SPLICE);
const AGAINST: Against = Against { floor: FLOOR, metrics: &[Metric::DownCpu, Metric::UpCpu] };
const MB_PER_MIB: f64 = 1.048_576;

/// The tables, and their columns.
const TABLES: [(&str, &[Metric]); 3] = [
    ("Carrying", &[Metric::DownCpu, Metric::DownRate, Metric::UpCpu, Metric::UpRate]),
    (
        "Connecting",
        &[Metric::HandshakeCpu, Metric::HandshakeRate, Metric::FirstByte, Metric::Start],
    ),
    (
        "Memory",
        &[
            Metric::Base,
            Metric::Idle,
            Metric::Stalled,
            Metric::StalledPipes,
            Metric::StalledSockets,
        ],
    ),
];

impl Display for Report<'_, Relay> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { options, subjects, load, .. } = self;
        super::head(f, "What a relay costs, side by side", Relay::NAME, load)?;
        super::subjects(f, subjects, &self.missing)?;
        writeln!(
            f,
            "\nMedians of {} rounds (rivals: of {}; memory: of {}); in brackets, where the true median lies with a \
             certainty of 95 %, or all samples where they are fewer than six. ↑: more is better; \
             elsewhere, less is. **×** is how many times {SPLICE}, compared round by round.",
            options.rounds(),
            options.rival_rounds(),
            options.rounds().min(FEW_ROUNDS)
        )?;
        table::goals(f, &self.all_goals())?;
        for (title, metrics) in TABLES {
            self.table(f, title, metrics, &AGAINST)?;
        }
        self.accepting(f)?;
        write!(f, "{}", method(options.amounts(), options.accepts()))?;
        super::settings(f, subjects)?;
        super::failures(f, &self.failures)
    }
}

impl Report<'_, Relay> {
    fn all_goals(&self) -> Vec<Goal> {
        let ours = |way, metric| self.figures.summary((way, OURS), metric);
        let mut goals = Vec::new();
        let mut goal = |measure: String, limit, unit, reached| {
            goals.push(Goal { measure, limit: Limit::AtMost(limit), unit, reached });
        };
        for (way, limit) in
            [(Way::Socks5, 0.75), (Way::Connect, 0.75), (Way::Padded, 1.0), (Way::FakeTls, 2.0)]
        {
            let ratio = self.figures.ratio((way, OURS), FLOOR, Metric::DownCpu);
            goal(format!("download: CPU, {}", way.name()), limit, "×", ratio);
        }
        for (way, limit) in [(Way::FakeTls, 0.2), (Way::Padded, 0.08)] {
            let spent = ours(way, Metric::HandshakeCpu);
            goal(format!("handshake: CPU, {}", way.name()), limit, " ms", spent);
        }
        for (way, limit) in [(Way::Padded, 2.5), (Way::Socks5, 2.5), (Way::FakeTls, 4.0)] {
            let kept = ours(way, Metric::Idle);
            goal(format!("memory per idle connection, {}", way.name()), limit, " KiB", kept);
        }
        let accepting = (accept::WAY, accept::ALL);
        let ratio = self.figures.ratio(accepting, (accept::WAY, accept::ONE), Metric::AcceptAll);
        goal("accepting on all ports: CPU, against one listener".to_owned(), 1.05, "×", ratio);
        let megabytes = |summary: Summary| summary.times(MB_PER_MIB);
        let base = ours(Way::Padded, Metric::Base).map(megabytes);
        goal("memory at rest".to_owned(), 12.0, " MB", base);
        goal("start until it answers".to_owned(), 300.0, " ms", ours(Way::Padded, Metric::Start));
        for way in [Way::Padded, Way::FakeTls, Way::Socks5] {
            let kept = ours(way, Metric::Stalled).map(megabytes);
            let measure = format!("memory with {STALLED} readers that stall, {}", way.name());
            goal(measure, 64.0, " MB", kept);
        }
        let late = ours(Way::Padded, Metric::FirstByte);
        goal("first byte, later than direct, dd".to_owned(), 0.3, " ms", late);
        goals
    }

    fn accepting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n## Accepting on all ports\n\n| | {} | {} | × one listener |\n|---|--:|--:|--:|",
            Metric::AcceptCpu.name(),
            Metric::AcceptAll.name()
        )?;
        for name in [accept::ONE, accept::ALL, accept::REDIRECT] {
            let of = (accept::WAY, name);
            let shown = |metric| {
                self.figures.summary(of, metric).map_or_else(|| "failed".to_owned(), interval)
            };
            let one = (accept::WAY, accept::ONE);
            let ratio = self.figures.ratio(of, one, Metric::AcceptAll).map(interval);
            writeln!(
                f,
                "| {name} | {} | {} | {} |",
                shown(Metric::AcceptCpu),
                shown(Metric::AcceptAll),
                ratio.unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

fn method(Amounts { mib, idle, handshakes, .. }: Amounts, accepts: usize) -> String {
    format!(
        "
## How

- User, server and Telegram are network namespaces with a router between them; the proxy runs alone \
on the server. All end at the same datacentre of the load tool, which speaks Telegram's obfuscation \
whatever way leads to it; `{ALONE}` is the user that goes there without any. haproxy forwards a port to \
it and speaks no protocol, so it is the floor: what any proxy of TCP costs. shadowsocks-libev is \
measured at its server alone; its client runs beside the user.
- In every round every way of every proxy that takes part has its turn, and in the next round in the other order. Each \
is started afresh for its speed, for its memory and for readers that stall.
- CPU is user and system time of the proxy's process and its children, by the kernel's clock for it. \
The kernel bills the work of receiving to whoever is running, so a part of a proxy's is billed to the \
user and the datacentre, and of theirs to the proxy: alike for all. dante ends and begins children \
as it goes, and what those spent that ended is missing.
- Download, upload: {STREAMS} connections at once, {mib} MiB together, in pieces of 256 KiB. The first \
MiB of each is checked by the other side, the rest is counted. Uploads in ee come in records of 2,878 \
bytes, as from the apps.
- Handshake: connect, log in, one ping through to the datacentre and back, close; {handshakes} times, \
by {CLIENTS} clients, after 100 that are not counted.
- First byte: from the call that connects until the answer to the first ping is read, one connection \
at a time, in turns with connections that go straight to the datacentre; the difference of the \
medians of {FIRST_BYTES} each.
- Memory: PSS of the process and its children from `smaps_rollup`. At rest: 2 s after the first ping. \
Per idle connection: what {idle} connections add, each pinged once, 2 s after the last. The kernel's \
memory for sockets is not in it; it is the same for all.
- Readers that stall: {STALLED} connections ask for 1 GiB each and read nothing; 4 s later. Memory is \
all of the process's, as above; beside it, what its pipes can hold at most, and what the kernel keeps \
in the server's TCP sockets (`ss -tm`).
- Start: from the call that starts the program until a ping through it is answered. Ours has its keys \
from an earlier start.
- Accepting: {accepts} connections by {CLIENTS} clients that say nothing, to one port or to ports from \
2,000 to 61,999 in turn. The kernel steers a packet to its port at the expense of whoever sent it, so \
what counts is what relay and user spend together. `nft redirect` is the usual way to have all ports; \
TPROXY needs a listener that asks for it, and none here does.

## Limits

- One user, one address, a local network without loss or delay; a shared machine. Ratios are worth \
more than figures.
- Programs that are not packaged for the machine are measured only where they were given.
"
    )
}
