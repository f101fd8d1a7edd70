//! What a report of receipts says of cracks.

use hub::cracks::Map;
use wire::crack::{Hour, Network};
use wire::receipt::Receipt;
use wire::signer::PublicKey;

/// How many receipts of a report are looked at.
const MOST_RECEIPTS: usize = 10_000;

/// Takes in what a report proves, and tells how many of its receipts count: those of these signers'
/// relays, in this network if one is named, where 64 KiB passed.
pub(super) fn read(
    map: &mut Map,
    report: &str,
    signers: &[PublicKey],
    network: Option<&Network>,
    now: u64,
) -> usize {
    let receipts = Receipt::find(report, MOST_RECEIPTS);
    let opened = receipts.iter().filter_map(|bytes| Receipt::open(bytes, signers, now).ok());
    let here = opened.filter(|receipt| {
        network.is_none_or(|network| *network == receipt.statement().passage.network)
    });
    here.filter(|receipt| map.add(receipt, Hour::at(now)).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use wire::crack::Passage;
    use wire::derive::{FleetKey, RelayId};
    use wire::echo::{Shape, Transport};
    use wire::receipt::{Certificate, Rung, Statement, Witness};
    use wire::tally::Day;

    use super::*;

    /// What a fleet's relay has signed: network, port, hour, and how far it went.
    fn receipts(fleet: u8, said: &[(u32, u16, u32, Rung)]) -> String {
        let fleet = FleetKey::from_bytes([fleet; 32]);
        let relay = fleet.relay_key(&RelayId([1; 16]));
        let key = relay.receipt_key();
        let until = Day(i64::from(u16::MAX));
        let certificate =
            Certificate::issue(&fleet.signer(), key.public(), &relay.mask_key(), until);
        let witness = Witness::new(key, certificate).expect("its own");
        let text = |&(network, port, hour, rung): &(u32, u16, u32, Rung)| {
            let (network, port) = (Network::As(network), NonZeroU16::new(port).expect("a port"));
            let (transport, shape) = (Transport::Tcp, Shape::Random);
            let passage = Passage { network, transport, port, shape };
            let said = Statement { passage, is_told: false, hour: Hour(hour), rung };
            Receipt::text(&witness.sign(&said)) + "\n"
        };
        said.iter().map(text).collect()
    }

    #[test]
    fn what_counts_of_a_report_is_what_our_own_relays_have_signed_in_the_network_that_is_named() {
        let ours = [
            (9198, 179, 198, Rung::Through),
            (9198, 179, 199, Rung::Alive),
            (9198, 179, 199, Rung::Through),
            (9198, 443, 199, Rung::Echo),
            (9198, 3785, 190, Rung::Through),
            (21_299, 53, 199, Rung::Through),
        ];
        let theirs = receipts(2, &[(9198, 80, 199, Rung::Alive)]);
        let report = format!("{theirs}\n{}", receipts(1, &ours));
        let signer = FleetKey::from_bytes([1; 32]).signer().public();
        let found = |network| {
            let mut map = Map::new();
            let counted = read(&mut map, &report, &[signer], network, 200 * 3600);
            let cracks = map.cracks(None, Hour(200));
            let ports: Vec<u16> = cracks.iter().map(|crack| crack.passage.port.get()).collect();
            (ports, counted)
        };
        assert_eq!(found(None), (vec![179, 53, 3785], 5));
        assert_eq!(found(Some(&Network::As(9198))), (vec![179, 3785], 4));
    }
}
