//! How soon a block is noticed, how often what is none, and whether causes are told apart: a
//! simulation of a fleet and its people ([`hub::blocks::replay`]), judged by the product's own code.
//!
//! Nothing is timed and no packet is sent: the same seeds give the same page on every machine.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::ensure;
use hub::blocks::replay::{Fault, Fleet, NETWORKS, Size};
use hub::blocks::{Cause, Seconds, Verdict};
use hub::seats::EndpointId;

use crate::figures::{Summary, within};
use crate::machine;
use crate::report::{Goal, Limit, goals};

const HOUR: Seconds = 3_600;
const WEEK: f64 = 7.0 * 86_400.0;
/// Relays, each of an owner of its own.
const RELAYS: usize = 12;
/// Connections a minute that are expected at a relay's endpoints, at least, by the time of the block;
/// the average is [`MORE`] times as high, and courses of chance with fewer are left out.
const RATES: [f64; 6] = [100.0, 30.0, 10.0, 3.0, 1.0, 0.3];
const MORE: f64 = 1.3;
/// The endpoints of the fleet in which causes are told apart.
const MIXED: [f64; 3] = [20.0, 8.0, 8.0];
/// How long one course of chance is watched after a fault.
const WATCHED: Seconds = 6 * HOUR;

/// What the measurement takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// How many courses of chance
    #[arg(long, default_value_t = 200)]
    seeds: u64,

    /// How many quiet days
    #[arg(long, default_value_t = 30)]
    days: u64,

    /// Write the report to this file
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results/blocks.md"))]
    pub(crate) write: Option<PathBuf>,
}

/// Measures everything; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let mut page = String::from("# How soon a block is noticed\n\n");
    writeln!(page, "Made by `cargo run --release -p bench -- blocks` on {}.\n", machine::today())?;
    let mut reached = Vec::new();
    let delays = delays(options, &mut reached)?;
    let quiet = quiet(options, &mut reached)?;
    let causes = causes(options, &mut reached)?;
    let goals = std::fmt::from_fn(|f| goals(f, &reached));
    writeln!(page, "{goals}\n{delays}\n{quiet}\n{causes}{METHOD}")?;
    Ok(page)
}

fn goal(goals: &mut Vec<Goal>, measure: &str, limit: Limit, unit: &'static str, reached: f64) {
    let reached = Summary::of(vec![reached]);
    goals.push(Goal { measure: measure.to_owned(), limit, unit, reached });
}

/// A fleet at eight in the evening, when as many come as on average.
fn fleet(rates: &[f64]) -> Fleet {
    let mut fleet = Fleet::new(&Size { relays: RELAYS, owned: 1, rates: rates.to_vec() }, 7);
    fleet.run(20 * HOUR);
    fleet
}

/// One course of chance, until an endpoint is retired that is blocked, and how long that took; `None`
/// where too few were expected there.
fn until(
    fleet: &Fleet,
    seed: u64,
    (id, least): (EndpointId, f64),
) -> Option<Option<(Seconds, Verdict)>> {
    let mut fleet = fleet.clone();
    fleet.reseed(seed);
    fleet.run(600);
    let began = fleet.now();
    fleet.blocks.expected(id).filter(|expected| *expected >= least)?;
    fleet.faults.push(Fault::Endpoint(id as usize, None));
    while fleet.now() < began + WATCHED {
        if let Some(verdict) = fleet.step().into_iter().find(|said| said.endpoints.contains(&id)) {
            return Some(Some((fleet.now() - began, verdict)));
        }
    }
    Some(None)
}

fn delays(options: &Options, reached: &mut Vec<Goal>) -> anyhow::Result<String> {
    crate::tell("delays");
    let fleet = fleet(&RATES.map(|rate| rate * MORE));
    let mut text = String::from(
        "## Until an endpoint that is blocked is retired\n\n\
         | connections a minute, expected, at least | courses of chance | median | 99 of 100 within | within 60 s | people to blame at once |\n\
         |--:|--:|--:|--:|--:|--:|\n",
    );
    for (place, rate) in RATES.iter().enumerate() {
        let id = u32::try_from(place)?;
        let told = (0..options.seeds).filter_map(|seed| until(&fleet, seed, (id, *rate)));
        let told: Vec<Option<(Seconds, Verdict)>> = told.collect();
        ensure!(!told.is_empty(), "too few courses of chance");
        let delay =
            |told: &Option<(Seconds, _)>| told.as_ref().map_or(Seconds::MAX, |(delay, _)| *delay);
        let mut delays: Vec<Seconds> = told.iter().map(delay).collect();
        delays.sort_unstable();
        let at = |percent| within(&delays, percent).unwrap_or(Seconds::MAX);
        let all = told.len() as f64 / 100.0;
        let soon = delays.iter().filter(|delay| **delay <= 60).count() as f64 / all;
        let told = told.iter().flatten();
        let blamed = told.filter(|(_, said)| said.is_block()).count() as f64 / all;
        writeln!(
            text,
            "| {rate} | {} | {} | {} | {soon:.1} % | {blamed:.0} % |",
            delays.len(),
            time(at(50)),
            time(at(99))
        )?;
        if *rate >= 30.0 {
            let measure = format!("noticed within 60 s, {rate} a minute");
            goal(reached, &measure, Limit::AtLeast(99.0), "%", soon);
        }
    }
    text.push_str(
        "\n\"To blame at once\": somebody besides the relay has said so by then, that is, people came around \
         by another door; within the minute after, more are.\n",
    );
    Ok(text)
}

fn time(seconds: Seconds) -> String {
    match seconds {
        Seconds::MAX => format!("over {} h", WATCHED / HOUR),
        600.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn quiet(options: &Options, reached: &mut Vec<Goal>) -> anyhow::Result<String> {
    crate::tell("quiet days");
    let mut fleet = Fleet::new(&Size { relays: RELAYS, owned: 1, rates: RATES.to_vec() }, 11);
    let (mut alarms, mut blamed, mut cuts) = ([0_u32; RATES.len()], 0_u32, 0_u32);
    for day in 0..options.days {
        crate::tell(&format!("day {} of {}", day + 1, options.days));
        for verdict in (0..24).flat_map(|_| fleet.run(HOUR)).collect::<Vec<_>>() {
            for id in &verdict.endpoints {
                alarms[*id as usize % RATES.len()] += 1;
            }
            blamed += u32::try_from(if verdict.is_block() { verdict.endpoints.len() } else { 0 })?;
            cuts += u32::from(verdict.endpoints.is_empty());
            fleet.replace(&verdict);
        }
    }
    let weeks = options.days as f64 * 86_400.0 / WEEK * RELAYS as f64;
    let mut text = format!(
        "## {} days without a block\n\n| connections a minute, on average | false alarms per endpoint and week |\n|--:|--:|\n",
        options.days
    );
    let mut worst = 0.0_f64;
    for (rate, alarms) in RATES.iter().zip(alarms) {
        let often = f64::from(alarms) / weeks;
        worst = worst.max(often);
        writeln!(text, "| {rate} | {often:.3} |")?;
    }
    let blamed = f64::from(blamed) / weeks / RATES.len() as f64;
    writeln!(
        text,
        "\nOf these, {blamed:.3} per endpoint and week had people to blame; {cuts} times, a network or the \
         country was said to be cut off."
    )?;
    goal(reached, "false alarms per endpoint and week, worst rate", Limit::AtMost(1.0), "", worst);
    Ok(text)
}

fn causes(options: &Options, reached: &mut Vec<Goal>) -> anyhow::Result<String> {
    crate::tell("causes");
    let fleet = fleet(&MIXED);
    let mut text = String::from(
        "## Told apart\n\n| what happens | the first that is said of it is right | median, s | anything wrong besides, in five minutes |\n\
         |---|--:|--:|--:|\n",
    );
    let is_endpoint = |said: &Verdict| said.cause == Cause::Endpoint(3) && said.network.is_none();
    let is_here =
        |said: &Verdict| said.cause == Cause::Endpoint(3) && said.network == Some(NETWORKS[0].0);
    let is_own =
        |said: &Verdict| !said.is_block() && said.endpoints.iter().all(|id| (3..6).contains(id));
    type Right<'a> = &'a dyn Fn(&Verdict) -> bool;
    let cases: [(&str, Fault, Right<'_>); 10] = [
        ("an endpoint is blocked", Fault::Endpoint(3, None), &is_endpoint),
        ("an endpoint is blocked in one network", Fault::Endpoint(3, Some(0)), &is_here),
        ("an address is blocked", Fault::Address(1), &|said| {
            matches!(said.cause, Cause::Address(_))
        }),
        ("a prefix is blocked", Fault::Prefix(1), &|said| matches!(said.cause, Cause::Prefix(_))),
        ("a relay dies", Fault::Death(1), &|said| said.cause == Cause::Died(1)),
        ("a provider's fault", Fault::Provider(1), &|said| {
            said.cause == Cause::Provider(NETWORKS[1].0)
        }),
        ("a national cut", Fault::Country, &|said| said.cause == Cause::Country),
        ("the hub is cut off", Fault::Deaf, &|said| said.cause == Cause::Hub),
        ("a relay lies that nobody comes", Fault::Lie(1), &is_own),
        ("a relay lies that a thousand times as many come", Fault::Boast(1), &is_own),
    ];
    let seeds = options.seeds.min(100);
    let mut worst = 100.0_f64;
    for (name, fault, is_right) in cases {
        let (mut right, mut wrong, mut delays) = (0_u32, 0_u32, Vec::new());
        for seed in 0..seeds {
            let mut fleet = fleet.clone();
            fleet.reseed(seed);
            fleet.run(600);
            fleet.faults.push(fault);
            let said = fleet.run(300);
            let is_lie = matches!(fault, Fault::Lie(_) | Fault::Boast(_));
            right += u32::from(said.first().map_or(is_lie, is_right));
            wrong += u32::from(said.iter().skip(1).any(|said| !is_right(said)));
            delays.extend(said.first().map(|said| said.noticed.saturating_sub(said.onset)));
        }
        delays.sort_unstable();
        let share = f64::from(right) * 100.0 / seeds as f64;
        worst = worst.min(share);
        let median = delays.get(delays.len() / 2).map_or("–".to_owned(), ToString::to_string);
        writeln!(
            text,
            "| {name} | {share:.0} % | {median} | {:.0} % |",
            f64::from(wrong) * 100.0 / seeds as f64
        )?;
    }
    goal(reached, "causes told apart, the worst", Limit::AtLeast(99.0), "%", worst);
    text.push_str(
        "\nOf a relay that lies, right is: nothing is said, or its own endpoints are retired and nobody is \
         blamed. Address: a verdict on its busiest endpoint may come first.\n",
    );
    Ok(text)
}

const METHOD: &str = "
## How

- Twelve relays of twelve owners, two in a prefix, each with six endpoints (three where causes are told \
apart), and four networks, one of them unknown. Heartbeats, refreshes and people who come around every \
ten seconds; the hub dials what it suspects. 10 % of those who cannot connect come around at once; 2 % of \
connections come from abroad and go on.
- People sleep (0.25 to 1.75 times as many as on average), more come on weekends (1.25), the country has \
moods (10 %) and news twice a day (up to four times as many), each endpoint has moods of its own (20 %, \
minutes long), of 5 % of connections there are two at once (a relay counts each person once in ten seconds), and all grows by 1 % a day.
- Blocks happen at eight in the evening, after twenty hours of learning; only the days without one begin \
with nothing learned. An endpoint that was retired wrongly begins anew.
- All of it is made up: real traffic can be worse than this. What is learned of each endpoint (its level, \
swings and clumps) is there for that.
";
