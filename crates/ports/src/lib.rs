//! The ports of a machine on which a relay answers.
//!
//! One mechanism so far: [`bind`] opens a listener of its own for every port of a [`PortList`].

#![forbid(unsafe_code)]

mod bind;
mod list;

pub use bind::{Bound, Refused, bind};
pub use list::{BadPortList, PortList};
