//! The organisers' office: who is seated where, and what happens when a seat is lost.
//!
//! | module | what is in it |
//! |---|---|
//! | [`blocks`] | which endpoint went dark, and whose doing that is: pure, no clock, no network |
//! | [`cracks`] | which ways carry traffic out of which network, by what relays have signed |
//! | [`seats`] | who gets which endpoint, so that informers cost others little: pure, no clock, no network |

#![forbid(unsafe_code)]

pub mod blocks;
pub mod cracks;
pub mod seats;
