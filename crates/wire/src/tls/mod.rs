//! The little of TLS 1.3 (RFC 8446) that fake TLS needs: how a hello is made, read and answered, and
//! how a record is framed. Real TLS is left to a real library.

pub mod answer;
pub mod hello;
pub mod offer;
pub mod record;
