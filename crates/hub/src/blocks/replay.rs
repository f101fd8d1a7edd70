//! A fleet that does not exist, and people who connect to it: to see when blocks are noticed, and how
//! often what is none.
//!
//! People sleep at night and more come on weekends; now and then news makes everybody connect at once;
//! each endpoint has its own busy and quiet minutes; a few come by twos; all grows by 1 % a
//! day. Where somebody cannot connect, one of ten comes around another way within ten seconds.

use std::net::{IpAddr, Ipv4Addr};

use super::{Blocks, Count, Door, Heartbeat, Seconds, TICK, Verdict};
use crate::seats::{Chance, EndpointId, RelayId};

const DAY: f64 = 86_400.0;
/// The networks inside, and the share of people in each; a tenth come from where nobody knows.
pub const NETWORKS: [(u32, f64); 3] = [(9198, 0.45), (21_299, 0.3), (29_355, 0.15)];
/// How much an endpoint's own traffic swings (the deviation of its logarithm), and over how many ticks.
const SWING: (f64, f64) = (0.2, 18.0);
/// The share of connections that bring another.
const TWICE: f64 = 0.05;
/// The share of connections after which links are refreshed, and of people who come around for no
/// reason.
const REFRESHES: f64 = 0.05;
const STRAYS: f64 = 0.002;
/// The share of those who cannot connect that come around.
const AROUND: f64 = 0.1;
/// The share of connections from outside of the country, which no block there hinders.
const ABROAD: f64 = 0.02;

/// What can happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// An endpoint is blocked, in all networks or in one of [`NETWORKS`].
    Endpoint(usize, Option<usize>),
    /// A relay's address is blocked.
    Address(usize),
    /// The addresses of a relay and of all in its prefix are.
    Prefix(usize),
    /// A relay dies.
    Death(usize),
    /// One of [`NETWORKS`] leads nobody out.
    Provider(usize),
    /// Nobody gets out of the country.
    Country,
    /// The hub hears nobody.
    Deaf,
    /// A relay says that nobody comes, although people do.
    Lie(usize),
    /// A relay says that a thousand times as many come as do.
    Boast(usize),
}

/// How large a fleet is.
#[derive(Clone, Debug)]
pub struct Size {
    /// How many relays; two neighbours in the list share a prefix.
    pub relays: usize,
    /// How many of them belong to one owner: 1 if each has its own.
    pub owned: usize,
    /// How many connections an endpoint has in a minute, on an average day: each relay has one endpoint
    /// of each.
    pub rates: Vec<f64>,
}

/// The fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// What watches it.
    pub blocks: Blocks,
    /// What is wrong.
    pub faults: Vec<Fault>,
    now: Seconds,
    chance: Chance,
    places: Vec<Place>,
    relays: usize,
    /// How busy the country is beside the time of day, as a logarithm; and what news adds.
    mood: f64,
    news: f64,
    people: u32,
    /// Whether people come to the hub's doors at all.
    pub has_doors: bool,
}

#[derive(Clone, Debug)]
struct Place {
    relay: usize,
    rate: f64,
    swing: f64,
}

impl Fleet {
    /// A fleet at the beginning of a Monday; the same seed gives the same days.
    #[must_use]
    pub fn new(size: &Size, seed: u64) -> Self {
        let mut blocks = Blocks::new();
        let mut places = Vec::new();
        let now = 4 * 86_400;
        for relay in 0..size.relays {
            let owner = number(relay / size.owned.max(1));
            let _ = blocks.relay(number(relay), owner, now);
            for rate in &size.rates {
                let _ = blocks.open(number(places.len()), number(relay), address(relay));
                places.push(Place { relay, rate: rate / 6.0 / (1.0 + TWICE), swing: 0.0 });
            }
        }
        let chance = Chance::new(seed);
        let (relays, faults) = (size.relays, Vec::new());
        let (mood, news, people) = (0.0, 0.0, 0);
        Self { blocks, faults, now, chance, places, relays, mood, news, people, has_doors: true }
    }

    /// From now on, chance takes another course.
    pub fn reseed(&mut self, seed: u64) {
        self.chance = Chance::new(seed);
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Seconds {
        self.now
    }

    /// The hub opens other endpoints in the place of those of a verdict, with the same people.
    pub fn replace(&mut self, verdict: &Verdict) {
        for id in &verdict.endpoints {
            let relay = self.places[*id as usize].relay;
            self.blocks.gone(*id);
            let _ = self.blocks.open(*id, number(relay), address(relay));
        }
    }

    /// So many seconds pass; gives what was said of them.
    pub fn run(&mut self, seconds: Seconds) -> Vec<Verdict> {
        (0..seconds / TICK).flat_map(|_| self.step()).collect()
    }

    /// Ten seconds pass.
    pub fn step(&mut self) -> Vec<Verdict> {
        self.now += TICK;
        let busy = self.busy();
        let mut counts = vec![Vec::new(); self.relays];
        for place in 0..self.places.len() {
            self.people_at(place, busy, &mut counts);
        }
        let is_deaf = self.faults.contains(&Fault::Deaf);
        for (relay, counts) in counts.iter().enumerate() {
            if !is_deaf && !self.faults.contains(&Fault::Death(relay)) {
                let beat = Heartbeat { relay: number(relay), span: TICK, counts };
                self.blocks.heartbeat(&beat, self.now);
            }
        }
        for id in self.blocks.suspects(self.now) {
            let relay = self.places[id as usize].relay;
            let answers = !is_deaf && !self.faults.contains(&Fault::Death(relay));
            self.blocks.dialled(id, answers, self.now);
        }
        self.blocks.tick(self.now)
    }

    /// How busy the country is beside an average day: by the hour, the day, the mood and the news.
    fn busy(&mut self) -> f64 {
        let hours = self.now as f64 / 3600.0;
        let day = 1.0 + 0.75 * (std::f64::consts::TAU * (hours - 14.0) / 24.0).cos();
        let is_weekend = (self.now / 86_400) % 7 >= 2 && (self.now / 86_400) % 7 < 4;
        let week = if is_weekend { 1.25 } else { 1.0 };
        self.mood = self.mood * 0.99 + self.gauss() * 0.1 * (1.0_f64 - 0.99 * 0.99).sqrt();
        // News twice a day; the crowd is gone after ten minutes.
        self.news *= 0.97;
        if self.chance.unit() < 2.0 * TICK as f64 / DAY {
            self.news = 3.0 * self.chance.unit();
        }
        let growth = 1.01_f64.powf(self.now as f64 / DAY);
        day * week * self.mood.exp() * (1.0 + self.news) * growth
    }

    fn people_at(&mut self, place: usize, busy: f64, counts: &mut [Vec<Count>]) {
        let (deviation, memory) = SWING;
        let keep = 1.0 - 1.0 / memory;
        let noise = self.gauss() * deviation * (1.0 - keep * keep).sqrt();
        let Place { relay, rate, swing } = &mut self.places[place];
        *swing = *swing * keep + noise;
        let (relay, mean) = (*relay, *rate * busy * swing.exp());
        let endpoint: EndpointId = number(place);
        let known: f64 = NETWORKS.iter().map(|(_, share)| share).sum();
        let all = NETWORKS.map(|(network, share)| (Some(network), share));
        for (at, (network, share)) in all.into_iter().chain([(None, 1.0 - known)]).enumerate() {
            let wanted = self.poisson(mean * share);
            let is_dark = self.is_dark(place, relay, at);
            let mut connected = 0;
            for _ in 0..wanted {
                if is_dark && self.chance.unit() >= ABROAD {
                    self.meet(endpoint, AROUND, Door::Around, network);
                    continue;
                }
                connected += 1 + u32::from(self.chance.unit() < TWICE);
                self.meet(endpoint, REFRESHES, Door::Through, network);
                self.meet(endpoint, STRAYS, Door::Around, network);
            }
            let connected = match self.faults.iter().find(|fault| fault.is_word_of(relay)) {
                Some(Fault::Boast(_)) => (connected + 1) * 1_000,
                Some(_) => 0,
                None => connected,
            };
            counts[relay].push(Count { endpoint, network, connected });
        }
    }

    fn meet(&mut self, endpoint: EndpointId, share: f64, door: Door, network: Option<u32>) {
        if self.has_doors && self.chance.unit() < share {
            self.people += 1;
            self.blocks.met(endpoint, self.people, door, network, self.now);
        }
    }

    fn is_dark(&self, place: usize, relay: usize, network: usize) -> bool {
        self.faults.iter().any(|fault| match *fault {
            Fault::Endpoint(dark, within) => dark == place && within.is_none_or(|at| at == network),
            Fault::Address(dark) | Fault::Death(dark) => dark == relay,
            Fault::Prefix(dark) => dark / 2 == relay / 2,
            Fault::Provider(dark) => dark == network,
            Fault::Country => true,
            Fault::Deaf | Fault::Lie(_) | Fault::Boast(_) => false,
        })
    }

    /// Poisson's distribution: Knuth's way, or a normal one where many come.
    fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 30.0 {
            let many = (mean + mean.sqrt() * self.gauss()).round().clamp(0.0, 1e9);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            return many as u32;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.chance.unit(), 0);
        while product > limit {
            product *= self.chance.unit();
            count += 1;
        }
        count
    }

    /// Nearly normal: twelve uniform numbers (Irwin and Hall).
    fn gauss(&mut self) -> f64 {
        (0..12).map(|_| self.chance.unit()).sum::<f64>() - 6.0
    }
}

impl Fault {
    fn is_word_of(&self, relay: usize) -> bool {
        matches!(*self, Self::Lie(of) | Self::Boast(of) if of == relay)
    }
}

/// A relay's address: two in each /24.
#[must_use]
pub fn address(relay: usize) -> IpAddr {
    let [_, _, a, b] = u32::try_from(relay / 2).unwrap_or(0).to_be_bytes();
    Ipv4Addr::new(116, a, b, if relay.is_multiple_of(2) { 7 } else { 8 }).into()
}

fn number(place: usize) -> RelayId {
    RelayId::try_from(place).unwrap_or(RelayId::MAX)
}
