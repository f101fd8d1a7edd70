//! A bundle: relays, the keys to ask them with, and cracks that are known, in one signed file. It
//! travels by messenger, USB stick or QR code, and needs nobody online to be checked.
//!
//! ```text
//! 1   version: 1            each endpoint                        each crack
//! 1   flags: none yet       1   bit 0: IPv4; 1: IPv6;            1   its kind (wire::crack::Passage)
//! 16  its id                    2-3: ports: all, quiet, list,        network, if known
//! 2   day it was made               first; 4: a secret;          2   port
//! 2   last day it is good       5-6: UDP: too, low, not          3   hour it was last seen
//! 32  signer's public key   4   IPv4 address                     2   how many relays' hours say so
//! 1   how many endpoints    16  IPv6 address
//!                           1   how many ports, if listed
//!     the endpoints         2       each of them
//! 1   how many cracks       16  echo key
//!     the cracks            8   mask key
//! 64  signature             16  secret of the person's access key
//! ```
//!
//! Numbers are big-endian, days and hours are counted from the beginning of 1970. There is one way
//! to write each bundle and no other is read, and no address that is not the public internet's is.
//! As text it is `jaryq-bundle.`, base 64 and a full stop, wherever that stands in a message; in a QR
//! code `JARYQ-BUNDLE.` and base 32.
//!
//! The day of its making and the last one are all that it says of time; of its reader, it says what
//! their keys are and nothing else. Who has it can ask its relays for as long as it is good, as its
//! reader can.

mod endpoint;
mod sealed;

use std::net::IpAddr;

use crate::addresses::{Kind, forbidden};
use crate::crack::Crack;
use crate::cursor::Cursor;
use crate::echo::BundleId;
use crate::signer::{PublicKey, Signer};
use crate::tally::Day;
use crate::trusted::Trusted;

pub use endpoint::{Datagrams, Endpoint, MOST_PORTS, Ports, QUIET_PORTS};
pub use sealed::Sealed;

/// How many endpoints the format has room for.
pub const MOST_ENDPOINTS: usize = 100;
/// How many are handed out: nobody's bundle is a list of relays.
pub const MOST_HANDED_OUT: usize = 8;
/// How many cracks there is room for.
pub const MOST_CRACKS: usize = 64;
/// For how many days a bundle is good at most.
pub const LONGEST_LIFE: u16 = 400;

const VERSION: u8 = 1;

/// What somebody needs to find a way to a few relays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle {
    /// What its echo keys follow from.
    pub id: BundleId,
    /// The day it was made, 0 to 65,535 as it is written.
    pub made: Day,
    /// The last day on which it is good, in UTC.
    pub expires: Day,
    /// The relays.
    pub endpoints: Vec<Endpoint>,
    /// What is known to pass.
    pub cracks: Vec<Crack>,
}

/// Why a bundle is not used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// No bundle was found.
    #[error(
        "there is no whole bundle in this: it begins with 'jaryq-bundle.' and ends with a full stop; \
         if a part of it was lost on the way, have it sent again, as a file"
    )]
    Absent,
    /// A newer version has made it.
    #[error(
        "this bundle was made by a newer version of jaryq (format {0}); get that one to read it"
    )]
    Newer(u8),
    /// It says what this version does not know.
    #[error("this bundle has what this version of jaryq does not know; get a newer one to read it")]
    UnknownFlags,
    /// It is none.
    #[error("this bundle is damaged ({0}); have it sent again, as a file")]
    Damaged(&'static str),
    /// It leads where no relay is.
    #[error("this bundle leads to {0}, {1}, where no relay can be; do not use it")]
    Address(IpAddr, Kind),
    /// Its signer did not sign this.
    #[error("this bundle was changed after it was signed; do not use it, and have it sent again")]
    Forged,
    /// Its signer is nobody whom its reader trusts.
    #[error(
        "this bundle is signed by somebody whom you do not trust yet. Their words are:\n  {words}\n\
         Compare them with what the people who run the relays say of themselves, by another way than \
         this bundle came; then: jaryq trust FILE",
        words = .0.fingerprint()
    )]
    UnknownSigner(PublicKey),
    /// Its time is over.
    #[error("this bundle is over: it was good until {}; ask whoever gave it to you for a new one", date(*.0))]
    Expired(Day),
}

/// More is in a bundle than may be, or less.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unfit {
    /// Too many relays.
    #[error(
        "a bundle that is handed out has at most {MOST_HANDED_OUT} endpoints, and this one has {0}"
    )]
    TooMany(usize),
    /// Something else.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Bundle {
    /// Reads a bundle that somebody in `pinned` has signed and that is good at `now` (Unix seconds):
    /// the only way to a bundle that may be used. `text` may be a file or a message.
    ///
    /// # Errors
    /// [`Refused`], each with what to do about it.
    pub fn open(text: &str, pinned: &[PublicKey], now: u64) -> Result<Trusted<Self>, Refused> {
        Sealed::read(text)?.trust(pinned, now)
    }

    /// Signs it, for somebody to have.
    ///
    /// # Errors
    /// When there is more in it than may be, or an address where no relay can be.
    pub fn seal(self, signer: &Signer) -> Result<Sealed, Unfit> {
        if self.endpoints.len() > MOST_HANDED_OUT {
            return Err(Unfit::TooMany(self.endpoints.len()));
        }
        self.check()?;
        Ok(Sealed::sign(self, signer))
    }

    /// What is signed.
    #[must_use]
    pub fn write(&self, signer: &PublicKey) -> Vec<u8> {
        let count = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
        let mut out = vec![VERSION, 0];
        out.extend(self.id.0);
        out.extend(day_bytes(self.made));
        out.extend(day_bytes(self.expires));
        out.extend(signer.0);
        out.push(count(self.endpoints.len()));
        self.endpoints.iter().for_each(|endpoint| endpoint.write(&mut out));
        out.push(count(self.cracks.len()));
        self.cracks.iter().for_each(|crack| crack.write(&mut out));
        out
    }

    /// Reads what [`Self::write`] writes, whoever has signed it.
    ///
    /// # Errors
    /// When that is no bundle, or one of another version.
    pub fn parse(bytes: &[u8]) -> Result<(Self, PublicKey), Refused> {
        const SHORT: Refused = Refused::Damaged("it is shorter than it says");
        let mut from = Cursor(bytes);
        match from.byte().ok_or(SHORT)? {
            VERSION => {}
            0 => return Err(Refused::Damaged("it has no version")),
            newer => return Err(Refused::Newer(newer)),
        }
        if from.byte().ok_or(SHORT)? != 0 {
            return Err(Refused::UnknownFlags);
        }
        let id = BundleId(from.array().ok_or(SHORT)?);
        let mut day = || from.short().map(|day| Day(day.into())).ok_or(SHORT);
        let (made, expires) = (day()?, day()?);
        let signer = PublicKey(from.array().ok_or(SHORT)?);
        let count = from.byte().ok_or(SHORT)?;
        let endpoints = (0..count).map(|_| Endpoint::read(&mut from)).collect::<Result<_, _>>()?;
        let count = from.byte().ok_or(SHORT)?;
        let crack = |_| Crack::read(&mut from).ok_or(Refused::Damaged("a crack is none"));
        let cracks = (0..count).map(crack).collect::<Result<_, _>>()?;
        if !from.0.is_empty() {
            return Err(Refused::Damaged("it is longer than it says"));
        }
        let bundle = Self { id, made, expires, endpoints, cracks };
        bundle.check()?;
        Ok((bundle, signer))
    }

    fn check(&self) -> Result<(), Refused> {
        let writable = 0..=i64::from(u16::MAX);
        let life = self.expires.0.saturating_sub(self.made.0);
        if !writable.contains(&self.made.0) || !writable.contains(&self.expires.0) {
            return Err(Refused::Damaged("its days are none"));
        }
        if !(0..=i64::from(LONGEST_LIFE)).contains(&life) {
            return Err(Refused::Damaged("it is good for too long, or never was"));
        }
        if self.endpoints.is_empty() || self.endpoints.len() > MOST_ENDPOINTS {
            return Err(Refused::Damaged("it has no relay, or too many"));
        }
        if self.cracks.len() > MOST_CRACKS {
            return Err(Refused::Damaged("it has too many cracks"));
        }
        let mut addresses: Vec<IpAddr> =
            self.endpoints.iter().flat_map(Endpoint::addresses).collect();
        if let Some((address, kind)) =
            addresses.iter().find_map(|&address| Some((address, forbidden(address)?)))
        {
            return Err(Refused::Address(address, kind));
        }
        self.endpoints.iter().try_for_each(Endpoint::check)?;
        let all = addresses.len();
        addresses.sort();
        addresses.dedup();
        if addresses.len() < all {
            return Err(Refused::Damaged("two of its relays have one address"));
        }
        Ok(())
    }
}

/// [`Bundle::check`] has seen to it that it fits.
fn day_bytes(day: Day) -> [u8; 2] {
    u16::try_from(day.0).unwrap_or(u16::MAX).to_be_bytes()
}

/// A day as in 2026-11-23 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn date(day: Day) -> String {
    // From the first of March of the year 0: leap days are last in a year then.
    let days = day.0.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}")
}

#[cfg(test)]
mod tests;
