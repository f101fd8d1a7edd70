//! Telegram's WEB proxy, version 1: the app carries its proxy bytes through a browser engine, by
//! ordinary HTTPS, so that its TLS is a browser's own.
//!
//! ```text
//! app ── frames ── bridge page (ours, in the app's browser engine) ── HTTPS ── relay ── Telegram
//! ```
//!
//! A link names a host and a secret ([`link`]); both sides derive a [`Capability`] from them, and
//! whoever asks the host for it is given the bridge [`page`]. The page redeems its token ([`token`])
//! for a session and moves [`frame`]s either way, by a WebSocket or by plain requests ([`carrier`],
//! [`request`]). [`Session`] is what the frames mean: many streams, each of them one of the app's
//! connections to a Telegram proxy.
//!
//! Source: tdesktop `docs/web-proxy-plan.md` and the plan of `telegramdesktop/tproxy-server`. Their
//! code was not used.

pub mod address;
pub mod capability;
pub mod carrier;
pub mod frame;
pub mod link;
pub mod page;
pub mod request;
pub mod session;
pub mod token;

pub use address::{BasePath, WebAddress, WebHost};
pub use capability::Capability;
pub use link::{WebLink, WebSecret};
pub use session::{Event, Session, StreamId};
pub use token::Token;
