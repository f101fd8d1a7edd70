//! Relays, as the office knows them.

use std::net::IpAddr;

use wire::derive::RelayId;
use wire::fleet::{Capacity, Face, Posture, Standing};

use super::Moment;
use crate::seats::{Mode, Status, Terms};

/// How many ports of a relay are handed out at a time in quiet posture.
pub(super) const PORTS: u32 = 256;
/// How many ports it has for that in one epoch: after as many, those from the beginning come again.
pub const SLOTS: u32 = wire::derive::BUCKETS as u32;
/// How many people a relay is given, whatever it says: as many as fit into one order.
pub(super) const MOST_ROOM: u32 = 50_000;

/// A volunteer's server.
#[derive(Clone, PartialEq, Debug)]
pub struct Relay {
    /// Who it is.
    pub id: RelayId,
    /// When it joined.
    pub joined: Moment,
    /// Where it is, as the hub sees it.
    pub address: IpAddr,
    /// What it can do.
    pub capacity: Capacity,
    /// How people find it.
    pub face: Face,
    /// What it does, by its own word.
    pub standing: Standing,
    /// Where it is to answer.
    pub posture: Posture,
    /// Whether an organiser vouches for it.
    pub is_vouched: bool,
    /// Whether the hub has reached it from outside; `None` if it has not tried yet.
    pub is_reached: Option<bool>,
    /// Whether its address is blocked.
    pub is_blocked: bool,
    /// Whether it was found dead, and did not answer since.
    pub is_gone: bool,
    /// How many people it was given, over all its time.
    pub helped: u32,
    pub(super) owner: u16,
    pub(super) prefix: u32,
    pub(super) token: [u8; 16],
    pub(super) attempt: [u8; 16],
    /// What the seats were told of it.
    pub(super) status: Status,
    /// How many slots were opened.
    pub(super) opened: u32,
    /// The revision up to which no change of its seats can be told alone.
    pub(super) whole: u64,
}

impl Relay {
    /// Whether each of its slots has a port of its own.
    #[must_use]
    pub fn has_ports(&self) -> bool {
        self.posture == Posture::Quiet && self.capacity.can_open
    }

    /// Which of the relay's ports a slot is, if each has one of its own.
    #[must_use]
    pub fn port_of(&self, slot: u16) -> Option<usize> {
        self.has_ports().then(|| usize::from(slot) % SLOTS as usize)
    }

    pub(super) fn terms(&self) -> Terms {
        Terms {
            owner: self.owner,
            prefix: self.prefix,
            mode: if self.posture == Posture::All { Mode::All } else { Mode::Quiet },
            addresses: 1,
            ports: if self.has_ports() { PORTS } else { 1 },
            room: self.capacity.people.min(MOST_ROOM),
        }
    }

    /// Whether people can be seated there.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.state() == Status::Working
    }

    /// What it is to the seats.
    pub(super) fn state(&self) -> Status {
        match self.standing {
            _ if self.is_gone || self.is_blocked => Status::Gone,
            Standing::Leaving => Status::Gone,
            Standing::Carrying if self.is_reached == Some(true) => Status::Working,
            Standing::Carrying | Standing::Paused | Standing::Spent => Status::Paused,
        }
    }
}
