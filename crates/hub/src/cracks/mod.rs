//! The map of cracks: which ways out of which network carry traffic, by what relays have signed.
//!
//! A receipt proves that 64 KiB passed both ways through a port of the relay that has signed it
//! ([`wire::receipt`]). So nobody can report a way that is shut, only flood the map with ways that are
//! open for themselves; and a relay can sign what never happened. Hence:
//!
//! - a relay's hour counts once for a way, however many receipts there are of it;
//! - what two relays have seen within a day goes before what one has ([`Standing`]), and it is the last
//!   to be pushed out where there is no room; one relay, or one stranger, cannot displace it;
//! - a network that the relay has looked up goes before one that the person has named, and the latter
//!   has little room of its own;
//! - the rest is by age: an hour counts half after [`wire::crack::HALF_LIFE`].
//!
//! Receipts change the order of ways and remove none: whoever says "closed" is not heard.
//!
//! ```text
//! receipts ─> Map::take ─> networks ─> ways ─> relays ─> hours
//!                                        └─> Map::best: for a seat in a network
//!                                        └─> Map::cracks: for a bundle
//! ```
//!
//! Nothing here asks for the time or touches a network. What is to be kept is the receipts (at most 202
//! bytes each): taken again, in whatever order, they give the same map as long as there is room. A map
//! that is full takes some 15 MB.
//!
//! | module | what is in it |
//! |---|---|
//! | `map` | what is taken in, and what is pushed out |
//! | `seen` | what speaks for one way |
//! | `choice` | what comes first |

mod choice;
mod map;
mod seen;
#[cfg(test)]
mod tests;

pub use choice::{Choice, Standing};
pub use map::{Map, Refusal, Taken, check};
