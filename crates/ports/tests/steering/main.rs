//! What the mechanisms promise, each of them seen from another machine.

mod harness;

mod answering;
mod changing;
mod containers;
mod dhcp;
mod ending;
mod networks;
mod others;
mod ssh;
