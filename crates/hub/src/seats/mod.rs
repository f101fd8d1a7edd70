//! Seats: who gets which endpoint, so that most people stay online while informers among them have
//! their endpoints blocked. Pure: no clock, no network, no randomness but a seed.
pub mod risk;
mod chance;
mod plan;
mod state;

pub use chance::Chance;
pub use risk::Learned;
pub use state::{EndpointId, Move, PersonId, Rule, Seats};
