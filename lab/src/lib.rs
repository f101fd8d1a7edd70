//! A country in a box: networks, Telegram, a volunteer's server and people with phones, all on one
//! machine, each in a network namespace of its own. What runs in it is real: the kernel's own TCP,
//! the real `jaryq`, the client library of Telegram's own apps.
//!
//! ```no_run
//! use lab::{Blockade, Relay, country, tdlib};
//!
//! fn a_person_inside_gets_through() -> lab::Result {
//!     country(|lab| {
//!         let world = Blockade::new(lab)?;
//!         let relay = Relay::on(&world.server).ports("443,8443").start()?;
//!         tdlib::ping_all(&world.phone, relay.key()?.links)
//!     })
//! }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | `lab`, `network`, `host` | the world: networks, hosts, and code and programs that run on them |
//! | `node`, `namespace`, `warden` | what they are made of: namespaces, links and routes, and their end |
//! | [`censor`] | what stands on a network's border and harms what passes: a row of pieces |
//! | `clock` | the time of day, which can run faster than ours |
//! | `scene` | [`Blockade`], a small world that many tests begin with; [`BlockedSite`] |
//! | [`world`] | a larger one: providers, homes behind NAT, shutdowns, and what is abroad |
//! | [`telegram`] | every datacentre on its real addresses; it answers, refuses, hangs or vanishes |
//! | [`website`] | what a relay hides behind |
//! | `authority` | who vouches for a certificate |
//! | [`relay`] | the real `jaryq`: start it, make and revoke keys, signal it, kill it |
//! | [`hub`] | the real `jaryq hub`: start it, ask it, kill it |
//! | [`tdlib`] | the real client, which takes links as they were printed |
//! | [`browser`] | Chromium and Firefox, which take a proxy as it was printed, or by a PAC file |
//! | [`scrape`] | what a relay tells Prometheus |
//! | [`bridge`] | Chromium, which opens a bridge page and plays the app behind it |
//! | [`names`] | a name server that changes its mind |
//! | `zone` | a name server with a zone that can be changed |
//! | [`socks`] | a SOCKS5 client that asks for anything |
//! | [`echo`] | somebody who says again what is said to them |
//! | [`forwarder`] | a plain TCP forwarder, to compare a relay with |
//! | [`client`] | a client that does what no app can be made to do |
//! | [`phone`] | somebody with a small phone, who sets up their apps by a page |
//! | [`http`] | the little of HTTP that a test's own server needs |
//! | [`flood`] | first flights that no key opens, by the thousand, and people among them |
//! | `channel`, `message`, `pattern` | what the client and the datacentres of the lab say to each other |
//! | `script` | the lab's own Python programs, which drive the real clients |
//! | `tools` | what is used of the machine; a test that needs what is missing is skipped |
//!
//! Nothing leads out of a lab, and nothing of it stays: its namespaces have no names, its programs
//! are ended and its folder is removed when it is dropped, and no less when its process is killed.

#![forbid(unsafe_code)]

mod authority;
pub mod bridge;
pub mod browser;
pub mod censor;
mod channel;
pub mod client;
mod clock;
pub mod echo;
mod error;
mod files;
pub mod flood;
pub mod forwarder;
mod host;
pub mod http;
pub mod hub;
mod lab;
mod message;
pub mod names;
mod namespace;
mod network;
mod node;
mod pattern;
pub mod phone;
pub mod relay;
mod scene;
pub mod scrape;
mod script;
pub mod socks;
pub mod tdlib;
pub mod telegram;
mod tools;
mod warden;
pub mod website;
pub mod world;
mod zone;

/// What stands in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use authority::Authority;
pub use clock::Clock;
pub use error::{Error, Result};
pub use files::files;
pub use forwarder::Forwarder;
pub use host::{Host, Task};
pub use hub::Hub;
pub use lab::{Lab, country};
pub use names::NameServer;
pub use network::Network;
pub use relay::Relay;
pub use scene::{Blockade, BlockedSite};
pub use telegram::Telegram;
pub use tools::need;
pub use website::Website;
pub use world::{Abroad, Gate, Home, Nat, Ports, Provider};
pub use zone::Zone;
