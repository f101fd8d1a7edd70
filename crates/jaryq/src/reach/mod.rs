//! `jaryq reach`: which ports of a bundle's relays still carry traffic from here.
//!
//! | module | what is in it |
//! |---|---|
//! | `consent` | what a provider can see of it, said before it begins |
//! | `live` | what is said while it goes on |
//! | `seen` | a candidate and what was met there |
//! | `words` | what that means |
//! | `table` | what came of it all, for people |
//! | `receipts` | what relays have signed, in a file |

mod consent;
mod live;
mod receipts;
mod seen;
mod table;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Context;
use nix::unistd::geteuid;
use reach::{Event, Finding, Map, Mode, Options, RawSocket, Search, Spot, Targets, Verdict};
use serde_json::{Value, json};
use wire::bundle::{Bundle, Ports};
use wire::echo::Transport;
use wire::receipt::Receipt;
use wire::signer::PublicKey;
use wire::trusted::Trusted;

use crate::args::ReachArgs;
use crate::ledger::unix;
use crate::print::{Lines, Printer};
use crate::root;
use crate::trust;

use consent::Plan;
use live::{Live, Progress};
use receipts::Receipts;
use seen::{Object, Seen, millis};

/// Whether anything works.
pub(crate) fn run(arguments: &ReachArgs, printer: &Printer) -> anyhow::Result<bool> {
    let pinned = trust::pinned()?;
    let bundle = Bundle::open(&trust::read(&arguments.bundle)?, &pinned, unix())?;
    let mut receipts = receipts_of(arguments)?;
    let mut options = options(arguments, &bundle, receipts.as_ref(), &pinned);
    if options.mode == Mode::Loud {
        options.raw = RawSocket::open().ok();
    }
    let targets = Targets::new(&bundle);
    let plan = plan(&bundle, &options);
    say(&plan, &options, printer);

    if geteuid().is_root()
        && let Some(receipts) = &mut receipts
    {
        receipts.open();
    }
    // From here on strangers' bytes are read, and nothing is done as root.
    root::become_nobody()?;
    let (search, events) = Search::start(targets, options)?;
    end_when_interrupted(&search)?;
    let told = Told::listen(&events, &plan, arguments, printer, receipts.as_mut());
    let map = search.join();
    let found: Vec<Seen> = last(&map.findings).into_iter().map(Seen::from).collect();
    let written = receipts.as_mut().map(Receipts::write).transpose();
    if printer.is_json() {
        printer.object(&summary(&map, &found, &told, arguments.addresses));
    } else {
        let written = written.as_ref().ok().and_then(Option::as_ref);
        let mut lines = table::lines(&found, told.asked, arguments.loud);
        lines.extend(next_steps(&map, &found, &bundle, &arguments.bundle, written));
        lines.iter().for_each(|line| printer.line(wrapped(line)));
    }
    // What was found is said even where it cannot be kept.
    written?;
    Ok(found.iter().any(|seen| seen.verdict.is_crack()))
}

/// Beside the bundle's file, where it has one.
fn receipts_of(arguments: &ReachArgs) -> anyhow::Result<Option<Receipts>> {
    let bundle = Path::new(&arguments.bundle);
    let file = match &arguments.receipts {
        Some(file) => Some(file.clone()),
        None => bundle.is_file().then(|| Receipts::beside(bundle)),
    };
    file.map(Receipts::read).transpose()
}

fn options(
    arguments: &ReachArgs,
    bundle: &Bundle,
    receipts: Option<&Receipts>,
    pinned: &[PublicKey],
) -> Options {
    let mut options = if arguments.loud { Options::loud() } else { Options::default() };
    if let Some(network) = &arguments.network {
        options.network = network.clone();
    }
    if let Some(only) = arguments.only {
        options.transports = vec![only];
    }
    if let Some(enough) = arguments.enough {
        options.enough = (enough > 0).then_some(enough);
    }
    options.stays = !arguments.brief;
    if let Some(minutes) = arguments.minutes {
        options.at_most = Duration::from_secs(60) * minutes;
    }
    let now = unix();
    // One that is worth nothing here may be worth something elsewhere: it stays in the file.
    let good = |bytes: &Vec<u8>| -> Option<Trusted<Receipt>> {
        let receipt = Receipt::open(bytes, pinned, now).ok()?;
        let is_ours = bundle.endpoints.iter().any(|endpoint| receipt.is_of(endpoint));
        is_ours.then_some(receipt)
    };
    options.receipts =
        receipts.iter().flat_map(|receipts| receipts.all()).filter_map(good).collect();
    options
}

fn plan(bundle: &Bundle, options: &Options) -> Plan {
    let each = |ports: &Ports| match ports {
        // Those that are named are only where the relay answered then: the others come later.
        Ports::All | Ports::Quiet | Ports::First(_) => 65_534,
        Ports::List(list) => list.len(),
    };
    let ports: usize = bundle.endpoints.iter().map(|endpoint| each(&endpoint.ports)).sum();
    let sixes = bundle.endpoints.iter().filter(|endpoint| endpoint.v6.is_some()).count();
    Plan {
        relays: bundle.endpoints.len(),
        ports: (ports * options.transports.len()) as u64,
        loud: options.mode == Mode::Loud,
        minutes: options.at_most.as_secs() / 60,
        enough: options.enough,
        receipts: options.receipts.len(),
        dialled: if options.raw.is_some() { sixes } else { 0 },
    }
}

fn say(plan: &Plan, options: &Options, printer: &Printer) {
    let lines = consent::lines(plan);
    if printer.is_json() {
        printer.object(&json!({
            "event": "plan",
            "relays": plan.relays,
            "candidates": plan.ports,
            "loud": plan.loud,
            "network": options.network.to_string(),
            "receipts": plan.receipts,
            "text": lines,
        }));
    } else {
        lines.iter().for_each(|line| printer.line(wrapped(line)));
        printer.line("");
    }
}

/// How soon a second Ctrl-C is still the first one: some programs pass on what came to both.
const TWICE: Duration = Duration::from_secs(1);

/// Ctrl-C ends a search, and what was found is said; a second one ends the program.
fn end_when_interrupted(search: &Search) -> anyhow::Result<()> {
    let stop = search.stopper();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let pressed = async || tokio::signal::ctrl_c().await.is_ok();
                if pressed().await {
                    stop();
                    tokio::time::sleep(TWICE).await;
                }
                if pressed().await {
                    std::process::exit(130);
                }
            });
        })
        .context("cannot wait for Ctrl-C")?;
    Ok(())
}

/// What was heard while it went on.
#[derive(Default)]
struct Told {
    asked: u64,
    /// When the first crack was verified, and how many candidates had been asked then.
    first: Option<(Duration, u64)>,
}

impl Told {
    fn listen(
        events: &Receiver<Event>,
        plan: &Plan,
        arguments: &ReachArgs,
        printer: &Printer,
        mut receipts: Option<&mut Receipts>,
    ) -> Self {
        let mut told = Self::default();
        let mut live = Live::new(printer.is_json());
        let mut works = HashSet::new();
        let mut lines = Lines::default();
        while let Some(event) = next(events, || printer.lines(&mut lines)) {
            match event {
                Event::Started { .. } | Event::Swept { .. } => {}
                Event::Finding(finding) | Event::Confirmed(finding) => {
                    let seen = Seen::from(&finding);
                    if printer.is_json() {
                        lines.add(&seen.object(arguments.addresses));
                    }
                    if lines.is_much() {
                        printer.lines(&mut lines);
                    }
                    if let (Some(receipts), Some(receipt)) = (&mut receipts, &finding.receipt) {
                        receipts.add(receipt);
                    }
                    if seen.verdict.is_crack() {
                        told.first.get_or_insert((seen.at, told.asked));
                        let is_new = works.insert((seen.transport, seen.address.port()));
                        live.found(&seen, is_new);
                    }
                }
                Event::Progress { tried, at, .. } => {
                    told.asked = tried as u64;
                    let progress = Progress {
                        asked: told.asked,
                        of: plan.ports,
                        works: works.len(),
                        time: at,
                    };
                    live.progress(&progress);
                }
            }
        }
        live.end();
        told
    }
}

/// The next event. Before it is waited for, all is said that there is to say.
fn next(events: &Receiver<Event>, say: impl FnOnce()) -> Option<Event> {
    events.try_recv().ok().or_else(|| {
        say();
        events.recv().ok()
    })
}

/// The last word on each candidate: what came later counts, if it says as much; a crack, in whatever
/// shape, is one until it is found dead.
fn last(findings: &[Finding]) -> Vec<&Finding> {
    let mut last = BTreeMap::new();
    for finding in findings {
        let key = |spot: &Spot| (spot.transport(), spot.port(), spot.relay(), spot.address());
        let entry = last.entry(key(&finding.spot)).or_insert(finding);
        let is_dead = matches!(finding.verdict, Verdict::Died { .. });
        let says_less = finding.verdict.is_silence() && !entry.verdict.is_silence();
        let is_kept = entry.verdict.is_crack() && !finding.verdict.is_crack();
        if !(is_kept || says_less) || is_dead {
            *entry = finding;
        }
    }
    last.into_values().collect()
}

/// For programs, the last object.
fn summary(map: &Map, found: &[Seen], told: &Told, addresses: bool) -> Value {
    let cracks = found.iter().filter(|seen| seen.verdict.is_crack());
    let cracks: Vec<Object<'_>> = cracks.map(|seen| seen.object(addresses)).collect();
    let mut met = BTreeMap::<_, u64>::new();
    for seen in found {
        *met.entry(seen.verdict.name()).or_default() += 1;
    }
    json!({
        "event": "summary",
        "cracks": cracks,
        "met": met,
        "asked": told.asked.max(found.len() as u64),
        "asked_before_first": told.first.map(|(_, asked)| asked),
        "first_ms": told.first.map(|(at, _)| millis(at)),
        "took_ms": millis(map.took),
        "whole": map.is_whole,
        "lossy": map.is_lossy,
    })
}

/// What stands below the table: what can be done with it.
fn next_steps(
    map: &Map,
    found: &[Seen],
    bundle: &Bundle,
    from: &str,
    written: Option<&(usize, &Path)>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (crack, others) in map.picky() {
        let of = |finding: &Finding| words::looks_like(finding.shape, finding.spot.transport());
        let failed: Vec<&str> = others.iter().map(|other| of(other)).collect();
        lines.push(format!(
            "\n{} {} carries what looks like {}, and not {}.",
            crack.spot.transport(),
            crack.spot.port(),
            of(crack),
            failed.join(" or ")
        ));
    }
    let opens_telegram = bundle.endpoints.iter().any(|endpoint| endpoint.secret.is_some());
    let is_tcp = |seen: &Seen| seen.verdict.is_crack() && seen.transport == Transport::Tcp;
    if let Some(best) = found.iter().find(|seen| is_tcp(seen)).filter(|_| opens_telegram) {
        let from = if from.contains(char::is_whitespace) || from == "-" { "FILE" } else { from };
        lines.push(format!(
            "\nTelegram through such a port: 'jaryq bundle show {from} --secrets' prints a link. Put a TCP \
             port that works into it, as in port={}, and open it.",
            best.address.port()
        ));
    }
    if let Some((count @ 1.., file)) = written {
        let (what, them) = if *count == 1 { ("A receipt", "it") } else { ("Receipts", "them") };
        lines.push(format!(
            "\n{what} of it: {}. A relay signed which port works, in which network and hour, and nothing \
             of you. Send {them} to whoever gave you the bundle, or to people in the same network.",
            file.display()
        ));
    }
    lines
}

/// Broken where a terminal of the usual width would do it within words; what follows stands below what
/// came first.
fn wrapped(line: &str) -> String {
    const WIDTH: usize = 96;
    let indent = line.find(|letter: char| !matches!(letter, ' ' | '-' | '\n')).unwrap_or(0);
    let is_cells = line.trim_start().contains("  ");
    let indent = " ".repeat(line[..indent].trim_start_matches('\n').chars().count());
    if line.chars().count() <= WIDTH || is_cells {
        return line.to_owned();
    }
    let (mut text, mut width) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if width + length > WIDTH {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&indent);
            width = indent.len();
        }
        text.push_str(word);
        width += word.chars().count();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_between_words_and_goes_on_below_its_own_beginning() {
        let line = format!("  - {}", "word ".repeat(40));
        let text = wrapped(line.trim_end());
        assert!(text.lines().all(|line| line.chars().count() <= 96 && line.starts_with("  ")));
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
        assert_eq!(text.split_whitespace().count(), 41);
        assert_eq!(wrapped("  tcp 179  noise"), "  tcp 179  noise");
    }
}
