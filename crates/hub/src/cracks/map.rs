//! What is taken in, and what is pushed out.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use wire::crack::{Crack, Hour, Network, Passage};
use wire::echo::{Shape, Transport};
use wire::receipt::{Receipt, RelayTag, Rung, Worthless};
use wire::signer::PublicKey;
use wire::trusted::Trusted;

use super::seen::Seen;

/// How many networks that relays have looked up, and ways in each.
pub(super) const NETWORKS: Room = Room { networks: 128, ways: 256 };
/// The same of those that people have named, or nobody knows.
pub(super) const TOLD: Room = Room { networks: 64, ways: 64 };

/// What there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub networks: usize,
    pub ways: usize,
}

/// A receipt does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// It is worthless in itself.
    #[error(transparent)]
    Worthless(#[from] Worthless),
    /// Its relay is not one of the fleet's.
    #[error("this receipt is of a relay that is not, or no longer, one of ours")]
    Stranger,
    /// Something passed, but less than what is of use.
    #[error("this receipt says that an answer came, not that 64 KiB passed each way")]
    Shallow,
}

/// What a receipt did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It says something new.
    New,
    /// This relay's hour counts for this way already, or is older than what there is room for.
    Known,
}

/// Opens a receipt that somebody has sent: of a relay that one of these signers has certified and that
/// is one of ours, at `now` (Unix seconds), and of as much as is of use.
///
/// # Errors
/// [`Refusal`].
pub fn check(
    bytes: &[u8],
    signers: &[PublicKey],
    is_ours: impl FnOnce(RelayTag) -> bool,
    now: u64,
) -> Result<Trusted<Receipt>, Refusal> {
    let receipt = Receipt::open(bytes, signers, now)?;
    if !is_ours(receipt.tag()) {
        return Err(Refusal::Stranger);
    }
    is_deep(&receipt)?;
    Ok(receipt)
}

fn is_deep(receipt: &Trusted<Receipt>) -> Result<(), Refusal> {
    if receipt.statement().rung < Rung::Through { Err(Refusal::Shallow) } else { Ok(()) }
}

/// A way, in some network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Way {
    pub transport: Transport,
    pub port: NonZeroU16,
    pub shape: Shape,
}

impl Way {
    fn of(passage: &Passage) -> Self {
        let &Passage { transport, port, shape, .. } = passage;
        Self { transport, port, shape }
    }
}

/// Ways by network.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Ways(pub BTreeMap<Network, BTreeMap<Way, Seen>>);

/// The map.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Map {
    /// In networks that relays have looked up.
    pub(super) found: Ways,
    /// In those that people have named, or that nobody knows.
    pub(super) told: Ways,
}

impl Map {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a receipt that somebody has sent, as [`check`] does it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn take(
        &mut self,
        bytes: &[u8],
        signers: &[PublicKey],
        is_ours: impl FnOnce(RelayTag) -> bool,
        now: u64,
    ) -> Result<Taken, Refusal> {
        self.add(&check(bytes, signers, is_ours, now)?, Hour::at(now))
    }

    /// Takes in a receipt that was checked.
    ///
    /// # Errors
    /// [`Refusal::Shallow`].
    pub fn add(&mut self, receipt: &Trusted<Receipt>, now: Hour) -> Result<Taken, Refusal> {
        is_deep(receipt)?;
        let said = receipt.statement();
        Ok(self.count(&said.passage, said.is_told, receipt.tag(), said.hour, now))
    }

    pub(super) fn count(
        &mut self,
        passage: &Passage,
        is_told: bool,
        relay: RelayTag,
        hour: Hour,
        now: Hour,
    ) -> Taken {
        let is_found = !is_told && passage.network != Network::Unknown;
        let (ways, room) =
            if is_found { (&mut self.found, NETWORKS) } else { (&mut self.told, TOLD) };
        let is_new = ways.change(passage, room, now, |seen| seen.add(relay, hour));
        if is_new { Taken::New } else { Taken::Known }
    }

    /// Takes in what others know whom we trust to have looked.
    pub fn add_cracks(&mut self, cracks: &[Crack], now: Hour) {
        for Crack { passage, seen, receipts } in cracks {
            let add = |known: &mut Seen| {
                known.add_others(*seen, *receipts);
                true
            };
            self.found.change(passage, NETWORKS, now, add);
        }
    }
}

impl Ways {
    /// Changes what speaks for a way, and pushes out what is of least use where there is no more room.
    fn change(
        &mut self,
        passage: &Passage,
        room: Room,
        now: Hour,
        change: impl FnOnce(&mut Seen) -> bool,
    ) -> bool {
        let way = Way::of(passage);
        let ways = self.0.entry(passage.network.clone()).or_default();
        let is_new = change(ways.entry(way).or_default());
        if ways.len() > room.ways
            && let Some(least) =
                ways.iter().min_by(|a, b| use_of(a, now).total_cmp(&use_of(b, now)))
        {
            let least = *least.0;
            ways.remove(&least);
        }
        if self.0.len() > room.networks {
            let of = |ways: &BTreeMap<Way, Seen>| {
                ways.iter().map(|way| use_of(&way, now)).fold(0.0, f64::max)
            };
            let least = self.0.iter().min_by(|(_, a), (_, b)| of(a).total_cmp(&of(b)));
            if let Some(least) = least.map(|(network, _)| network.clone()) {
                self.0.remove(&least);
            }
        }
        is_new && self.0.get(&passage.network).is_some_and(|ways| ways.contains_key(&way))
    }
}

/// Of how much use a way is: what two relays have seen is of more than anything that one has.
fn use_of((_, seen): &(&Way, &Seen), now: Hour) -> f64 {
    const MORE: f64 = 1e6;
    seen.weight(now) + if seen.relays(now) > 1 { MORE } else { 0.0 }
}
