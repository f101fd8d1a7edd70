//! What the hub's office promises, with the real journal.

mod api;
mod clerk;
mod hub;
mod killed;
mod watch;
