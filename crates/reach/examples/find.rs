//! Searches with a bundle, and shows what was found:
//!
//! ```text
//! cargo run -p reach --example find -- BUNDLE SIGNER [loud|quiet] [tcp|udp|both]
//! ```

use std::time::SystemTime;

use reach::{Event, Mode, Options, RawSocket, Search, Targets};
use wire::bundle::Bundle;

#[expect(clippy::print_stdout, reason = "an example")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |at: usize| args.get(at).map(String::as_str);
    let text = std::fs::read_to_string(arg(0).ok_or("which bundle?")?)?;
    let signer = arg(1).ok_or("whose?")?.parse()?;
    let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    let mut options = match arg(2) {
        Some("loud") => {
            Options { is_enrolled: true, raw: RawSocket::open().ok(), ..Options::loud() }
        }
        _ => Options::default(),
    };
    if let Some(transport) = arg(3).and_then(|it| it.parse().ok()) {
        options.transports = vec![transport];
    }
    options.stays = options.mode == Mode::Quiet;
    let bundle = Bundle::open(&text, &[signer], now)?;
    let (search, events) = Search::start(Targets::new(&bundle), options)?;
    for event in events {
        match event {
            Event::Finding(it) if !it.verdict.is_silence() && it.verdict.name() != "refused" => {
                println!("{:?} {:?} {}: {}", it.at, it.spot, it.shape, it.verdict);
            }
            Event::Confirmed(it) => println!("{:?} {:?}: {}", it.at, it.spot, it.verdict),
            Event::Swept { at } => println!("{at:?} all tried"),
            _ => {}
        }
    }
    let map = search.join();
    let receipts = map.findings.iter().filter(|finding| finding.receipt.is_some()).count();
    println!("{:?}, {:?}, {receipts} receipts, lossy: {}", map.took, map.counts(), map.is_lossy);
    Ok(())
}
