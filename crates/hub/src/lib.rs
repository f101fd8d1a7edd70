//! The organisers' office: who joins, who is seated where, and what happens when a seat is lost.

#![forbid(unsafe_code)]

pub mod seats;
