//! Seats: who gets which endpoint, so that most people stay online although some among them tell the
//! censor where they sit.
//!
//! Whoever informs cannot be told from whoever does not, except by what happens: an endpoint that is
//! blocked was known to somebody. So people sit in groups, one group to an endpoint, and each block
//! is a test of a group, as is each hour without one:
//!
//! ```text
//! newcomers ─┐                       ┌─ lives on ─> each is trusted a little more ─> merged with others
//! cut people ┴> sorted by risk ─> group on a fresh endpoint
//!                                    └─ blocked  ─> each is suspected more ─> sorted again, smaller groups
//! for whom there is no fresh endpoint: the open pool, on few endpoints, the most suspect together
//! ```
//!
//! Nobody is ever banned. A newcomer never sits with people who have lived through something, since
//! each newcomer may be the one who informs. The relay itself counts as one more person in each of its
//! groups: one that the censor runs is found out as people are.
//!
//! Nothing here asks for the time, draws from the machine's randomness or touches a network: events
//! come in with their time, moves come out. The same seed and events give the same moves.
//!
//! | module | what is in it |
//! |---|---|
//! | `state` | people, endpoints, relays, and the events |
//! | `plan` | who of those that wait goes where |
//! | `risk` | what is believed of somebody, and what blocks have taught of the censor |
//! | `chance` | order among equals |

mod chance;
mod plan;
mod risk;
mod state;
#[cfg(test)]
mod tests;

pub use chance::Chance;
pub use state::{EndpointId, Move, PersonId, RelayId, Rule, Seats};

/// Hours since some moment that the caller chooses.
pub type Hours = f32;
