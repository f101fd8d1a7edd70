//! Seats: who gets which endpoint, so that most people stay online although some among them tell the
//! censor where they sit.

mod blame;
mod chance;
mod codec;
mod event;
mod merge;
mod people;
mod plan;
mod relays;
mod risk;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;

pub use chance::Chance;
pub use event::{Event, Outcome};
pub use people::Origin;
pub use relays::{Mode, Status, Terms, Unit};
pub use state::{EndpointId, Move, PersonId, Place, RelayId, Rule, Seats};

/// Hours since some moment that the caller chooses.
pub type Hours = f32;
