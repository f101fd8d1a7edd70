//! How long it takes to find one key of very many: `cargo run --release -p bench -- keys`.
//!
//! | module | what is in it |
//! |---|---|
//! | `house` | a relay with that many keys, in this process |
//! | `lookup` | first flights, and how long it takes to find their keys |
//! | `flood` | people and garbage from one address, over the network |

mod flood;
mod house;
mod lookup;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use wire::derive::KeyId;

use crate::machine;

use house::House;
use lookup::{Form, Times};

/// What the measurement of keys takes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// How many keys the relay has
    #[arg(long, default_value_t = 100_000)]
    keys: u64,

    /// How many people's keys are looked for, in each way
    #[arg(long, default_value_t = 5_000)]
    people: usize,

    /// How many first flights a second the flood brings
    #[arg(long, default_value_t = 10_000)]
    flood: u32,

    /// How long the flood lasts, in seconds
    #[arg(long, default_value_t = 20)]
    seconds: u32,

    /// Write the report to this file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    ensure!(options.people >= 5_000, "a carrier's address has 5,000 people behind it");
    ensure!(options.people as u64 <= options.keys / 4, "there are too few keys for so many people");
    let load = machine::load_average();
    let mut page = String::new();
    let house = House::new(options.keys)?;
    writeln!(page, "# One key among {}\n", options.keys)?;
    writeln!(page, "Made by `cargo run --release -p bench -- keys` on {}.\n", machine::today())?;

    // Not the oldest keys: those stand first in their buckets.
    let apart = house.ids.len() / options.people;
    let people: Vec<KeyId> = house.ids.iter().step_by(apart).copied().collect();
    let people = &people[..];
    let mut rows = Vec::new();
    for form in Form::ALL {
        rows.push((format!("its bucket's port, {form}"), lookup::by_port(&house, people, form)?));
    }
    rows.push(("its bucket's label, ee".to_owned(), lookup::by_label(&house, people)?));
    for form in [Form::Padded, Form::FakeTls] {
        for address in lookup::ADDRESSES {
            let times = lookup::recent(&house, &people[..address.people], address, form)?;
            rows.push((format!("{}, {form}", address.name), times));
        }
    }
    for form in [Form::Padded, Form::FakeTls] {
        rows.push((format!("nothing: all keys, {form}"), lookup::of_all(&house, form)?));
    }
    table(&mut page, &rows)?;
    changes(&mut page, &house)?;
    let flooded = flood::run(
        &house,
        options.people,
        options.flood,
        Duration::from_secs(options.seconds.into()),
    )?;
    writeln!(page, "{flooded}")?;
    writeln!(
        page,
        "- Machine: {}; its load was {load} before and {} after.",
        machine::describe(),
        machine::load_average()
    )?;
    page.push_str(METHOD);
    Ok(page)
}

fn table(page: &mut String, rows: &[(String, Times)]) -> anyhow::Result<()> {
    writeln!(page, "| what leads to the key | found at once | median | 99 % | longest |")?;
    writeln!(page, "|---|--:|--:|--:|--:|")?;
    for (name, times) in rows {
        let (found, micros) = (times.found_at_once(), |at| micros(times.within(at)));
        writeln!(page, "| {name} | {found} | {} | {} | {} |", micros(50), micros(99), micros(100))?;
    }
    Ok(())
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

/// What it costs to have the keys, and to change one.
fn changes(page: &mut String, house: &House) -> anyhow::Result<()> {
    let (mut one, mut keys) = (Times::default(), house.ids.clone());
    for _ in 0..20 {
        let last = keys.pop().into_iter().collect::<Vec<_>>();
        for with in [&last[..0], &last] {
            let now = [&keys[..], with].concat();
            let start = Instant::now();
            house.set_keys(&now);
            one.add(start.elapsed());
        }
    }
    let (all, bytes) = (house.filled_in, house.memory / house.ids.len() as f64);
    writeln!(page, "\n- All keys are derived in {} ms.", all.as_millis())?;
    writeln!(
        page,
        "- One key more or less takes {:.1} ms in the median, {:.1} at most; nobody is stopped by it.",
        one.within(50).as_secs_f64() * 1e3,
        one.within(100).as_secs_f64() * 1e3
    )?;
    writeln!(page, "- A key takes {bytes:.0} bytes of memory.")?;
    Ok(())
}

const METHOD: &str = "
## How

- The relay is in this process. What is timed is what a connection does from its first flight on until \
its key is known: judge the bytes, look where hints lead, try keys one by one, remember the address. \
The network and what follows are not in it, \
and nothing that a busy machine does in between: it is the thread's own CPU time.
- A hint is followed from an address that was never seen before.
- An ee hello has about 1.5 KiB, with a hybrid key share, as the apps' of today. A trial takes as long as \
its hello.
- Household: four people behind one address, each equally likely to come next. Carrier: 5,000 people \
behind one address. With blocks of ports, each of them always comes from the same twelve ports or near \
them, as carriers give them out; with ports at random, an app opens six connections, and those of twenty \
others come in between. Nobody of them has a hint. Who is not found at once waits for the trial.
- All keys: what it would take to try every one; the relay does that only in turns, a tenth of a core's time.
- Flood: everything comes over this machine's network to a relay with two threads, in the same process and \
on the same cores as the flood and the people. By turns 64 random bytes and an app's hello with a random \
proof, each to the port of another bucket. A person is through when the fake-TLS relay or the datacentre \
answers.
";
