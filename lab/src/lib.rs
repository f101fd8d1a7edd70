//! lab
#![forbid(unsafe_code)]

mod error;
mod host;
mod lab;
mod namespace;
mod network;
mod node;
mod warden;

pub use error::{Error, Result};
pub use host::{Host, Task};
pub use lab::{Lab, country};
pub use network::Network;
