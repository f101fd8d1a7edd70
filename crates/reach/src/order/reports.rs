//! What others say is open. Reports change the order and remove nothing.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use wire::crack::{Crack, Hour, Network, Passage, freshness};
use wire::echo::{Shape, Transport};
use wire::receipt::{Receipt, RelayTag};
use wire::trusted::Trusted;

/// How many receipts of one hour count: one person can ask for many.
const MOST_AN_HOUR: u32 = 8;
/// What a report from another network, or an unknown one, is worth beside one from this one.
const ELSEWHERE: f64 = 1.0 / 16.0;

/// Somebody says that a port is open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What passed, and in which network.
    pub passage: Passage,
    /// When.
    pub hour: Hour,
    /// Who says so.
    pub source: Source,
}

/// Who says that a port is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// This relay, by a receipt that was checked; the number tells its receipts apart.
    Receipt(RelayTag, u64),
    /// The signer of the bundle, who has seen so many receipts.
    Signer(u32),
    /// Somebody, without proof; the number tells people apart, as far as anybody can.
    Word(u64),
}

/// A port that is tried before the list.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Claim {
    /// What carries it.
    pub transport: Transport,
    /// Its port.
    pub port: u16,
    /// What is said to pass there.
    pub shape: Shape,
    /// Which relay has proven it, if one has: it is asked first.
    pub relay: Option<RelayTag>,
    /// Whether receipts prove it, for the network where we are.
    pub is_proven: bool,
}

impl From<&Crack> for Report {
    fn from(crack: &Crack) -> Self {
        let source = Source::Signer(crack.receipts.into());
        Self { passage: crack.passage.clone(), hour: crack.seen, source }
    }
}

impl From<&Trusted<Receipt>> for Report {
    fn from(receipt: &Trusted<Receipt>) -> Self {
        let statement = receipt.statement();
        let mut hasher = DefaultHasher::new();
        statement.hash(&mut hasher);
        let source = Source::Receipt(receipt.tag(), hasher.finish());
        Self { passage: statement.passage.clone(), hour: statement.hour, source }
    }
}

#[derive(Default)]
struct Case {
    relay: Option<RelayTag>,
    proven: f64,
    told: f64,
    is_here: bool,
    shapes: HashMap<Shape, f64>,
}

/// Puts what others say in order: what is proven for this network, then what is proven elsewhere or
/// merely told for it, each by how many say so and how lately.
#[must_use]
pub fn rank(reports: &[Report], network: &Network, now: Hour) -> Vec<Claim> {
    let mut seen = HashSet::new();
    let mut each_hour: HashMap<(Transport, u16, Hour), u32> = HashMap::new();
    let mut cases: HashMap<(Transport, u16), Case> = HashMap::new();
    for Report { passage, hour, source } in reports {
        let (transport, port) = (passage.transport, passage.port.get());
        // What is told twice by the same is told once; nor does a day to come count.
        let who = match source {
            Source::Receipt(relay, id) => (relay.0, *id),
            Source::Signer(_) => ([0; 8], u64::from(hour.0)),
            Source::Word(who) => ([1; 8], *who),
        };
        if !seen.insert((who, transport, port)) || hour.0 > now.0 + 1 {
            continue;
        }
        let is_here = passage.network == *network || Network::Unknown == *network;
        let weight = freshness(*hour, now) * if is_here { 1.0 } else { ELSEWHERE };
        let case = cases.entry((transport, port)).or_default();
        case.is_here |= is_here;
        match source {
            Source::Receipt(relay, _) => {
                let so_far = each_hour.entry((transport, port, *hour)).or_default();
                *so_far += 1;
                case.relay = Some(*relay);
                case.proven += if *so_far <= MOST_AN_HOUR { weight } else { 0.0 };
            }
            Source::Signer(receipts) => {
                case.proven += weight * f64::from((*receipts).clamp(1, MOST_AN_HOUR));
            }
            Source::Word(_) => case.told += weight,
        }
        *case.shapes.entry(passage.shape).or_default() += weight;
    }
    let mut ranked: Vec<_> = cases.into_iter().collect();
    let rank = |case: &Case| (case.proven > 0.0 && case.is_here, case.proven, case.told);
    ranked.sort_by(|(a_port, a), (b_port, b)| {
        let order = rank(b).partial_cmp(&rank(a)).unwrap_or(std::cmp::Ordering::Equal);
        order.then_with(|| a_port.cmp(b_port))
    });
    let claim = |((transport, port), case): ((Transport, u16), Case)| {
        let best = case.shapes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let shape = best.map_or(Shape::Random, |(shape, _)| shape);
        let is_proven = case.is_here && case.proven > 0.0;
        Claim { transport, port, shape, relay: case.relay, is_proven }
    };
    ranked.into_iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Network = Network::As(9198);
    const NOW: Hour = Hour(500_000);

    fn report(network: Network, port: u16, ago: u32, source: Source) -> Report {
        let (transport, shape) = (Transport::Tcp, Shape::Tls);
        let port = port.try_into().expect("not 0");
        let passage = Passage { network, transport, port, shape };
        Report { passage, hour: Hour(NOW.0 - ago), source }
    }

    fn ports(reports: &[Report]) -> Vec<u16> {
        rank(reports, &HERE, NOW).iter().map(|claim| claim.port).collect()
    }

    fn receipt(number: u64) -> Source {
        Source::Receipt(RelayTag([1; 8]), number)
    }

    #[test]
    fn one_receipt_of_here_goes_before_a_thousand_words_and_what_was_proven_elsewhere() {
        let mut reports = vec![report(HERE, 1, 1, receipt(1))];
        reports.extend((0..1000).map(|who| report(HERE, 2, 0, Source::Word(who))));
        reports.extend((0..9).map(|at| report(Network::As(1), 3, 0, receipt(100 + at))));
        assert_eq!(ports(&reports), [1, 3, 2]);
    }

    #[test]
    fn yesterdays_receipts_count_less_than_this_hours() {
        let mut reports: Vec<_> = (0..8).map(|at| report(HERE, 1, 24, receipt(at))).collect();
        reports.push(report(HERE, 2, 0, receipt(9)));
        assert_eq!(ports(&reports), [2, 1], "eight of a day ago are half of one");
    }

    #[test]
    fn who_says_it_often_says_it_once_and_an_hour_has_room_for_eight() {
        let mut reports = vec![report(HERE, 1, 0, Source::Word(1)); 100];
        reports.extend([report(HERE, 2, 0, Source::Word(2)), report(HERE, 2, 0, Source::Word(3))]);
        assert_eq!(ports(&reports), [2, 1]);
        let mut reports: Vec<_> = (0..100).map(|at| report(HERE, 1, 0, receipt(at))).collect();
        reports.extend((0..5).map(|at| report(HERE, 2, 0, receipt(200 + at))));
        reports.extend((0..5).map(|at| report(HERE, 2, 1, receipt(300 + at))));
        assert_eq!(ports(&reports), [2, 1]);
    }

    #[test]
    fn a_report_of_tomorrow_does_not_count() {
        let tomorrow = Report { hour: Hour(NOW.0 + 24), ..report(HERE, 1, 0, receipt(1)) };
        assert_eq!(ports(&[tomorrow]), [0_u16; 0]);
    }
}
