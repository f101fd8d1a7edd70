//! Where nothing is cut: every port of the relay answers, and a loud search meets its door, which takes
//! 1,024 connections of one source at a time. Somebody else asks the same relay meanwhile.

use std::thread;
use std::time::Duration;

use lab::Result;
use lab::censor::{Censor, Delay};

use super::ours::{Search, Searcher};
use super::page::{Page, Table};
use super::scene::Scene;
use crate::report::Limit;
use crate::tell;
use crate::visit::MIB;

/// How far the relay is, one way; 0 for as near as can be.
const WAYS: [u64; 2] = [0, 100];

const TIME: &str = "time: s";
const MEMORY: &str = "memory at most: MiB";
const ANSWERED: &str = "answered by the relay: % of ports";
const ELSE: &str = "somebody else's first: s";

/// Nearly all of them: a relay leaves alone what other programs of its machine hold.
const NEARLY_ALL: f64 = 99.9;

pub(super) fn measure(scene: &Scene, page: &mut Page) -> Result {
    let mut table = Table::default();
    for way in WAYS {
        for (name, as_root, only) in
            [("TCP", false, "tcp"), ("TCP, raw packets", true, "tcp"), ("UDP", false, "udp")]
        {
            let who = format!("{name}, {} ms", 2 * way);
            tell(&format!("nothing is cut: {who}"));
            scene.provider.remove_gate()?;
            let delay = Delay::of(Duration::from_millis(way));
            let censor = (way > 0).then(|| Censor::on(&scene.provider).piece(delay).start());
            let censor = censor.transpose()?;
            let searcher = Searcher { as_root, ..Searcher::afresh(scene)? };
            let (search, other) = thread::scope(|scope| {
                let other = scope.spawn(|| {
                    // In the middle of it.
                    thread::sleep(Duration::from_millis(700));
                    let other = Searcher { from: &scene.other, ..Searcher::of(scene) };
                    other.search(&["--enough", "1", "--minutes", "1"])
                });
                (searcher.search(&["--loud", "--only", only]), other.join())
            });
            drop(censor);
            let search = search?;
            table.add(&who, ANSWERED, answered(&search));
            table.add(&who, TIME, search.spent.took.as_secs_f64());
            table.add(&who, MEMORY, search.spent.peak / MIB);
            let first = other.ok().and_then(std::result::Result::ok).and_then(|it| it.first);
            match first {
                Some(first) => table.add(&who, ELSE, first.as_secs_f64()),
                None => page.failures.push(format!("{who}: somebody else found nothing")),
            }
            let met = search.said.iter().find(|said| said["event"] == "summary");
            tell(&format!("{who}: {:?}", met.map(|it| it["met"].to_string())));
        }
    }
    let least = table.worst(ANSWERED, f64::min);
    page.goal("nothing is cut: ports that answer", Limit::AtLeast(NEARLY_ALL), " %", least);
    page.section("Nothing is cut", &table);
    Ok(())
}

/// Of all ports but the mail servers'.
fn answered(search: &Search) -> f64 {
    let summary = search.said.iter().find(|said| said["event"] == "summary");
    let verified = summary.and_then(|said| said["met"]["verified"].as_f64()).unwrap_or_default();
    100.0 * verified / 65_534.0
}
