//! What comes out, in words.

use std::fmt;
use std::net::IpAddr;

use super::Seconds;
use crate::seats::{EndpointId, RelayId};

/// Addresses that one rule of a censor's covers: a /24 or a /48.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Prefix(IpAddr);

impl Prefix {
    /// The one an address is in.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::from((v4.to_bits() & !0xff).to_be_bytes()),
            IpAddr::V6(v6) => IpAddr::from((v6.to_bits() >> 80 << 80).to_be_bytes()),
        })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 24 } else { 48 })
    }
}

/// Whose doing it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Somebody blocks this endpoint.
    Endpoint(EndpointId),
    /// Somebody blocks this address, whatever the port.
    Address(IpAddr),
    /// Somebody blocks the addresses around it, too.
    Prefix(Prefix),
    /// The relay, or what answers at its endpoint, is not there any more.
    Died(RelayId),
    /// A network inside leads nobody out.
    Provider(u32),
    /// The country leads nobody out.
    Country,
    /// Nearly no relay is heard: most likely it is the hub that is cut off.
    Hub,
}

/// Who says that it is a block, besides the relay, which has counted what came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// Nobody: it may be the relay's doing.
    Relay,
    /// The only one who sits there: they have come around. It may be their own line.
    One,
    /// Several people who sit there have come around, or relays of several owners say the same. Also where
    /// nobody is to blame anyway.
    Several,
}

/// Something has gone dark.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// Whose doing it is.
    pub cause: Cause,
    /// Who sits there needs another seat. Empty where no other seat would help.
    pub endpoints: Vec<EndpointId>,
    /// In which network inside alone, by the number of its autonomous system; `None`: in all.
    pub network: Option<u32>,
    /// When it began.
    pub onset: Seconds,
    /// When it was noticed.
    pub noticed: Seconds,
    /// The natural logarithm of how many times likelier this is than chance; 0 where nothing was counted.
    pub ln_ratio: f64,
    /// Who says so. On a relay's word alone nobody is to blame for a block.
    pub word: Word,
}

impl Verdict {
    /// Whether it is sure that people who sat there are to be suspected.
    #[must_use]
    pub fn is_block(&self) -> bool {
        let is_blocked =
            matches!(self.cause, Cause::Endpoint(_) | Cause::Address(_) | Cause::Prefix(_));
        is_blocked && self.word == Word::Several
    }

    /// What to tell whoever runs the relay: what happened, and what they can do.
    #[must_use]
    pub fn for_volunteer(&self) -> &'static str {
        match self.cause {
            Cause::Endpoint(_) => {
                "One port of your relay is no longer reached from inside the country. Its people have \
                 another way; there is nothing for you to do."
            }
            Cause::Address(_) => {
                "Your relay's address is blocked inside the country. It runs well; nothing is wrong with \
                 it. With another address it would be of use again."
            }
            Cause::Prefix(_) => {
                "Your relay's address is blocked inside the country, with its neighbours'. Another address \
                 of the same provider may not help; one of another provider would."
            }
            Cause::Died(_) => {
                "Your relay does not answer. See whether the machine runs, its firewall lets the ports in, \
                 and jaryq runs on it: systemctl status jaryq"
            }
            Cause::Provider(_) | Cause::Country => {
                "The country, or one of its networks, was seen to be cut off. Your relay is fine; please \
                 let it run."
            }
            Cause::Hub => {
                "The hub is out of touch at the moment. Your relay is fine; please let it run."
            }
        }
    }
}

/// One line, as `jaryq hub blocks` has it.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Endpoint(id) => write!(f, "endpoint {id} is blocked")?,
            Cause::Address(address) => write!(f, "{address} is blocked on all its ports")?,
            Cause::Prefix(prefix) => write!(f, "{prefix} is blocked")?,
            Cause::Died(relay) => write!(f, "relay {relay} answers nobody")?,
            Cause::Provider(network) => write!(f, "AS{network} leads nobody out")?,
            Cause::Country => f.write_str("the country leads nobody out")?,
            Cause::Hub => f.write_str("nearly no relay is heard; is the hub cut off?")?,
        }
        match self.network {
            Some(network) if self.cause != Cause::Provider(network) => {
                write!(f, " in AS{network}")?;
            }
            _ => {}
        }
        write!(f, "; noticed after {} s", self.noticed.saturating_sub(self.onset))?;
        if self.ln_ratio > 0.0 {
            write!(f, ", odds 10^{:.0}", self.ln_ratio / std::f64::consts::LN_10)?;
        }
        match self.word {
            _ if self.endpoints.is_empty() => Ok(()),
            Word::Relay => f.write_str("; only its relay says so, and nobody is blamed"),
            Word::One => f.write_str("; its relay and the only one there say so"),
            Word::Several => Ok(()),
        }
    }
}
