//! Telegram's proxy protocols, as its apps speak them.
//!
//! A link carries a [`ProxySecret`]; the app opens a connection with [`obfuscated`]'s 64 bytes,
//! either at once (plain and padded links) or inside the TLS-like records of [`faketls`]; and a
//! relay carries them on to one of Telegram's [`datacentre`]s.

pub mod datacentre;
pub mod faketls;
pub mod frame;
pub mod link;
pub mod message;
pub mod obfuscated;

pub use datacentre::{Datacentre, Datacentres, DcId};
pub use link::{ProxyLink, ProxySecret, ServerName};
