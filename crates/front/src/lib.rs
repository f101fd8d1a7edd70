//! A server's public face.
//!
//! | module | what is in it |
//! |---|---|
//! | [`pages`] | what a person is shown to set up their apps, as pure functions |

#![forbid(unsafe_code)]

pub mod pages;
