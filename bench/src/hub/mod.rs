//! What a hub can do: hand-outs and refreshes for each second of its processors' time, how long people
//! wait, what a million of them take, and how long it takes to seat those whose endpoints are blocked.
//!
//! | module | what is in it |
//! |---|---|
//! | `server` | the hub, in a process of its own: only its CPU time counts |
//! | `load` | people at the door, over loopback |

mod load;
mod server;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::figures::Summary;
use crate::machine;
use crate::process::Tree;
use crate::report::{Goal, Limit, goals, head};
use crate::tell;
use crate::visit::MIB;

use load::{Load, What};

/// How many people lose their seats at a time.
const BLOCKED: u64 = 12_500;
/// Half of as many hand-outs a second as are to be had for a second of CPU time.
const USUAL: f64 = 7_500.0;

/// What the measurement takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// How often loads are measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// How long each of them lasts, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,

    /// How many connections bring it
    #[arg(long, default_value_t = 128)]
    connections: usize,

    /// How many people there are in the end
    #[arg(long, default_value_t = 1_000_000)]
    people: u64,

    /// How many relays, each with 256 ports and room for 10,000 people
    #[arg(long, default_value_t = 400)]
    relays: u32,

    /// Where the journal is kept meanwhile
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,

    /// Be the hub, in this folder
    #[arg(long, hide = true, value_name = "FOLDER")]
    serve: Option<PathBuf>,

    /// Write the report to this file
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results/hub.md"))]
    pub(crate) write: Option<PathBuf>,
}

impl Options {
    /// Whether this is the hub's process.
    pub(crate) fn is_server(&self) -> bool {
        self.serve.is_some()
    }
}

/// The hub's process.
struct Hub {
    process: Child,
    tree: Tree,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
    port: u16,
    token: String,
    /// How long it took to read its journal, in seconds.
    replayed: f64,
}

impl Hub {
    fn start(options: &Options, dir: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["hub", "--relays", &options.relays.to_string(), "--serve"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (say, hear) = (process.stdin.take(), process.stdout.take());
        let (say, hear) = (say.context("no input")?, hear.context("no output")?);
        let tree = Tree::of(&process);
        let hear = BufReader::new(hear);
        let mut hub =
            Self { process, tree, say, hear, port: 0, token: String::new(), replayed: 0.0 };
        let ready = hub.answer()?;
        let [port, token, replayed] = &ready[..] else { anyhow::bail!("the hub is not ready") };
        (hub.port, hub.token, hub.replayed) = (port.parse()?, token.clone(), replayed.parse()?);
        Ok(hub)
    }

    fn answer(&mut self) -> anyhow::Result<Vec<String>> {
        let mut line = String::new();
        ensure!(self.hear.read_line(&mut line)? > 0, "the hub has ended");
        Ok(line.split_whitespace().map(str::to_owned).collect())
    }

    fn ask(&mut self, command: &str) -> anyhow::Result<Vec<f64>> {
        writeln!(self.say, "{command}")?;
        self.answer()?.iter().map(|word| Ok(word.parse()?)).collect()
    }

    /// A load; how many answers there were for each second of the hub's CPU time, how many in a second,
    /// and the share of them that came within so many milliseconds.
    fn load(&self, options: &Options, what: What, rate: Option<f64>) -> anyhow::Result<Measured> {
        let load = Load {
            port: self.port,
            token: self.token.clone(),
            connections: options.connections,
            lasts: Duration::from_secs(options.seconds),
            rate,
        };
        let (cpu, began) = (self.tree.cpu()?, Instant::now());
        let mut times = load.run(what)?;
        let (took, cpu) = (began.elapsed(), self.tree.cpu()? - cpu);
        let answers = times.latencies.len() as f64;
        Ok(Measured {
            each_cpu: answers / cpu.as_secs_f64(),
            each_second: answers / took.as_secs_f64(),
            middle: times.within(50),
            late: times.within(99),
            bytes: times.bytes,
        })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a load came to.
struct Measured {
    each_cpu: f64,
    each_second: f64,
    /// Milliseconds within which half of the answers came, and 99 of 100.
    middle: f64,
    late: f64,
    bytes: usize,
}

/// Measures everything; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    if let Some(dir) = &options.serve {
        server::serve(dir, options.relays)?;
        return Ok(String::new());
    }
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = dir.join(format!("jaryq-bench-hub-{}", std::process::id()));
    let page = measure(options, &dir);
    let _ = std::fs::remove_dir_all(&dir);
    page
}

/// What one round gives.
#[derive(Default)]
struct Figures {
    handouts: Vec<f64>,
    handouts_second: Vec<f64>,
    middle: Vec<f64>,
    late: Vec<f64>,
    usual: Vec<f64>,
    refreshes: Vec<f64>,
    refreshes_second: Vec<f64>,
    refresh_bytes: usize,
    memory: Vec<f64>,
}

fn measure(options: &Options, dir: &Path) -> anyhow::Result<String> {
    let before = machine::load_average();
    let mut figures = Figures::default();
    let mut started = None;
    for round in 1..=options.rounds {
        tell(&format!("hub: round {round} of {}", options.rounds));
        // Each round brings a million people, and the relays have room for four.
        drop(started.take());
        let folder = dir.join(round.to_string());
        std::fs::create_dir_all(&folder)?;
        let mut hub = Hub::start(options, &folder)?;
        let rest = hub.tree.pss()?;
        let most = hub.load(options, What::Ask, None)?;
        let half = hub.load(options, What::Ask, Some(most.each_second / 2.0))?;
        let usual = hub.load(options, What::Ask, Some(USUAL))?;
        let refreshes = hub.load(options, What::Refresh, None)?;
        figures.handouts.push(most.each_cpu);
        figures.handouts_second.push(most.each_second);
        figures.middle.push(half.middle);
        figures.late.push(half.late);
        figures.usual.push(usual.late);
        figures.refreshes.push(refreshes.each_cpu);
        figures.refreshes_second.push(refreshes.each_second);
        figures.refresh_bytes = figures.refresh_bytes.max(refreshes.bytes);
        let there = hub.ask("fill 0")?;
        // A count.
        #[allow(clippy::cast_possible_truncation)]
        let missing = options.people.saturating_sub(there[0] as u64);
        let filled = hub.ask(&format!("fill {missing}"))?;
        figures.memory.push((hub.tree.pss()? - rest) / filled[0]);
        started = Some((hub, folder, filled, rest));
    }
    let (mut hub, folder, filled, rest) = started.context("no round")?;
    let mut cut = Vec::new();
    for _ in 0..options.rounds {
        cut.push(hub.ask(&format!("block {BLOCKED}"))?);
    }
    let journal = size(&folder)?;
    drop(hub);
    tell("hub: killed, and started again");
    let hub = Hub::start(options, &folder)?;

    let mut page = String::new();
    let after = machine::load_average();
    let shown = std::fmt::from_fn(|f| {
        head(f, "What a hub can do", "hub", &(before.clone(), after.clone()))
    });
    write!(page, "{shown}")?;
    let seconds: Vec<f64> = cut.iter().map(|cut| cut[2]).collect();
    let of = |samples: &[f64]| Summary::of(samples.to_vec());
    let goal = |measure: &str, limit, unit, reached| Goal {
        measure: measure.into(),
        limit,
        unit,
        reached,
    };
    let reached = vec![
        goal(
            "hand-outs for each second of CPU time, journalled",
            Limit::AtLeast(15_000.0),
            "",
            of(&figures.handouts),
        ),
        goal(
            "99 of 100 hand-outs at 7,500 a second within",
            Limit::AtMost(5.0),
            " ms",
            of(&figures.usual),
        ),
        goal("the same at half of what it can do", Limit::AtMost(5.0), " ms", of(&figures.late)),
        goal(
            "refreshes for each second of CPU time",
            Limit::AtLeast(40_000.0),
            "",
            of(&figures.refreshes),
        ),
        goal(
            "a refresh and its answer",
            Limit::AtMost(400.0),
            " bytes",
            of(&[figures.refresh_bytes as f64]),
        ),
        goal("memory for a million people", Limit::AtMost(100.0), " MB", of(&figures.memory)),
        goal("12,500 people seated elsewhere within", Limit::AtMost(5.0), " s", of(&seconds)),
    ];
    write!(page, "{}", std::fmt::from_fn(|f| goals(f, &reached)))?;
    let middle = |samples: &[f64]| of(samples).map_or(f64::NAN, |summary| summary.median);
    writeln!(page, "\n| beside it | hand-outs |\n|---|--:|")?;
    writeln!(
        page,
        "| this, at most, with the load on the same machine | {:.0} a second |",
        middle(&figures.handouts_second)
    )?;
    writeln!(page, "| by hand, January 2022, twenty people | 2,000 a day |")?;
    writeln!(page, "| Lox's open invitations (lox-library 0.3.0) | about 590 a second and core |")?;
    writeln!(
        page,
        "\n- {} people, {} without a seat, on {} relays; {:.0} bytes of memory each, besides {:.0} MiB at rest.",
        filled[0],
        filled[1],
        options.relays,
        middle(&figures.memory),
        rest / MIB
    )?;
    writeln!(
        page,
        "- At half of what it can do, half of the hand-outs came within {:.2} ms. Refreshes: {:.0} a second at most.",
        middle(&figures.middle),
        middle(&figures.refreshes_second)
    )?;
    let last = cut.last().context("no round")?;
    writeln!(
        page,
        "- Of a block of {:.0} endpoints {:.0} people were seated elsewhere.",
        last[0], last[1]
    )?;
    writeln!(
        page,
        "- Killed then, with {:.0} MiB of journal and snapshot: read again in {:.1} s.",
        journal / MIB,
        hub.replayed
    )?;
    page.push_str(METHOD);
    Ok(page)
}

fn size(dir: &Path) -> anyhow::Result<f64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes as f64)
}

const METHOD: &str = "
## How

- The hub is a process of its own: the clerk, its journal on this machine's disk (SQLite, each batch on \
the disk before anybody is answered), and the HTTP listener for doors on the same machine. CPU time is \
that of all its threads, the kernel's share of it included. People are in another process, over \
loopback, on connections that stay open; both have the same cores.
- A hand-out is `POST /v1/ask` for somebody new, with a ticket and a link in the answer. At most: each \
connection asks as soon as it has its answer. Half of that, and 7,500 a second: due at even \
times; one for which no connection was free in time counts from when it was due.
- A refresh is `GET /v1/seats` with a ticket and `If-None-Match`, answered by 304; request and answer \
are counted in bytes, without TCP and TLS.
- Memory is the process's (PSS) with that many people less that of the empty hub with its relays.
- Once in as many bytes of journal as the snapshot has, at least 16 MiB, a snapshot is made of \
everything: with 740,000 people nothing is handed out for 27 ms. At half of what it can do, most rounds \
have one; at 7,500 a second it is one in some minutes.
- Relays are on paper: none asks for orders meanwhile.
- Lox: 1.7 ms of a server's CPU time for an open invitation, measured on another, loaded machine. By \
hand: what the volunteers of January 2022 tell.
";
