//! Where packets are lost, and where the machine has better things to do.

use std::process::{Child, Command, Stdio};

use lab::censor::{Censor, Loss, Only};
use lab::{Host, Result};
use wire::echo::Transport;

use super::ours::{Search, Searcher};
use super::page::{Page, Table};
use super::scene::Scene;
use super::{TCP, UDP};
use crate::process::Tree;
use crate::report::Limit;
use crate::tell;
use crate::visit::MIB;

/// How many programs that do nothing but run, for two cores.
const LOOPS: usize = 4;

const LOSS: &str = "one packet of ten is lost, each way";
const BUSY: &str = "four busy loops beside it";

const SHARE: &str = "found: % of open ports";
const FALSE: &str = "said to be open and are not";
const TIME: &str = "time: s";
const MEMORY: &str = "memory at most: MiB";

/// So many seeds of loss, and so many rounds of business.
pub(super) fn measure(scene: &Scene, seeds: u64, rounds: usize, page: &mut Page) -> Result {
    let mut table = Table::default();
    for seed in 0..seeds {
        tell(&format!("seed {} of {seeds}: {LOSS}", seed + 1));
        scene.provider.remove_gate()?;
        let censor = Censor::on(&scene.provider).piece(Only::tcp(TCP).udp(UDP));
        let censor = censor.piece(Loss::of(0.1)).seed(seed).start()?;
        add(&mut table, LOSS, &Searcher::afresh(scene)?.search(&["--loud"])?);
        drop(censor);
    }
    for round in 0..rounds {
        tell(&format!("round {} of {rounds}: {BUSY}", round + 1));
        scene.only(TCP, UDP)?;
        let loops = Loops::start(&scene.user)?;
        add(&mut table, BUSY, &Searcher::afresh(scene)?.search(&["--loud"])?);
        drop(loops);
    }
    // Not the median, since what is asked for is all of them.
    for (who, least) in [(LOSS, 99.9), (BUSY, 100.0)] {
        let share = table.mean(who, SHARE);
        page.goal(&format!("{who}: open ports found"), Limit::AtLeast(least), " %", share);
    }
    let peak = table.worst(MEMORY, f64::max);
    page.goal("the same, the most memory that a search took", Limit::AtMost(64.0), " MiB", peak);
    page.section("Rough conditions", &table);
    Ok(())
}

fn add(table: &mut Table, who: &str, search: &Search) {
    let all = TCP.map(|port| (Transport::Tcp, port));
    let all: Vec<_> = all.into_iter().chain(UDP.map(|port| (Transport::Udp, port))).collect();
    let right = search.cracks.iter().filter(|crack| all.contains(crack)).count();
    table.add(who, SHARE, 100.0 * right as f64 / all.len() as f64);
    table.add(who, FALSE, (search.cracks.len() - right) as f64);
    table.add(who, TIME, search.spent.took.as_secs_f64());
    table.add(who, MEMORY, search.spent.peak / MIB);
    for (transport, port) in all.iter().filter(|open| !search.cracks.contains(open)) {
        let seen = search.verdicts(*transport, *port).join(", ");
        tell(&format!("missed: {transport} {port}, which met {seen}"));
    }
}

/// Programs that only use the processor, until this is dropped.
struct Loops(Vec<Child>);

impl Loops {
    fn start(host: &Host) -> Result<Self> {
        let one = |_| {
            let mut command = Command::new("sh");
            command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
            host.spawn(command)
        };
        (0..LOOPS).map(one).collect::<Result<_>>().map(Self)
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        for child in &mut self.0 {
            Tree::of(child).kill();
            let _ = child.wait();
        }
    }
}
