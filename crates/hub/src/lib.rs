//! The organisers' office: who is seated where, and what happens when a seat is lost.
//!
//! | module | what is in it |
//! |---|---|
//! | [`server`] | how it is reached: a website, and behind it those who know its room |
//! | [`fleet`] | relays' side of HTTP: they join, and say how they fare |
//! | [`checks`] | each endpoint is asked from outside |
//! | [`seats`] | who gets which endpoint, so that informers cost others little: pure, no clock, no network |

#![forbid(unsafe_code)]

pub mod checks;
pub mod fleet;
pub mod seats;
pub mod server;

