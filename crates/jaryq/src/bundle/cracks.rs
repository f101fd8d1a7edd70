//! What receipts say of cracks.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use wire::bundle::MOST_CRACKS;
use wire::crack::{Crack, Hour, Network, Passage};
use wire::receipt::{Receipt, RelayTag, Rung};
use wire::signer::PublicKey;

/// How many receipts of a report are looked at.
const MOST_RECEIPTS: usize = 10_000;
/// How many cracks a bundle has in a network that is somebody's word alone. Whoever has one bundle can
/// have as many such receipts as they like, of networks where they are not.
const MOST_TOLD: usize = 16;

/// Cracks that are known.
#[derive(Default)]
pub(super) struct Known(HashMap<Passage, Seen>);

/// What speaks for one.
#[derive(Default)]
struct Seen {
    /// Who says so and of which hour, where the relay has looked the network up.
    found: HashSet<(RelayTag, Hour)>,
    /// The same where it has not.
    told: HashSet<(RelayTag, Hour)>,
    /// What others say whose bundles we take in: the last hour, and how many receipts they have.
    others: Option<(Hour, u16)>,
}

impl Known {
    /// Takes in what a report proves, and tells how many of its receipts count: those of these signers'
    /// relays, in this network if one is named, where 64 KiB passed.
    pub(super) fn read(
        &mut self,
        report: &str,
        signers: &[PublicKey],
        network: Option<&Network>,
        now: u64,
    ) -> usize {
        let mut counted = 0;
        for bytes in Receipt::find(report, MOST_RECEIPTS) {
            let Ok(receipt) = Receipt::open(&bytes, signers, now) else { continue };
            let said = receipt.statement();
            let is_here = network.is_none_or(|network| *network == said.passage.network);
            if said.rung < Rung::Through || !is_here {
                continue;
            }
            counted += 1;
            let seen = self.0.entry(said.passage.clone()).or_default();
            let is_found = !said.is_told && said.passage.network != Network::Unknown;
            let of = if is_found { &mut seen.found } else { &mut seen.told };
            of.insert((receipt.tag(), said.hour));
        }
        counted
    }

    /// Takes in what others know, whom we trust to have looked.
    pub(super) fn add(&mut self, others: &[Crack]) {
        for other in others {
            let seen = self.0.entry(other.passage.clone()).or_default();
            let (hour, receipts) = seen.others.unwrap_or((other.seen, 0));
            seen.others = Some((hour.max(other.seen), receipts.max(other.receipts)));
        }
    }

    /// As many as there is room for. Those in networks that were looked up come first, and of those the
    /// ones for which most relays and hours speak: one person can make many receipts of one hour.
    pub(super) fn best(self) -> Vec<Crack> {
        let mut ranked: Vec<(bool, Crack)> = self.0.into_iter().map(Seen::rank).collect();
        ranked.sort_by(|(is_told, crack), (other_told, other)| {
            let rank = |crack: &Crack| (Reverse(crack.receipts), Reverse(crack.seen));
            (is_told, rank(crack), &crack.passage).cmp(&(other_told, rank(other), &other.passage))
        });
        let found = ranked.iter().filter(|(is_told, _)| !is_told).count();
        ranked.truncate(found.saturating_add(MOST_TOLD).min(MOST_CRACKS));
        ranked.into_iter().map(|(_, crack)| crack).collect()
    }
}

impl Seen {
    /// Whether it is somebody's word alone, and what a bundle says of it.
    fn rank((passage, Self { found, told, others }): (Passage, Self)) -> (bool, Crack) {
        let is_told = found.is_empty() && others.is_none();
        let ours = if is_told { told } else { found };
        let (hour, receipts) = others.unwrap_or((Hour(0), 0));
        let seen = ours.iter().map(|(_, hour)| *hour).fold(hour, Hour::max);
        // Theirs may be the same as ours.
        let receipts = u16::try_from(ours.len()).unwrap_or(u16::MAX).max(receipts);
        (is_told, Crack { passage, seen, receipts })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use wire::crack::{Hour, Passage};
    use wire::derive::{FleetKey, RelayId};
    use wire::echo::{Shape, Transport};
    use wire::receipt::{Certificate, Statement, Witness};
    use wire::tally::Day;

    use super::*;

    fn passage(network: u32, port: u16) -> Passage {
        let port = NonZeroU16::new(port).expect("a port");
        let network = Network::As(network);
        Passage { network, transport: Transport::Tcp, port, shape: Shape::Random }
    }

    /// What relays of one fleet have signed.
    fn receipts<'a>(
        fleet: u8,
        relay: u8,
        is_told: bool,
        said: impl IntoIterator<Item = &'a (u32, u16, u32, Rung)>,
    ) -> String {
        let fleet = FleetKey::from_bytes([fleet; 32]);
        let relay = fleet.relay_key(&RelayId([relay; 16]));
        let key = relay.receipt_key();
        let until = Day(i64::from(u16::MAX));
        let certificate =
            Certificate::issue(&fleet.signer(), key.public(), &relay.mask_key(), until);
        let witness = Witness::new(key, certificate).expect("its own");
        let text = |&(network, port, hour, rung): &(u32, u16, u32, Rung)| {
            let passage = passage(network, port);
            let said = Statement { passage, is_told, hour: Hour(hour), rung };
            Receipt::text(&witness.sign(&said)) + "\n"
        };
        said.into_iter().map(text).collect()
    }

    fn of(report: &str, network: Option<&Network>) -> (Known, usize) {
        let signer = FleetKey::from_bytes([1; 32]).signer().public();
        let mut known = Known::default();
        let counted = known.read(report, &[signer], network, 200 * 3600);
        (known, counted)
    }

    fn best(known: Known) -> Vec<(u16, u32, u16)> {
        let cracks = known.best();
        let short = |crack: &Crack| (crack.passage.port.get(), crack.seen.0, crack.receipts);
        cracks.iter().map(short).collect()
    }

    #[test]
    fn cracks_are_what_our_own_relays_have_signed_the_best_proven_first() {
        let ours = [
            (9198, 179, 100, Rung::Through),
            (9198, 179, 101, Rung::Alive),
            (9198, 179, 101, Rung::Through),
            (9198, 443, 105, Rung::Echo),
            (9198, 3785, 102, Rung::Through),
            (21_299, 53, 103, Rung::Through),
        ];
        let ours = receipts(1, 1, false, &ours);
        let theirs = receipts(2, 1, false, &[(9198, 80, 104, Rung::Alive)]);
        let report = format!("{theirs}\n{ours}");
        let found = |network| {
            let (known, counted) = of(&report, network);
            (best(known), counted)
        };
        assert_eq!(found(None), (vec![(179, 101, 2), (53, 103, 1), (3785, 102, 1)], 5));
        assert_eq!(found(Some(&Network::As(9198))), (vec![(179, 101, 2), (3785, 102, 1)], 4));
    }

    #[test]
    fn what_people_tell_of_their_network_displaces_nothing_that_was_looked_up() {
        let flood: Vec<_> = (1..=300).map(|port| (9198, port, 199, Rung::Through)).collect();
        let told = receipts(1, 1, true, &flood) + &receipts(1, 2, true, &flood);
        let true_ones: Vec<_> = (1..=60).map(|port| (9198, port * 7, 90, Rung::Through)).collect();
        let report = told.clone() + &receipts(1, 1, false, &true_ones);
        let (known, _) = of(&report, Some(&Network::As(9198)));
        let cracks = best(known);
        let expected: Vec<_> = (1..=60).map(|port| (port * 7, 90, 1)).collect();
        assert_eq!((&cracks[..60], cracks.len()), (&expected[..], MOST_CRACKS));
        assert_eq!(of(&told, None).0.best().len(), MOST_TOLD, "and there is room for later ones");
    }

    #[test]
    fn more_relays_and_hours_speak_louder_than_the_latest_one() {
        let once: Vec<_> = (1..=100).map(|port| (9198, port, 199, Rung::Alive)).collect();
        let (one, other) = ([(9198, 3785, 100, Rung::Through)], [(9198, 3785, 101, Rung::Through)]);
        let report = receipts(1, 1, false, &once)
            + &receipts(1, 1, false, &one)
            + &receipts(1, 2, false, &one)
            + &receipts(1, 2, false, &other);
        assert_eq!(best(of(&report, None).0)[0], (3785, 101, 3));
    }

    #[test]
    fn what_others_have_seen_later_of_a_crack_is_taken_from_them() {
        let report = receipts(1, 1, false, &[(9198, 179, 100, Rung::Through)])
            + &receipts(1, 1, true, &[(9198, 80, 100, Rung::Through)]);
        let crack = |port, hour, receipts| Crack {
            passage: passage(9198, port),
            seen: Hour(hour),
            receipts,
        };
        let mut known = of(&report, None).0;
        known.add(&[crack(179, 150, 1), crack(443, 120, 4)]);
        known.add(&[crack(443, 110, 2)]);
        assert_eq!(best(known), [(443, 120, 4), (179, 150, 1), (80, 100, 1)]);
    }
}
