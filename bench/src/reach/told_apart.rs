//! Borders that let something begin and then stop it: is each told from the others, and at what cost?

use lab::Result;
use lab::censor::{Censor, Freeze, HandshakeOnly, NoServerHello, Piece, Way};
use serde_json::Value;

use super::ours::Searcher;
use super::page::{Page, Table};
use super::scene::{FEW, Scene};
use crate::report::Limit;
use crate::tell;

const RIGHT: &str = "told apart: % of candidates";
const KILOBYTES: &str = "kB a candidate, at most";
const SECONDS: &str = "s a candidate, at most";

/// A border, and what is to be said of what.
struct Border {
    name: &'static str,
    piece: Box<dyn Piece>,
    /// Whether it harms what looks like TLS alone.
    tls_only: bool,
    is_right: fn(&Value) -> bool,
}

fn borders() -> Vec<Border> {
    let border =
        |name, piece: Box<dyn Piece>, is_right| Border { name, piece, tls_only: false, is_right };
    let handshake: fn(&Value) -> bool = |said| said["verdict"] == "handshake-only";
    vec![
        border("nothing", Box::new(Freeze::after(1 << 40)), |said| said["verdict"] == "verified"),
        border("stops after 16 KiB down", Box::new(Freeze::after(16 << 10).of(Way::In)), |said| {
            is_frozen(said, "down_kib", 16)
        }),
        border("stops after 32 KiB down", Box::new(Freeze::after(32 << 10).of(Way::In)), |said| {
            is_frozen(said, "down_kib", 32)
        }),
        border("stops after 16 KiB up", Box::new(Freeze::after(16 << 10).of(Way::Out)), |said| {
            is_frozen(said, "up_kib", 16)
        }),
        border("handshake, and nothing comes back", Box::new(HandshakeOnly::new()), handshake),
        border(
            "handshake, and nothing passes",
            Box::new(HandshakeOnly::new().both_ways()),
            handshake,
        ),
        Border {
            name: "the ServerHello never comes",
            piece: Box::new(NoServerHello::new()),
            tls_only: true,
            is_right: |said| said["verdict"] == "mute",
        },
    ]
}

/// Whether it froze in this direction, where it was to. A border counts what was said, and some of
/// that is dress: text for bytes, and headers.
fn is_frozen(said: &Value, way: &str, after: u64) -> bool {
    let kib = said[way].as_u64();
    said["verdict"] == "frozen" && kib.is_some_and(|kib| (after / 4..=after).contains(&kib))
}

pub(super) fn measure(scene: &Scene, rounds: usize, page: &mut Page) -> Result {
    let mut table = Table::default();
    scene.provider.remove_gate()?;
    for round in 0..rounds {
        for Border { name, piece, tls_only, is_right } in borders() {
            tell(&format!("round {} of {rounds}: {name}", round + 1));
            let censor = Censor::on(&scene.provider).pieces(vec![piece]).start()?;
            let searcher = Searcher { relay: FEW, ..Searcher::of(scene) };
            let search = searcher.search(&["--only", "tcp", "--enough", "0", "--minutes", "1"])?;
            drop(censor);
            let told: Vec<&Value> = search
                .said
                .iter()
                .filter(|said| said["event"] == "candidate")
                .filter(|said| !tls_only || said["shape"] == "tls")
                .collect();
            if told.is_empty() {
                page.failures.push(format!("{name}: nothing was said"));
                continue;
            }
            let right = told.iter().filter(|said| is_right(said)).count();
            table.add(name, RIGHT, 100.0 * right as f64 / told.len() as f64);
            for wrong in told.iter().filter(|said| !is_right(said)) {
                page.failures.push(format!("{name}: {wrong}"));
            }
            let most = |what: &str| told.iter().filter_map(|said| said[what].as_u64()).max();
            table.add(name, KILOBYTES, most("bytes").unwrap_or_default() as f64 / 1e3);
            table.add(name, SECONDS, most("took_ms").unwrap_or_default() as f64 / 1e3);
        }
    }
    page.goal("borders told apart", Limit::AtLeast(100.0), " %", table.worst(RIGHT, f64::min));
    page.goal(
        "the same: a candidate",
        Limit::AtMost(200.0),
        " kB",
        table.worst(KILOBYTES, f64::max),
    );
    page.section("Borders that let something begin", &table);
    Ok(())
}
