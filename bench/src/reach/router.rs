//! What a search leaves in the table of a home's router, which has room for a few thousand entries.

use lab::Result;

use super::ours::Searcher;
use super::page::{Page, Table};
use super::scene::Scene;
use super::{Rivals, TCP, UDP};
use crate::report::Limit;
use crate::tell;

/// How long a quiet search is watched: its first ports, and those that follow.
const MINUTES: &str = "3";
const OURS: &str = "jaryq, quiet, for 3 minutes";
const PEAK: &str = "live entries, at most";
const REFUSED: &str = "packets for which there was no room";

pub(super) fn measure(scene: &Scene, rivals: &Rivals, page: &mut Page) -> Result {
    let mut table = Table::default();
    scene.only(TCP, UDP)?;
    tell(OURS);
    let watch = scene.home.watch()?;
    let refused = scene.home.refused()?;
    let searcher = Searcher { from: &scene.at_home, ..Searcher::of(scene) };
    searcher.search(&["--minutes", MINUTES, "--enough", "0"])?;
    table.add(OURS, PEAK, watch.peak() as f64);
    table.add(OURS, REFUSED, (scene.home.refused()? - refused) as f64);
    drop(watch);
    for (rival, program) in rivals.turns(0).into_iter().filter(|(rival, _)| !rival.is_slow()) {
        tell(rival.name());
        let watch = scene.home.watch()?;
        let refused = scene.home.refused()?;
        rival.look(program, &scene.at_home, scene.server())?;
        table.add(rival.name(), PEAK, watch.peak() as f64);
        table.add(rival.name(), REFUSED, (scene.home.refused()? - refused) as f64);
    }
    let peak = table.summary(OURS, PEAK);
    page.goal("quiet: live entries in a home's router", Limit::AtMost(1000.0), "", peak);
    page.section("A home's router", &table);
    Ok(())
}
