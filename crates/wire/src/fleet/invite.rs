//! What a volunteer pastes to join: one line, for one relay, for an hour.
//!
//! ```text
//! 1   version: 1                            each address of the hub
//! 16  token: one use                        2  length  host name or address
//! 16  room: the hub's path                  2  port
//! 32  the fleet's signer
//! 1   0: a public certificate; 1: pinned
//! 32  SHA-256 of the certificate, if pinned
//!     the addresses of the hub
//! ```

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

use super::{Refused, VERSION, list, read, text, write_list, write_text};
use crate::armour;
use crate::cursor::Cursor;
use crate::signer::PublicKey;

const WORD: &str = "jaryq-invite";
const WHAT: &str = "invite";
const LONGEST: usize = 1024;
/// How many addresses a hub may have.
pub const MOST_ADDRESSES: usize = 4;
const LONGEST_HOST: usize = 253;

/// Where a hub is reached by HTTPS.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HubAddress {
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl HubAddress {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_text(out, &self.host, LONGEST_HOST);
        out.extend(self.port.to_be_bytes());
    }

    pub(super) fn read(from: &mut Cursor<'_>) -> Option<Self> {
        let host = text(from, LONGEST_HOST)?;
        let fits = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
        let port = from.short()?;
        (fits && port != 0).then_some(Self { host, port })
    }
}

/// How a relay knows that it speaks to the hub.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pin {
    /// By the host's name, which a public authority has certified.
    Public,
    /// By the SHA-256 of the certificate that the hub made for itself.
    Certificate([u8; 32]),
}

impl Pin {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Public => out.push(0),
            Self::Certificate(hash) => {
                out.push(1);
                out.extend(hash);
            }
        }
    }

    pub(super) fn read(from: &mut Cursor<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(Self::Public),
            1 => Some(Self::Certificate(from.array()?)),
            _ => None,
        }
    }
}

/// Where a hub is, how it is known, and a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// Good once, for an hour.
    pub token: [u8; 16],
    /// Where below the hub's address its relays are heard; everybody else finds a website there.
    pub room: [u8; 16],
    /// Who signs the orders.
    pub signer: PublicKey,
    /// How the hub is known.
    pub pin: Pin,
    /// Where it is, the best first: 1 to [`MOST_ADDRESSES`].
    pub hub: Vec<HubAddress>,
}

/// Without the token.
impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite").field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl Invite {
    /// One line, as it is pasted.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = vec![VERSION];
        out.extend(self.token);
        out.extend(self.room);
        out.extend(self.signer.0);
        self.pin.write(&mut out);
        write_list(&mut out, &self.hub, MOST_ADDRESSES, HubAddress::write);
        armour::text(WORD, &out)
    }

    /// Finds one in what somebody pasted.
    ///
    /// # Errors
    /// When there is none, or none that this version reads.
    pub fn read(pasted: &str) -> Result<Self, Refused> {
        let (bytes, _) = armour::find(WORD, pasted, LONGEST).ok_or(Refused::Damaged(WHAT))?;
        read(WHAT, &bytes, LONGEST, |from| {
            let (token, room, signer) = (from.array()?, from.array()?, PublicKey(from.array()?));
            let pin = Pin::read(from)?;
            let hub = list(from, MOST_ADDRESSES, HubAddress::read)?;
            (!hub.is_empty()).then_some(Self { token, room, signer, pin, hub })
        })
    }
}

impl FromStr for Invite {
    type Err = Refused;

    fn from_str(pasted: &str) -> Result<Self, Refused> {
        Self::read(pasted)
    }
}

/// The path below which a hub hears those who know its room.
#[must_use]
pub fn path(room: &[u8; 16]) -> String {
    format!("/{}", HEXLOWER.encode(room))
}
