//! Blocks noticed: which endpoint has gone dark for people inside, and whose doing that is.
//!
//! A block is seen from inside alone: relay and port answer whoever dials from abroad, and people stop
//! coming. So each endpoint is held against all others in the same ten seconds, network by network:
//!
//! ```text
//! expected = its own level × how busy its networks are now, by the other endpoints
//! ```
//!
//! Night, weekends, football and a cut of the whole country move both sides alike and say nothing
//! against one endpoint. The level is learned (gamma-Poisson, an hour's memory, longer where few come);
//! how busy a network is, is the median over five groups of owners, so that no owner can bend it alone.
//!
//! From the moment on from which an endpoint fell behind, what came and what was expected are summed,
//! and the likelihood ratio "10 % are left" to "as ever" is taken (Page's CUSUM, 1954, with the window of
//! Höhle and Paul, "Count data regression charts", 2008; counts are negative binomial as in Lambert and
//! Liu, "Adaptive thresholds", JASA 2006): how much this endpoint's own traffic swings and comes in
//! clumps is learned, and what is not known well (a young level, few others) speaks less loudly.
//! A verdict takes a ratio of 4,000, and more where an endpoint falls behind by chance more than 2,000
//! times a week: by Ville's inequality, chance alone then brings about a false alarm in two weeks at most.
//! Real traffic is no such urn, so what counts is the measured rate (`bench -- blocks`: below one a week).
//!
//! | what went dark | and | verdict |
//! |---|---|---|
//! | one endpoint | dialled from outside, it answers | [`Cause::Endpoint`] |
//! | the same in one network alone | as above | that, with its network |
//! | all endpoints of an address, of several addresses in a /24 or /48 | as above | [`Cause::Address`], [`Cause::Prefix`] |
//! | an endpoint, or a relay's heartbeat | from outside nothing answers | [`Cause::Died`] |
//! | for two minutes, the heartbeat of a relay that nobody sits at | | that, too |
//! | a network, for all owners | others go on | [`Cause::Provider`] |
//! | all networks, for all owners | heartbeats go on | [`Cause::Country`] |
//! | nearly all heartbeats at once | | [`Cause::Hub`] |
//!
//! **A relay's lone word marks nobody.** What a relay counts can only retire its own endpoints. People
//! are to blame for a block ([`Word::Several`]) only if the hub has seen it at its own doors
//! (people seated there come around another way, [`Door::Around`]; two at least, each counts once), or
//! relays of two owners in a prefix say so. A verdict does not wait for that; it may come again,
//! confirmed, within a minute, so until then an endpoint is best left open and not [`Blocks::gone`].
//! Where one sits alone, nobody else can bear it out: their word ([`Word::One`]) speaks against whoever
//! knew it, and less loudly, since it may be their own line that is broken; somebody who sits alone,
//! informs and keeps quiet is seated elsewhere each time and not suspected. One
//! who runs a relay and has two people on it can have the people of its endpoints suspected, as by a real
//! block; a relay that hides a block hides it until people come around and are seated elsewhere one by
//! one.
//!
//! Nothing here asks for the time or touches a network: counts come in with their time, verdicts come
//! out, the same for the same. An endpoint takes about half a KiB a network.
//!
//! What cannot be told: with one relay alone, a block from a country's cut; where less than two thirds
//! of an endpoint's people are cut off, and they are not one network's, anything; blocks of most endpoints of all owners at once from
//! a cut.
//!
//! | module | what is in it |
//! |---|---|
//! | `state` | relays, endpoints, and what is heard of them |
//! | `tick` | ten seconds later: what was expected, what came |
//! | `judge` | whose doing it is |
//! | `cut` | networks and the country |
//! | `measure` | levels, swings, likelihood ratios |
//! | `verdict` | what comes out, in words |
//! | [`replay`] | a fleet that does not exist, for tests and the bench |

mod cut;
mod judge;
mod measure;
pub mod replay;
mod state;
#[cfg(test)]
mod tests;
mod tick;
mod verdict;

pub use state::{Blocks, Count, Door, Full, Heartbeat, OwnerId};
pub use verdict::{Cause, Prefix, Verdict, Word};

/// Seconds since some moment that the caller chooses.
pub type Seconds = u64;

/// How often [`Blocks::tick`] is called, and relays tell what they have counted.
pub const TICK: Seconds = 10;
