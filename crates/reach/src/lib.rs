//! The room that finds the cracks: which ports of our own relays still carry traffic, proven by what
//! only the relay itself can answer. It will dial through them, too.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (text, pinned, now) = (String::new(), [], 0);
//! let bundle = wire::bundle::Bundle::open(&text, &pinned, now)?;
//! let (search, events) = reach::Search::start(reach::Targets::new(&bundle), reach::Options::default())?;
//! for event in events {
//!     if let reach::Event::Finding(finding) = event {
//!         println!("{:?} {}: {}", finding.spot, finding.shape, finding.verdict);
//!     }
//! }
//! let map = search.join();
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`target`] | what may be probed: nothing that a trusted bundle does not name |
//! | [`order`] | what is tried first: receipts, reports, ports that countries keep for themselves |
//! | [`pace`] | how fast, so that nobody's router or provider is bothered |
//! | `tcp`, `udp`, `raw` | the engines: many dials at once, none of them believed |
//! | `ladder` | 64 KiB both ways, and a minute later |
//! | [`verdict`] | what was met |
//! | [`search`] | the story |
//! | `asking`, `batch`, `deadlines`, `door`, `mail`, `probe`, `stop` | what they share |
//!
//! A port counts as found when the relay has answered a question that nobody else can answer, said
//! that it was reached at this very port, and 64 KiB have gone up and come down. That something
//! accepts a connection means nothing here.

#![forbid(unsafe_code)]

mod asking;
mod batch;
mod deadlines;
mod door;
mod ladder;
mod mail;
pub mod order;
pub mod pace;
#[cfg(test)]
mod peer;
mod probe;
mod raw;
pub mod search;
mod stop;
pub mod target;
mod tcp;
mod udp;
pub mod verdict;

pub use order::{Claim, Order, Report, Source};
pub use raw::RawSocket;
pub use search::{Error, Event, Map, Mode, Options, Search};
pub use target::{Spot, Targets};
pub use verdict::{Finding, Rung, Verdict, Way};
