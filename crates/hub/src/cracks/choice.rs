//! What comes first.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::num::NonZeroU16;

use wire::bundle::{MOST_CRACKS, QUIET_PORTS};
use wire::crack::{Crack, Hour, Network, Passage};
use wire::echo::{Shape, Transport};
use wire::receipt::RelayTag;

use super::map::{Map, Way, Ways};
use super::seen::Seen;

/// How many cracks a bundle has in a network that is somebody's word alone. Whoever has one bundle can
/// have as many such receipts as they like, of networks where they are not.
pub(super) const MOST_TOLD: usize = 16;

/// What a choice rests on, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// Two relays at least have lately seen it in this network.
    Vouched,
    /// One has, or it was longer ago.
    Seen,
    /// Somebody says that it was this network.
    Told,
    /// It was seen in another network, or one that nobody knows.
    Elsewhere,
    /// It is one of the ports where relays answer first ([`QUIET_PORTS`]), no more.
    Usual,
}

/// A way to try.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Choice {
    /// What carries it.
    pub transport: Transport,
    /// Which port.
    pub port: NonZeroU16,
    /// What passes there.
    pub shape: Shape,
    /// What it rests on.
    pub standing: Standing,
    /// Whether the relay itself has seen it that was asked for.
    pub is_own: bool,
    /// How many relays have lately seen it.
    pub relays: usize,
    /// How many hours of relays speak for it; one counts half after six more.
    pub weight: f64,
}

impl Map {
    /// Which ways to try in a network, the best first: what relays have seen there, then by turns what
    /// people tell of it and what passes elsewhere, then ports where relays answer as a rule. Where a `relay` is named, what it has seen itself goes
    /// first among its equals. Whether the relay answers there at all is for the caller to know.
    ///
    /// It walks over the whole map, so the answer is worth keeping for a minute.
    #[must_use]
    pub fn best(
        &self,
        network: &Network,
        transport: Transport,
        relay: Option<RelayTag>,
        now: Hour,
    ) -> Vec<Choice> {
        let mut choices: BTreeMap<Way, Choice> = BTreeMap::new();
        let mut add = |way: Way, seen: Option<&Seen>, standing| {
            if way.transport != transport {
                return;
            }
            let weight = seen.map_or(0.0, |seen| seen.weight(now));
            let is_own = seen.zip(relay).is_some_and(|(seen, relay)| seen.is_of(relay));
            let relays = seen.map_or(0, |seen| seen.relays(now));
            let Way { transport, port, shape } = way;
            let new = Choice { transport, port, shape, standing, is_own, relays, weight };
            let known = choices.entry(way).or_insert(new);
            match known.standing.cmp(&standing) {
                Ordering::Less => {}
                // It is the first, or passes in two other networks.
                Ordering::Equal => {
                    known.weight = known.weight.max(weight);
                    known.relays = known.relays.max(relays);
                    known.is_own |= is_own;
                }
                Ordering::Greater => *known = new,
            }
        };
        for (ways, is_found) in [(&self.found, true), (&self.told, false)] {
            for (of, way, seen) in ways.all() {
                let standing = match (of == network && *of != Network::Unknown, is_found) {
                    (true, true) if seen.relays(now) > 1 => Standing::Vouched,
                    (true, true) => Standing::Seen,
                    (true, false) => Standing::Told,
                    (false, _) => Standing::Elsewhere,
                };
                add(way, Some(seen), standing);
            }
        }
        for port in QUIET_PORTS.into_iter().filter_map(NonZeroU16::new) {
            let shape = match port.get() {
                443 | 8443 => Shape::Tls,
                80 => Shape::Printable,
                _ => Shape::Random,
            };
            add(Way { transport, port, shape }, None, Standing::Usual);
        }
        let mut choices: Vec<Choice> = choices.into_values().collect();
        let place = |port: NonZeroU16| QUIET_PORTS.iter().position(|quiet| *quiet == port.get());
        choices.sort_by(|a, b| {
            let rank = |choice: &Choice| {
                (choice.standing, Reverse(choice.is_own), Reverse(choice.relays.min(2)))
            };
            let usual = |choice: &Choice| (place(choice.port).unwrap_or(usize::MAX), choice.port);
            let order = rank(a).cmp(&rank(b)).then(b.weight.total_cmp(&a.weight));
            order.then_with(|| (usual(a), a.shape).cmp(&(usual(b), b.shape)))
        });
        take_turns(&choices)
    }

    /// The cracks for a bundle, in one network or in all: as many as it has room for, the best first,
    /// and few that rest on people's word for their network.
    #[must_use]
    pub fn cracks(&self, network: Option<&Network>, now: Hour) -> Vec<Crack> {
        let ranked = |ways: &Ways| {
            let is_asked = |of: &Network| network.is_none_or(|network| network == of);
            let all = ways.all().filter(|(of, _, _)| is_asked(of));
            let mut all: Vec<(bool, f64, Crack)> = all
                .map(|(network, way, seen)| {
                    let Way { transport, port, shape } = way;
                    let passage = Passage { network: network.clone(), transport, port, shape };
                    let latest = seen.latest().unwrap_or(Hour(0));
                    let crack = Crack { passage, seen: latest, receipts: seen.receipts() };
                    (seen.relays(now) < 2, seen.weight(now), crack)
                })
                .collect();
            all.sort_by(|(alone, weight, crack), (other_alone, other_weight, other)| {
                let order = alone.cmp(other_alone).then(other_weight.total_cmp(weight));
                order.then_with(|| crack.passage.cmp(&other.passage))
            });
            all.into_iter().map(|(_, _, crack)| crack)
        };
        let mut cracks: Vec<Crack> = ranked(&self.found).take(MOST_CRACKS).collect();
        let is_new = |crack: &Crack| {
            let known = self.found.0.get(&crack.passage.network);
            let Passage { transport, port, shape, .. } = crack.passage;
            known.is_none_or(|ways| !ways.contains_key(&Way { transport, port, shape }))
        };
        let room = MOST_TOLD.min(MOST_CRACKS - cracks.len());
        cracks.extend(ranked(&self.told).filter(is_new).take(room));
        cracks
    }
}

/// What people tell of this network and what passes in others take turns: a flood of the former costs
/// the latter half of its places, and the other way round.
fn take_turns(sorted: &[Choice]) -> Vec<Choice> {
    let of = |standing| sorted.iter().filter(move |choice| choice.standing == standing).copied();
    let first = sorted.iter().filter(|choice| choice.standing < Standing::Told).copied();
    let (mut told, mut elsewhere) = (of(Standing::Told), of(Standing::Elsewhere));
    let turns = std::iter::from_fn(|| {
        let both = [elsewhere.next(), told.next()];
        both.iter().any(Option::is_some).then_some(both)
    });
    first.chain(turns.flatten().flatten()).chain(of(Standing::Usual)).collect()
}

impl Ways {
    fn all(&self) -> impl Iterator<Item = (&Network, Way, &Seen)> {
        self.0
            .iter()
            .flat_map(|(network, ways)| ways.iter().map(move |(way, seen)| (network, *way, seen)))
    }
}
