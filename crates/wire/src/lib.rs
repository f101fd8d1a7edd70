//! Bytes and their meaning: every protocol that Jaryq speaks, as pure code.
//!
//! Nothing in this room opens a socket, asks for the time or starts a task: bytes and times come
//! in, meanings and bytes go out. So everything here is tested without a network, and fuzzed.
//! (The one thing taken from the machine is randomness, where a protocol asks for it.)
//!
//! | module | what is in it |
//! |---|---|
//! | [`derive`] | a relay's keys: how every secret follows from one, and the buckets that find it again |
//! | [`classify`] | what a stranger's first bytes could be |
//! | [`mtproto`] | Telegram: secrets and links, obfuscated2, fake TLS, datacentres |
//! | [`socks5`], [`http_proxy`] | what browsers and other apps say to a proxy |
//! | [`target`] | where they want to go |
//! | [`tally`] | what is counted of people's traffic |
//! | [`account`] | what such an app is set up with: a user name, a password, links |
//! | [`webproxy`] | Telegram's WEB proxy: links, frames, sessions, the bridge page |
//! | [`websocket`] | the frames of WebSockets, the server's side |
//! | [`port_range`] | ports as people write them |
//! | [`tls`] | the little of TLS that fake TLS needs: hellos, their answers, records |
//! | [`doorway`] | addresses that only one person knows |
//! | [`dns_update`] | a record in a zone, for proof that a name is ours |
//! | [`echo`] | how a port is proven to reach a relay, and what passes through it |
//! | [`bundle`] | relays, their keys and known cracks, in one signed file |
//! | [`receipt`] | what a relay signs for who has shown that a port reaches it |
//! | [`fleet`] | what a hub and its relays say to each other |
//! | [`signer`] | who signs: keys, signatures, fingerprints in words |
//! | [`trusted`] | what was signed by somebody whom its reader trusts |
//! | [`crack`] | a way that carries traffic, in a network, at an hour |
//! | [`addresses`] | which addresses are not for the public |
//! | [`cursor`] | bytes, read one field after another |
//! | [`ctr`] | AES-256 in counter mode, as one endless stream |

#![forbid(unsafe_code)]

pub mod account;
pub mod addresses;
mod armour;
pub mod bundle;
pub mod classify;
pub mod crack;
pub mod ctr;
pub mod cursor;
pub mod derive;
pub mod dns_update;
pub mod doorway;
pub mod echo;
pub mod fleet;
pub mod http_proxy;
pub mod mtproto;
pub mod port_range;
pub mod receipt;
pub mod signer;
pub mod socks5;
pub mod tally;
pub mod target;
pub mod tls;
pub mod trusted;
pub mod webproxy;
pub mod websocket;

/// Random bytes from the operating system.
///
/// # Panics
/// When the system has none to give; nothing that needs a secret can go on then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}

/// Fills `out` from the operating system's random number generator: the library's own takes a fiftieth
/// of a second to begin in every program, and longer for a few bytes than the system does.
///
/// # Panics
/// When the system has no randomness to give; nothing that needs a secret can go on then.
pub(crate) fn fill_random(out: &mut [u8]) {
    getrandom::fill(out).expect("the operating system gives random bytes");
}
