//! The address of one person's page: a token in it, and when it ends.
//!
//! The token follows from the relay's key, so that it is stored nowhere; what is stored is how often
//! it was opened. Whoever has opened it is given a ticket, good for an hour, with which they change
//! the language or open a QR code without opening it anew.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use wire::derive::{Epoch, KeyId, RelayKey, Secret};

/// How often a page is opened.
pub const TIMES: u8 = 5;
/// How long after it was opened first, in seconds: 48 hours.
pub const LIFETIME: u64 = 48 * 3600;
/// How long a ticket is good, in seconds.
pub const TICKET_LIFETIME: u64 = 3600;

/// How long a token is when it is written.
pub const WRITTEN: usize = 32;

/// The link to a person's page.
#[derive(Clone)]
pub struct SetupLink {
    token: Secret,
    ticket: Secret,
}

impl SetupLink {
    /// The `number`th link of a key in this epoch.
    #[must_use]
    pub fn of(key: &RelayKey, id: KeyId, epoch: Epoch, number: u32) -> Self {
        let token = |what| key.token(what, id, epoch, number);
        Self { token: token("set-up page"), ticket: token("set-up page's tickets") }
    }

    /// As it stands in the address: 32 digits and letters to `f`, whose looking up gives nothing
    /// away by its time as long as it is done in a hash map.
    #[must_use]
    pub fn token(&self) -> String {
        HEXLOWER.encode(&self.token.0)
    }

    /// A ticket, at a time in Unix seconds.
    #[must_use]
    pub fn ticket(&self, now: u64) -> String {
        self.ticket_until(now + TICKET_LIFETIME)
    }

    fn ticket_until(&self, end: u64) -> String {
        let mac = hmac::sign(&self.ticket_key(), &end.to_be_bytes());
        format!("{end:x}-{}", HEXLOWER.encode(&mac.as_ref()[..16]))
    }

    /// Whether a ticket is this link's and has not run out.
    #[must_use]
    pub fn accepts(&self, ticket: &str, now: u64) -> bool {
        let end = ticket.split_once('-').and_then(|(end, _)| u64::from_str_radix(end, 16).ok());
        let Some(end) = end.filter(|end| (now..=now + TICKET_LIFETIME).contains(end)) else {
            return false;
        };
        let right = self.ticket_until(end);
        aws_lc_rs::constant_time::verify_slices_are_equal(right.as_bytes(), ticket.as_bytes())
            .is_ok()
    }

    fn ticket_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.ticket.0)
    }
}

impl fmt::Debug for SetupLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupLink(..)")
    }
}

/// How often a link was opened, and when first; kept by the caller.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Openings {
    count: u8,
    /// In Unix seconds; means nothing before the first.
    first: u64,
}

impl Openings {
    /// Whether it can be opened, at a time in Unix seconds.
    #[must_use]
    pub fn is_left(&self, now: u64) -> bool {
        self.count == 0 || self.count < TIMES && now.saturating_sub(self.first) < LIFETIME
    }

    /// Opens it once more, if it can be; whether it could.
    pub fn open(&mut self, now: u64) -> bool {
        let left = self.is_left(now);
        if left {
            self.first = if self.count == 0 { now } else { self.first };
            self.count += 1;
        }
        left
    }

    /// As it is stored.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 9] {
        let mut bytes = [self.count; 9];
        bytes[1..].copy_from_slice(&self.first.to_be_bytes());
        bytes
    }

    /// As it was stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 9]) -> Self {
        let [count, first @ ..] = bytes;
        Self { count, first: u64::from_be_bytes(first) }
    }
}

#[cfg(test)]
mod tests {
    use wire::derive::{FleetKey, Person, RelayId};

    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn link(person: u64, number: u32) -> SetupLink {
        let (fleet, relay) = (FleetKey::from_bytes([7; 32]), RelayId([1; 16]));
        let id = fleet.pseudonym(&relay, Person(person));
        SetupLink::of(&fleet.relay_key(&relay), id, Epoch(1), number)
    }

    #[test]
    fn a_link_opens_five_times() {
        let mut openings = Openings::default();
        for _ in 0..TIMES {
            assert!(openings.open(NOW));
            openings = Openings::from_bytes(openings.to_bytes());
        }
        let spent = openings;
        assert!(!openings.open(NOW) && !openings.is_left(NOW));
        assert_eq!(openings, spent, "a link that has ended does not change");
    }

    #[test]
    fn a_link_opens_for_two_days_after_the_first_time() {
        let mut openings = Openings::default();
        assert!(openings.is_left(NOW + 10 * LIFETIME), "nobody has opened it");
        assert!(openings.open(NOW));
        assert!(openings.open(NOW + LIFETIME - 1));
        assert!(!openings.open(NOW + LIFETIME));
        assert!(openings.is_left(NOW - 100), "a clock that was set back ends nothing");
    }

    #[test]
    fn every_link_has_a_token_of_its_own() {
        let token = link(1, 0).token();
        assert_eq!(token.len(), WRITTEN);
        assert_eq!(token, link(1, 0).token());
        assert_ne!(token, link(2, 0).token());
        assert_ne!(token, link(1, 1).token());
    }

    #[test]
    fn a_ticket_is_good_for_its_link_and_its_hour() {
        let (one, other) = (link(1, 0), link(1, 1));
        let ticket = one.ticket(NOW);
        assert!(one.accepts(&ticket, NOW) && one.accepts(&ticket, NOW + TICKET_LIFETIME));
        assert!(!one.accepts(&ticket, NOW + TICKET_LIFETIME + 1), "it has run out");
        assert!(!one.accepts(&ticket, NOW - 1), "from the future");
        assert!(!other.accepts(&ticket, NOW));
        let later = ticket.replacen(|c: char| c.is_ascii_digit(), "f", 1);
        for wrong in ["", "-", &ticket[1..], &later, &ticket.to_uppercase(), "ffffffffffffffffff-"]
        {
            assert!(!one.accepts(wrong, NOW), "{wrong}");
        }
    }
}
