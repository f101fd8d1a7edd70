//! What others say is open. Reports change the order and remove nothing.

use std::collections::{HashMap, HashSet};

use wire::echo::{Shape, Transport};

/// After how long a report counts half, in hours: shutdowns opened and closed every few hours.
const HALF_LIFE: f64 = 6.0;
/// How many receipts of one hour count: one person can ask for many.
const MOST_AN_HOUR: u32 = 8;

/// Somebody says that a port is open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// In which network; `None` when nobody knows.
    pub network: Option<String>,
    /// What carries it.
    pub transport: Transport,
    /// Its port.
    pub port: u16,
    /// What passed there.
    pub shape: Shape,
    /// When, in hours since 1970.
    pub hour: u32,
    /// Who says so.
    pub source: Source,
}

/// Who says that a port is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A relay, by a receipt that was checked; the number tells receipts apart.
    Receipt(u64),
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
}

#[derive(Default)]
struct Case {
    proven: f64,
    told: f64,
    is_here: bool,
    shapes: HashMap<Shape, f64>,
}

/// Puts what others say in order: what is proven for this network, then what is proven elsewhere or
/// merely told for it, each by how many say so and how lately.
#[must_use]
pub fn rank(reports: &[Report], network: Option<&str>, hour: u32) -> Vec<Claim> {
    let mut seen = HashSet::new();
    let mut each_hour: HashMap<(Transport, u16, u32), u32> = HashMap::new();
    let mut cases: HashMap<(Transport, u16), Case> = HashMap::new();
    for report in reports {
        // A port that is told twice by the same is told once; nor does a day to come count.
        let source = match report.source {
            Source::Receipt(id) => (0, id, report.port, report.transport),
            Source::Signer(_) => (1, u64::from(report.hour), report.port, report.transport),
            Source::Word(who) => (2, who, report.port, report.transport),
        };
        if !seen.insert(source) || report.hour > hour + 1 {
            continue;
        }
        let age = f64::from(hour.saturating_sub(report.hour));
        let fresh = 0.5_f64.powf(age / HALF_LIFE);
        let here = match (&report.network, network) {
            (Some(theirs), Some(ours)) => theirs == ours,
            _ => true,
        };
        let case = cases.entry((report.transport, report.port)).or_default();
        let weight = if here { fresh } else { fresh / 16.0 };
        case.is_here |= here;
        match report.source {
            Source::Receipt(_) => {
                let slot = (report.transport, report.port, report.hour);
                let so_far = each_hour.entry(slot).or_default();
                *so_far += 1;
                if *so_far <= MOST_AN_HOUR {
                    case.proven += weight;
                }
            }
            Source::Signer(receipts) => {
                case.proven += weight * f64::from(receipts.clamp(1, MOST_AN_HOUR));
            }
            Source::Word(_) => case.told += weight,
        }
        *case.shapes.entry(report.shape).or_default() += weight;
    }
    let mut ranked: Vec<_> = cases.into_iter().collect();
    let rank = |case: &Case| (case.proven > 0.0 && case.is_here, case.proven, case.told);
    ranked.sort_by(|(a_port, a), (b_port, b)| {
        let order = rank(b).partial_cmp(&rank(a)).unwrap_or(std::cmp::Ordering::Equal);
        order.then_with(|| a_port.cmp(b_port))
    });
    let claim = |((transport, port), case): ((Transport, u16), Case)| {
        let best = case.shapes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        Claim { transport, port, shape: best.map_or(Shape::Random, |(shape, _)| shape) }
    };
    ranked.into_iter().map(claim).collect()
}
