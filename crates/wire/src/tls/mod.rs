//! The little of TLS 1.3 (RFC 8446) that fake TLS needs: how a hello is read and made, what a
//! server answers to it, and how a record is framed. Real TLS is left to a real library.

pub mod answer;
pub mod client;
pub mod hello;
pub mod record;
