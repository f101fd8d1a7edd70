//! What a hub and its relays say to each other. A relay asks and the hub answers, over HTTPS that the
//! relay opens: no relay takes a command on a port where others can knock.
//!
//! ```text
//! volunteer  jaryq up --join INVITE
//! relay ──── Enrolment ────────────> hub     once: the invite's token, who volunteers, what the machine is
//!       <─── Enrolled ──────────────         who the relay is, what its keys follow from, its first order
//! relay ──── Heartbeat ────────────> hub     again and again: how it fares, what it has carried
//!       <─── Order, when there is news       signed, numbered: ports, seats, epoch, what may be carried
//! ```
//!
//! The hub answers a heartbeat at once where there is news, else when [`order::Order::next`] seconds
//! have passed, so that an order is on its way as soon as there is one.
//!
//! All numbers are big-endian. Each message begins with its version; a longer one than its bound is
//! not read. A heartbeat is authenticated by a key that follows from the relay's, an order by the
//! fleet's signature; both have numbers that only grow, so that no earlier one counts again.

pub mod enrolment;
pub mod heartbeat;
pub mod invite;
pub mod order;

pub use enrolment::{Capacity, Enrolled, Enrolment, Face};
pub use heartbeat::{Counted, Health, Heartbeat, Standing};
pub use invite::{HubAddress, Invite, Pin};
pub use order::{Carries, Order, Posture, Seat, Seats, SignedOrder};

use crate::cursor::{Cursor, list, text, write_list, write_text};

const VERSION: u8 = 1;

/// Why something that came from the other side is not followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// Not what this version writes, or cut short.
    #[error("this is not a whole {0}")]
    Damaged(&'static str),
    /// A newer version has made it.
    #[error("this {0} was made by a newer version of jaryq (format {1})")]
    Newer(&'static str, u8),
    /// It was changed on its way, or is somebody else's.
    #[error("this {0} is not from whom it says, or was changed on its way")]
    Forged(&'static str),
}

/// Reads a message of one kind, of at most `most` bytes, to its very end.
fn read<'a, T>(
    what: &'static str,
    bytes: &'a [u8],
    most: usize,
    fields: impl FnOnce(&mut Cursor<'a>) -> Option<T>,
) -> Result<T, Refused> {
    if bytes.len() > most {
        return Err(Refused::Damaged(what));
    }
    let mut from = Cursor(bytes);
    match from.byte() {
        Some(VERSION) => {}
        None | Some(0) => return Err(Refused::Damaged(what)),
        Some(newer) => return Err(Refused::Newer(what, newer)),
    }
    let read = fields(&mut from).ok_or(Refused::Damaged(what))?;
    if from.0.is_empty() { Ok(read) } else { Err(Refused::Damaged(what)) }
}

#[cfg(test)]
mod tests;
