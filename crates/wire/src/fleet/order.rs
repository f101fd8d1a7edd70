//! What a relay is to do, as its hub signs it.

use std::net::IpAddr;

use super::{Refused, VERSION, list, read, text, write_list, write_text};
use crate::cursor::{Cursor, ip, write_ip};
use crate::derive::{Epoch, KeyId, RelayId};
use crate::echo::BundleId;
use crate::receipt::Certificate;
use crate::signer::{PublicKey, Purpose, SIGNATURE, Signer};

const WHAT: &str = "order";
/// The longest one, in bytes.
pub const LONGEST: usize = 2 * 1024 * 1024;
/// How many seats one order gives or takes; the rest comes with the next.
pub const MOST_SEATS: usize = 60_000;
/// How many bundles.
pub const MOST_BUNDLES: usize = 10_000;
/// How many networks are at home.
pub const MOST_NETWORKS: usize = 512;
/// How many other relays' addresses people are not taken to.
pub const MOST_FLEET: usize = 2_000;
const LONGEST_WORD: usize = 300;
const MOST_WORDS: usize = 8;

/// Where it is to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Posture {
    /// On the usual ports and on those of its seats.
    Quiet,
    /// On every port that is free: for a cut.
    All,
}

impl Posture {
    /// `quiet` or `all`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::All => "all",
        }
    }
}

/// What it may carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carries {
    /// Telegram alone, to Telegram's own addresses: nobody vouches for whoever runs the relay.
    Telegram,
    /// Everything that its keys open.
    Everything,
}

/// Somebody's place on a relay.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Seat {
    /// What they are called there.
    pub key: KeyId,
    /// The port in their links; 0 if any will do.
    pub port: u16,
}

/// How its seats change.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Seats {
    /// From which revision on; 0: these are all there are.
    pub from: u64,
    /// To which.
    pub to: u64,
    /// Who has no seat any more.
    pub gone: Vec<KeyId>,
    /// Who has one now, or another one.
    pub given: Vec<Seat>,
}

/// What a relay is to do from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Which relay.
    pub relay: RelayId,
    /// Grows with each.
    pub number: u64,
    /// When it was given, in Unix seconds.
    pub given: u64,
    /// In how many seconds the hub wants to hear of it, at the latest.
    pub next: u16,
    /// Where it answers.
    pub posture: Posture,
    /// What it carries.
    pub carries: Carries,
    /// The epoch of its secrets.
    pub epoch: Epoch,
    /// Its address, as the hub sees it.
    pub address: Option<IpAddr>,
    /// Whether the hub has reached it there; `None` if it has not tried yet.
    pub is_reached: Option<bool>,
    /// With what it signs receipts.
    pub certificate: Option<Certificate>,
    /// Whose seats.
    pub seats: Seats,
    /// Whose bundles' questions it answers: all of them.
    pub bundles: Vec<BundleId>,
    /// The networks at home: a key used in another one was used abroad. None: nobody looks.
    pub home: Vec<u32>,
    /// The fleet's other addresses, to which nobody is taken.
    pub fleet: Vec<IpAddr>,
    /// How many people it has helped, by the hub's reckoning.
    pub helped: u32,
    /// What its volunteer is told.
    pub words: Vec<String>,
}

/// An order as it travels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedOrder(Vec<u8>);

impl SignedOrder {
    /// As they came; nothing is checked yet.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As they are sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The order, if the fleet has signed it for this relay. Whether its number is new is for the
    /// caller to say.
    ///
    /// # Errors
    /// When it is none, another's, or for another relay.
    pub fn open(&self, fleet: &PublicKey, relay: RelayId) -> Result<Order, Refused> {
        let split = self.0.split_last_chunk::<SIGNATURE>();
        let (said, signature) = split.ok_or(Refused::Damaged(WHAT))?;
        if said.len() > LONGEST || !fleet.verifies(Purpose::Order, said, signature) {
            return Err(Refused::Forged(WHAT));
        }
        let order = read(WHAT, said, LONGEST, Order::fields)?;
        if order.relay != relay {
            return Err(Refused::Forged(WHAT));
        }
        Ok(order)
    }
}

impl Order {
    /// Signs it for its relay. What is beyond a bound is left out: split seats before.
    #[must_use]
    pub fn sign(&self, fleet: &Signer) -> SignedOrder {
        let mut out = self.write();
        out.extend(fleet.sign(Purpose::Order, &out));
        SignedOrder(out)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(self.relay.0);
        out.extend(self.number.to_be_bytes());
        out.extend(self.given.to_be_bytes());
        out.extend(self.next.to_be_bytes());
        out.push((self.posture == Posture::All).into());
        out.push((self.carries == Carries::Everything).into());
        out.extend(self.epoch.0.to_be_bytes());
        write_list(&mut out, self.address.as_slice(), 1, write_ip);
        out.push(match self.is_reached {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        });
        write_list(&mut out, self.certificate.as_slice(), 1, Certificate::write);
        out.extend(self.seats.from.to_be_bytes());
        out.extend(self.seats.to.to_be_bytes());
        write_list(&mut out, &self.seats.gone, MOST_SEATS, |key, out| out.extend(key.0));
        write_list(&mut out, &self.seats.given, MOST_SEATS, |seat, out| {
            out.extend(seat.key.0);
            out.extend(seat.port.to_be_bytes());
        });
        write_list(&mut out, &self.bundles, MOST_BUNDLES, |bundle, out| out.extend(bundle.0));
        write_list(&mut out, &self.home, MOST_NETWORKS, |network, out| {
            out.extend(network.to_be_bytes());
        });
        write_list(&mut out, &self.fleet, MOST_FLEET, write_ip);
        out.extend(self.helped.to_be_bytes());
        write_list(&mut out, &self.words, MOST_WORDS, |word, out| {
            write_text(out, word, LONGEST_WORD);
        });
        out
    }

    pub(super) fn fields(from: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            relay: RelayId(from.array()?),
            number: from.long()?,
            given: from.long()?,
            next: from.short()?,
            posture: if from.flag()? { Posture::All } else { Posture::Quiet },
            carries: if from.flag()? { Carries::Everything } else { Carries::Telegram },
            epoch: Epoch(from.word()?),
            address: list(from, 1, ip)?.pop(),
            is_reached: match from.byte()? {
                0 => None,
                1 => Some(false),
                2 => Some(true),
                _ => return None,
            },
            certificate: list(from, 1, Certificate::read)?.pop(),
            seats: Seats {
                from: from.long()?,
                to: from.long()?,
                gone: list(from, MOST_SEATS, |from| Some(KeyId(from.array()?)))?,
                given: list(from, MOST_SEATS, |from| {
                    Some(Seat { key: KeyId(from.array()?), port: from.short()? })
                })?,
            },
            bundles: list(from, MOST_BUNDLES, |from| Some(BundleId(from.array()?)))?,
            home: list(from, MOST_NETWORKS, Cursor::word)?,
            fleet: list(from, MOST_FLEET, ip)?,
            helped: from.word()?,
            words: list(from, MOST_WORDS, |from| text(from, LONGEST_WORD))?,
        })
    }
}
