//! The organisers' office: who is seated where, and what happens when a seat is lost.
//!
//! | module | what is in it |
//! |---|---|
//! | [`server`] | how it is reached: a website, and behind it those who know its room |
//! | [`api`] | what doors and people say to the hub: JSON over HTTP |
//! | [`fleet`] | what relays say: they join, and tell how they fare |
//! | [`checks`] | each endpoint is asked from outside |
//! | [`watch`] | what speaks for a block or against it, brought together, and what is done then |
//! | [`clerk`] | everybody's way to the office: one writes, in batches; the others read |
//! | [`journal`] | where the batches are kept |
//! | [`office`] | all that the hub knows, as what becomes of events: pure |
//! | [`blocks`] | which endpoint went dark, and whose doing that is: pure, no clock, no network |
//! | [`cracks`] | which ways carry traffic out of which network, by what relays have signed |
//! | [`seats`] | who gets which endpoint, so that informers cost others little: pure, no clock, no network |

#![forbid(unsafe_code)]

pub mod api;
pub mod blocks;
pub mod checks;
pub mod clerk;
pub mod cracks;
pub mod fleet;
pub mod journal;
pub mod office;
pub mod seats;
pub mod server;
pub mod watch;
