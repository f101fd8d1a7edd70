//! Somebody who comes later, with what others report, many of whom lie: how many candidates until
//! the first that works? No packet is sent; the order is the product's own.

use std::collections::HashSet;
use std::num::NonZeroU16;

use anyhow::Context;
use reach::Targets;
use reach::order::{Order, Report, Source, infrastructure, rank};
use wire::bundle::{Bundle, Datagrams, Endpoint, Ports};
use wire::crack::{Hour, Network, Passage};
use wire::echo::{BundleId, EchoKey, MaskKey, Shape, Transport};
use wire::receipt::RelayTag;
use wire::signer::Signer;
use wire::tally::Day;

use super::page::{Page, Table};
use super::{TCP, UDP};
use crate::report::Limit;

const TRIALS: u64 = 2_000;
/// How many people report, and how many ports a liar names.
const REPORTS: u64 = 200;
const LIES: usize = 5;
/// How often a candidate that works is not seen to, for loss.
const LOST: f64 = 0.1;
const HOUR: Hour = Hour(500_000);
const NETWORK: Network = Network::As(9198);

/// What liars do, and whether relays sign what people report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lies {
    Signed,
    Spread,
    Agreed,
}

pub(super) fn measure(page: &mut Page) -> anyhow::Result<()> {
    let targets = targets()?;
    let mut table = Table::default();
    for (lies, name) in [
        (Lies::Signed, "with receipts that relays sign"),
        (Lies::Spread, "on people's word; liars name ports at random"),
        (Lies::Agreed, "on people's word; liars name the same five ports"),
    ] {
        for (percent, what) in [(0, "0 % liars"), (50, "50 %"), (90, "90 %"), (99, "99 %")] {
            let mut random = Random(percent + 1);
            for _ in 0..TRIALS {
                table.add(name, what, candidates(&targets, lies, percent, &mut random) as f64);
            }
            let mean = table.mean(name, what);
            if lies == Lies::Signed {
                let measure = format!("newcomer {name}, {percent} % liars: candidates");
                page.goal(&measure, Limit::AtMost(1.2), "", mean);
            }
        }
    }
    page.section("A newcomer", format!("Candidates until the first that works: the mean, and in brackets what 95 of 100 need at most.\n\n{}", table.means()));
    page.section("What the list of ports says of shutdowns", list());
    Ok(())
}

/// How many are asked until one works.
fn candidates(targets: &Targets, lies: Lies, percent: u64, random: &mut Random) -> u64 {
    let open: HashSet<NonZeroU16> = (0..5).map(|_| random.port()).collect();
    let mut opened: Vec<NonZeroU16> = open.iter().copied().collect();
    opened.sort_unstable();
    let agreed: [NonZeroU16; LIES] = std::array::from_fn(|_| random.port());
    let report = |port: NonZeroU16, source| {
        let (transport, shape) = (Transport::Tcp, Shape::Random);
        Report { passage: Passage { network: NETWORK, transport, port, shape }, hour: HOUR, source }
    };
    let mut reports = Vec::new();
    for who in 0..REPORTS {
        if who < REPORTS * percent / 100 {
            let named = agreed.map(|port| if lies == Lies::Agreed { port } else { random.port() });
            reports.extend(named.map(|port| report(port, Source::Word(who))));
        } else {
            let port = opened[random.below(opened.len())];
            let source = if lies == Lies::Signed {
                Source::Receipt(RelayTag([1; 8]), who)
            } else {
                Source::Word(who)
            };
            reports.push(report(port, source));
        }
    }
    let claims = rank(&reports, &NETWORK, HOUR);
    let key = random.key();
    let mut order = Order::new(targets, claims, &[Transport::Tcp], &key, 1);
    let mut asked = 0;
    while let Some((spot, _)) = order.next() {
        asked += 1;
        if open.iter().any(|port| port.get() == spot.port()) && random.share() >= LOST {
            break;
        }
        order.failed(&spot);
    }
    asked
}

/// One relay that serves all ports.
fn targets() -> anyhow::Result<Targets> {
    let signer = Signer::from_seed(&[1; 32]);
    let endpoint = Endpoint {
        v4: Some([116, 203, 7, 7].into()),
        v6: None,
        ports: Ports::All,
        datagrams: Datagrams::Everywhere,
        echo_key: EchoKey([1; 16]),
        mask_key: MaskKey([1; 8]),
        secret: None,
    };
    let bundle = Bundle {
        id: BundleId([1; 16]),
        made: Day(20_000),
        expires: Day(20_030),
        endpoints: vec![endpoint],
        cracks: Vec::new(),
    };
    let sealed = bundle.seal(&signer)?;
    let trusted = sealed.trust(&[signer.public()], 20_001 * 86_400).context("a bundle of ours")?;
    Ok(Targets::new(&trusted))
}

/// What is known to have passed in shutdowns, by the list's own evidence and without it.
fn list() -> String {
    use infrastructure::{Evidence, PORTS};
    use std::fmt::Write as _;
    let mut text = String::from(
        "Which place in the list the first port has that passed; and which it would have, had nobody \
         seen that shutdown: its own ports behind all others.\n\n\
         | shutdown | ports that passed | place | without its own evidence |\n|---|---|--:|--:|\n",
    );
    let udp = |port| (Transport::Udp, port);
    let tcp = |port| (Transport::Tcp, port);
    let january = TCP.map(tcp).into_iter().chain([udp(UDP[0])]).collect();
    for (name, evidence, passed) in [
        ("Kazakhstan, January 2022", Evidence::Kazakhstan2022, january),
        ("Iran, autumn 2022", Evidence::Iran2022, vec![tcp(21), tcp(22), tcp(80), tcp(1723)]),
        ("Iran, January to March 2026", Evidence::Iran2026, vec![udp(53), tcp(53), tcp(443)]),
        (
            "Russia, 2025 and 2026",
            Evidence::Russia2025,
            vec![tcp(80), tcp(443), tcp(8080), tcp(8443)],
        ),
    ] {
        let passes = |port: &infrastructure::Port| passed.contains(&(port.transport, port.port));
        let place = |ports: Vec<&infrastructure::Port>| {
            ports.iter().position(|port| passes(port)).map_or(0, |place| place + 1)
        };
        let shipped = place(PORTS.iter().collect());
        let (own, others): (Vec<_>, Vec<_>) =
            PORTS.iter().partition(|port| port.evidence == evidence);
        let blind = place([others, own].concat());
        let passed: Vec<_> =
            passed.iter().map(|(transport, port)| format!("{transport} {port}")).collect();
        let _ = writeln!(text, "| {name} | {} | {shipped} | {blind} |", passed.join(", "));
    }
    text
}

/// The same numbers each time (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap_or_default() % limit
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 32) as f64 / (1_u64 << 32) as f64
    }

    /// Not one of those that everybody tries first anyway.
    fn port(&mut self) -> NonZeroU16 {
        loop {
            let port = u16::try_from(1 + self.below(65_535)).unwrap_or(1);
            let is_listed = infrastructure::PORTS.iter().any(|listed| listed.port == port);
            if let (false, Some(port)) = (is_listed || port == 25, NonZeroU16::new(port)) {
                return port;
            }
        }
    }

    fn key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        key.chunks_mut(8).for_each(|part| part.copy_from_slice(&self.next().to_be_bytes()));
        key
    }
}
