//! A relay that is 200 ms away and back: how long until the first crack, quiet and loud.

use std::time::Duration;

use lab::censor::Delay;
use lab::world::Shutdown;
use lab::world::shutdowns::january_2022;
use lab::{Gate, Result};
use wire::echo::Transport;

use super::ours::Searcher;
use super::page::{Page, Table};
use super::scene::Scene;
use crate::figures::Summary;
use crate::report::Limit;
use crate::tell;

/// Half of it.
const WAY: Duration = Duration::from_millis(100);

const JANUARY: &str = "January 2022, quiet";
const ANY_FIVE: &str = "any five TCP ports, loud";

const FIRST: &str = "start to first verified: s";
const ASKED: &str = "asked before";
const ALL: &str = "whole map: s";
const FOUND: &str = "found";

pub(super) fn measure(scene: &Scene, rounds: usize, page: &mut Page) -> Result {
    let mut table = Table::default();
    let mut firsts = Vec::new();
    for round in 0..rounds {
        tell(&format!("round {} of {rounds}: {JANUARY}", round + 1));
        scene.provider.remove_gate()?;
        let shutdown = january_2022().piece(Delay::of(WAY)).on(&scene.provider)?;
        // Until the first, as a person would: the rest of the quiet search takes hours.
        let search = Searcher::of(scene).search(&["--enough", "1"])?;
        drop(shutdown);
        if let Some(first) = search.first {
            firsts.push(first.as_secs_f64());
            table.add(JANUARY, FIRST, first.as_secs_f64());
            table.add(JANUARY, ASKED, search.asked_before as f64);
        } else {
            page.failures.push(format!("{JANUARY}: found nothing"));
        }
        table.add(JANUARY, FOUND, search.cracks.len() as f64);

        tell(&format!("round {} of {rounds}: {ANY_FIVE}", round + 1));
        let five: [u16; 5] = five();
        let shutdown = Shutdown::new().gate(Gate::shut().tcp(five)).piece(Delay::of(WAY));
        let shutdown = shutdown.on(&scene.provider)?;
        let search = Searcher::again(scene).search(&["--loud", "--only", "tcp"])?;
        drop(shutdown);
        if let Some(first) = search.first {
            table.add(ANY_FIVE, FIRST, first.as_secs_f64());
            table.add(ANY_FIVE, ASKED, search.asked_before as f64);
        }
        table.add(ANY_FIVE, ALL, search.spent.took.as_secs_f64());
        let right = five.iter().filter(|port| search.cracks.contains(&(Transport::Tcp, **port)));
        table.add(ANY_FIVE, FOUND, right.count() as f64);
    }
    let quiet = |what| table.summary(JANUARY, what);
    page.goal(&format!("{JANUARY}, 200 ms: first crack"), Limit::AtMost(5.0), " s", quiet(FIRST));
    let latest = quiet(FIRST).map(Summary::at_most);
    page.goal("the same, the slowest of all", Limit::AtMost(10.0), " s", latest);
    page.goal("the same: candidates asked", Limit::AtMost(40.0), "", quiet(ASKED));
    let loud = |what| table.summary(ANY_FIVE, what);
    page.goal(&format!("{ANY_FIVE}, 200 ms: first crack"), Limit::AtMost(4.0), " s", loud(FIRST));
    page.goal(&format!("{ANY_FIVE}, 200 ms: whole map"), Limit::AtMost(8.0), " s", loud(ALL));
    page.goal(&format!("{ANY_FIVE}: found"), Limit::AtLeast(5.0), " of 5", loud(FOUND));
    page.section("A relay far away", &table);
    Ok(())
}

/// Ports that nobody could have guessed.
fn five() -> [u16; 5] {
    let mut five = [0; 5];
    while five.iter().any(|port| *port < 1024) || (1..5).any(|at| five[..at].contains(&five[at])) {
        five = std::array::from_fn(|_| u16::from_be_bytes(wire::random()));
    }
    five
}
