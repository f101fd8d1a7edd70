//! What is tried when. Pure: what came of it is told by the caller.
//!
//! First what others proved or say, best first; then, at a relay that the bundle calls quiet, the ports
//! which that means; then the ports of [`infrastructure`], once at each relay; then all others, in an
//! order of this person's own; and at last datagrams to relays that took none there when the bundle was
//! made. Relays take turns, so that a port which is shut and a relay which is blocked are told apart at
//! no cost.

pub mod infrastructure;
pub mod reports;
mod shuffle;

#[cfg(test)]
mod tests;

use std::cell::LazyCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use wire::echo::{Shape, Transport};

use crate::target::Road;
use crate::{Spot, Targets};
pub use reports::{Claim, Report, Source, rank};
use shuffle::Shuffle;

/// How often a claim is believed before it goes back to its natural place: somebody's word; and what
/// a relay or the signer has proven for this network, which is no lie, though a packet may be lost.
const TRIES: u8 = 2;
pub(crate) const PROVEN_TRIES: u8 = 4;
/// How many of the proven have so many: those of yesterday may all be shut.
const MOST_PROVEN: usize = 16;
/// How many others are tried before what is proven is tried once more; then four times as many.
const SPACE: u64 = 1;

/// Every spot of some targets, once, the most promising first.
pub struct Order {
    roads: Vec<Arc<Road>>,
    transports: Vec<Transport>,
    /// Whether each port is tried at each relay, or at one of them.
    everywhere: bool,
    near: VecDeque<(Spot, Shape)>,
    claims: VecDeque<Belief>,
    /// Proven ones that failed, and how many must have been given before they are again.
    spaced: Vec<(u64, Belief)>,
    /// How many were given.
    count: u64,
    /// What was given on somebody's word.
    believed: HashMap<u64, Belief>,
    /// Made when it is needed.
    shuffle: LazyCell<Shuffle, Box<dyn FnOnce() -> Shuffle + Send>>,
    /// Where we are in list and shuffle, and in which round over the roads.
    stage: Stage,
    /// Whether it is the turn of what is unlikely, and whether there was any.
    is_late: bool,
    has_unlikely: bool,
    given: Given,
    turn: usize,
}

#[derive(Clone, Copy)]
enum Stage {
    List { round: usize, at: usize },
    Rest { round: usize, at: usize },
    End,
}

/// A claim, how often it was given, and how often it is given at most.
#[derive(Clone, Copy)]
struct Belief {
    claim: Claim,
    given: u8,
    most: u8,
}

/// A port, and what is said there.
type Entry = (Transport, u16, Shape);

/// One bit for each spot that was given.
struct Given(Vec<u64>);

impl Order {
    /// Over these targets. `key` and `epoch` are this person's own, and give the order of the rest.
    #[must_use]
    pub fn new(
        targets: &Targets,
        claims: impl IntoIterator<Item = Claim>,
        transports: &[Transport],
        key: &[u8; 32],
        epoch: u64,
    ) -> Self {
        let key = *key;
        let mut proven = 0;
        let belief = |claim: Claim| {
            proven += usize::from(claim.is_proven);
            let has_more = claim.is_proven && proven <= MOST_PROVEN;
            let most = if has_more { PROVEN_TRIES } else { TRIES };
            Belief { claim, given: 0, most }
        };
        Self {
            roads: targets.roads().to_vec(),
            transports: transports.to_vec(),
            everywhere: true,
            near: VecDeque::new(),
            claims: claims.into_iter().map(belief).collect(),
            spaced: Vec::new(),
            count: 0,
            believed: HashMap::new(),
            shuffle: LazyCell::new(Box::new(move || Shuffle::new(&key, epoch))),
            stage: Stage::List { round: 0, at: 0 },
            is_late: false,
            has_unlikely: false,
            given: Given(Vec::new()),
            turn: 0,
        }
    }

    /// Each port once, at one of the relays: what passes at one is then tried at the others. What is
    /// claimed is tried again only at another relay: whoever asks for this order asks everything in a
    /// moment, and again whatever was silent where packets get lost.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.everywhere = false;
        self
    }

    /// The next of those that passed at another relay.
    pub fn next_near(&mut self) -> Option<(Spot, Shape)> {
        while let Some(next) = self.near.pop_front() {
            if self.given.take(&next.0) {
                return Some(next);
            }
        }
        None
    }

    /// What is to be tried next; `None` when everything has been.
    #[expect(clippy::should_implement_trait, reason = "what it gives depends on what it is told")]
    pub fn next(&mut self) -> Option<(Spot, Shape)> {
        let next = self.find();
        self.count += u64::from(next.is_some());
        next
    }

    fn find(&mut self) -> Option<(Spot, Shape)> {
        if let Some(near) = self.next_near() {
            return Some(near);
        }
        if let Some(again) = self.next_spaced(self.count) {
            return Some(again);
        }
        while let Some(belief) = self.claims.pop_front() {
            if let Some(next) = self.claimed(belief) {
                return Some(next);
            }
        }
        while let Some((round, entry)) = self.step() {
            let Some((transport, port, shape)) = entry else { continue };
            if !self.transports.contains(&transport) {
                continue;
            }
            if let Some(spot) = self.spot(round, transport, port) {
                return Some((spot, shape));
            }
        }
        self.next_spaced(u64::MAX)
    }

    /// What is proven, and due by now.
    fn next_spaced(&mut self, now: u64) -> Option<(Spot, Shape)> {
        while let Some(at) = self.spaced.iter().position(|(due, _)| *due <= now) {
            let (_, belief) = self.spaced.remove(at);
            if let Some(next) = self.claimed(belief) {
                return Some(next);
            }
        }
        None
    }

    /// Nothing passed here. If it was claimed, it is tried once more, after the other claims, or if it
    /// is proven, after a few others; then it is like any port.
    pub fn failed(&mut self, spot: &Spot) {
        let Some(belief) = self.believed.remove(&spot.key()) else { return };
        if belief.given >= belief.most {
            return;
        }
        if belief.most == PROVEN_TRIES {
            let space = SPACE << (2 * (belief.given - 1));
            self.spaced.push((self.count + space, belief));
        } else {
            self.claims.push_back(belief);
        }
    }

    /// How often this one was given before, since somebody claims that it is open.
    pub(crate) fn times_before(&self, spot: &Spot) -> u8 {
        self.believed.get(&spot.key()).map_or(0, |belief| belief.given.saturating_sub(1))
    }

    /// Without what another order has given so far.
    pub(crate) fn without(mut self, other: &Self) -> Self {
        self.given = Given(other.given.0.clone());
        self
    }

    /// This one passes: the same at the other relays is next.
    pub fn found(&mut self, spot: &Spot, shape: Shape) {
        if !self.transports.contains(&spot.transport()) {
            return;
        }
        for road in &self.roads {
            if road.relay != spot.relay()
                && let Some(other) = road.spot(spot.transport(), spot.port())
            {
                self.near.push_back((other, shape));
            }
        }
    }

    /// Leaves out a relay from now on, or has it again.
    pub(crate) fn keep_roads(&mut self, keep: impl Fn(&Road) -> bool) {
        self.roads.retain(|road| keep(road));
    }

    /// The entry at which we are, and moves on: the round it belongs to and, if it is a port, which.
    fn step(&mut self) -> Option<(usize, Option<Entry>)> {
        let rounds = if self.everywhere { self.roads.len() } else { 1 };
        match &mut self.stage {
            Stage::List { round, at } => match listed(&self.roads, *round + *at + 1, *at) {
                Some(entry) => {
                    *at += 1;
                    Some((*round + *at, entry))
                }
                None if *round + 1 < rounds => {
                    (*round, *at) = (*round + 1, 0);
                    Some((0, None))
                }
                None => {
                    self.stage = Stage::Rest { round: 0, at: 0 };
                    Some((0, None))
                }
            },
            Stage::Rest { round, at } => match self.shuffle.get(*at) {
                Some((transport, port)) => {
                    *at += 1;
                    let turn = *round + *at;
                    Some((turn, Some((transport, port, infrastructure::shape(transport, port)))))
                }
                None if *round + 1 < rounds => {
                    (*round, *at) = (*round + 1, 0);
                    Some((0, None))
                }
                None if self.has_unlikely && !self.is_late => {
                    self.is_late = true;
                    self.stage = Stage::List { round: 0, at: 0 };
                    Some((0, None))
                }
                None => {
                    self.stage = Stage::End;
                    None
                }
            },
            Stage::End => None,
        }
    }

    /// This port at the relay whose turn it is; without such a relay, or where it had its turn with
    /// a claim, at the next that serves it.
    fn spot(&mut self, turn: usize, transport: Transport, port: u16) -> Option<Spot> {
        let many = self.roads.len();
        if many == 0 {
            return None;
        }
        if !self.everywhere && self.given.has_port(self.roads.iter(), transport, port) {
            return None;
        }
        let tries = if self.everywhere { 1 } else { many };
        for more in 0..tries {
            let road = &self.roads[(turn + more) % many];
            let Some(spot) = road.spot(transport, port) else { continue };
            if !self.is_late && !spot.is_likely() {
                self.has_unlikely = true;
            } else if self.given.take(&spot) {
                return Some(spot);
            }
        }
        None
    }

    fn claimed(&mut self, belief: Belief) -> Option<(Spot, Shape)> {
        let Belief { claim, given, .. } = belief;
        if !self.transports.contains(&claim.transport) {
            return None;
        }
        let many = self.roads.len();
        let proven = self.roads.iter().position(|road| Some(road.tag) == claim.relay);
        for more in 0..many {
            self.turn += 1;
            // A relay's own receipt speaks for that relay first.
            let own = proven.filter(|_| more == 0 && given % 2 == 0);
            let road = &self.roads[own.unwrap_or(self.turn % many)];
            if let Some(spot) = road.spot(claim.transport, claim.port) {
                // A second try goes to the next relay, or once more to the only one.
                if self.given.take(&spot) || (given > 0 && self.everywhere) {
                    self.believed.insert(spot.key(), Belief { given: given + 1, ..belief });
                    return Some((spot, claim.shape));
                }
            }
        }
        None
    }
}

/// What the list has at this place for the relay whose turn it is: where one answered when its bundle
/// was made goes before the rest. `None` at the end of the longest list, `Some(None)` behind a shorter.
fn listed(roads: &[Arc<Road>], turn: usize, at: usize) -> Option<Option<Entry>> {
    let all = infrastructure::PORTS.len();
    let longest = roads.iter().map(|road| road.first.len()).max().unwrap_or(0) + all;
    if at >= longest {
        return None;
    }
    let road = &roads[turn.checked_rem(roads.len())?];
    if let Some((transport, port)) = road.first.get(at).copied() {
        return Some(Some((transport, port, infrastructure::shape(transport, port))));
    }
    let entry = infrastructure::PORTS.get(at - road.first.len());
    Some(entry.map(|port| (port.transport, port.port, port.shape)))
}

impl Given {
    /// Whether it is given for the first time.
    fn take(&mut self, spot: &Spot) -> bool {
        let (word, bit) = Self::place(spot);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    fn has_port<'a>(
        &self,
        mut roads: impl Iterator<Item = &'a Arc<Road>>,
        transport: Transport,
        port: u16,
    ) -> bool {
        roads.any(|road| {
            road.spot(transport, port).is_some_and(|spot| {
                let (word, bit) = Self::place(&spot);
                self.0.get(word).is_some_and(|bits| bits & bit != 0)
            })
        })
    }

    fn place(spot: &Spot) -> (usize, u64) {
        let key = spot.key();
        (usize::try_from(key / 64).expect("some hundred relays"), 1 << (key % 64))
    }
}
