//! What receipts say of cracks.

use std::collections::HashMap;

use wire::bundle::MOST_CRACKS;
use wire::crack::{Crack, Network};
use wire::receipt::{Receipt, Rung};
use wire::signer::PublicKey;

/// How many receipts of a report are looked at.
const MOST_RECEIPTS: usize = 10_000;

/// The cracks that a report proves, the latest first, and how many of its receipts count for one: those
/// of these signers' relays, in this network if one is named, where 64 KiB passed.
pub(super) fn of(
    report: &str,
    signers: &[PublicKey],
    network: Option<&Network>,
    now: u64,
) -> (Vec<Crack>, usize) {
    let mut cracks = HashMap::new();
    let mut counted = 0;
    for bytes in Receipt::find(report, MOST_RECEIPTS) {
        let Ok(receipt) = Receipt::open(&bytes, signers, now) else { continue };
        let said = receipt.statement();
        let is_here = network.is_none_or(|network| *network == said.passage.network);
        if said.rung < Rung::Through || !is_here {
            continue;
        }
        counted += 1;
        let new = Crack { passage: said.passage.clone(), seen: said.hour, receipts: 0 };
        let crack = cracks.entry(said.passage.clone()).or_insert(new);
        crack.seen = crack.seen.max(said.hour);
        crack.receipts = crack.receipts.saturating_add(1);
    }
    let mut cracks: Vec<Crack> = cracks.into_values().collect();
    arrange(&mut cracks);
    (cracks, counted)
}

/// Those that others have told of, beside our own.
pub(super) fn add(cracks: &mut Vec<Crack>, others: &[Crack]) {
    let is_new = |other: &&Crack| !cracks.iter().any(|crack| crack.passage == other.passage);
    let new: Vec<Crack> = others.iter().filter(is_new).cloned().collect();
    cracks.extend(new);
    arrange(cracks);
}

/// The latest first; as many as there is room for.
fn arrange(cracks: &mut Vec<Crack>) {
    cracks.sort_by(|a, b| {
        (b.seen, b.receipts).cmp(&(a.seen, a.receipts)).then_with(|| a.passage.cmp(&b.passage))
    });
    cracks.truncate(MOST_CRACKS);
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

    fn receipts(fleet: u8, said: &[(u32, u16, u32, Rung)]) -> String {
        let fleet = FleetKey::from_bytes([fleet; 32]);
        let relay = fleet.relay_key(&RelayId([1; 16]));
        let key = relay.receipt_key();
        let until = Day(i64::from(u16::MAX));
        let certificate =
            Certificate::issue(&fleet.signer(), key.public(), &relay.mask_key(), until);
        let witness = Witness::new(key, certificate).expect("its own");
        let text = |&(network, port, hour, rung): &(u32, u16, u32, Rung)| {
            let passage = Passage {
                network: Network::As(network),
                transport: Transport::Tcp,
                port: NonZeroU16::new(port).expect("a port"),
                shape: Shape::Random,
            };
            let said = Statement { passage, is_told: false, hour: Hour(hour), rung };
            Receipt::text(&witness.sign(&said))
        };
        said.iter().map(text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn cracks_are_what_our_own_relays_have_signed_the_latest_first() {
        let ours = receipts(
            1,
            &[
                (9198, 179, 100, Rung::Through),
                (9198, 179, 101, Rung::Alive),
                (9198, 179, 101, Rung::Alive),
                (9198, 443, 105, Rung::Echo),
                (9198, 3785, 102, Rung::Through),
                (21_299, 53, 103, Rung::Through),
            ],
        );
        let theirs = receipts(2, &[(9198, 80, 104, Rung::Alive)]);
        let report = format!("{theirs}\n{ours}");
        let signer = FleetKey::from_bytes([1; 32]).signer().public();
        let found = |network: Option<&Network>| {
            let (cracks, counted) = of(&report, &[signer], network, 200 * 3600);
            let cracks = cracks.iter();
            let cracks =
                cracks.map(|crack| (crack.passage.port.get(), crack.seen.0, crack.receipts));
            (cracks.collect::<Vec<_>>(), counted)
        };
        let all = (vec![(53, 103, 1), (3785, 102, 1), (179, 101, 2)], 4);
        assert_eq!(found(None), all);
        let here = (vec![(3785, 102, 1), (179, 101, 2)], 3);
        assert_eq!(found(Some(&Network::As(9198))), here);
    }
}
