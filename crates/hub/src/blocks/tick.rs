//! Ten seconds later: what was expected, what came.

use std::collections::BTreeMap;

use super::measure::{Pair, Seen, Trail};
use super::state::{Blocks, STREAMS, Span, Unit, Visitor};
use super::verdict::{Prefix, Verdict};
use super::{Seconds, TICK};
use crate::seats::EndpointId;

/// What speaks against somebody is not learned as usual, from so much on.
const DOUBTFUL: f64 = 3.0;

impl Blocks {
    /// Judges what came since the last call, [`TICK`] seconds ago.
    pub fn tick(&mut self, now: Seconds) -> Vec<Verdict> {
        let start = now.saturating_sub(TICK).max(1);
        self.sum();
        for field in &mut self.fields {
            let is_frozen = field.is_doubtful();
            field.streams.iter_mut().for_each(|stream| stream.advance(is_frozen));
            field.watch(start);
        }
        let units = self.compare(start);
        for (unit, (seen, counts, others)) in units {
            if let Some(span) = self.units.get_mut(&unit) {
                span.step(start, seen, (counts, others), [].iter());
            }
        }
        let verdicts = self.judge(now);
        self.relays.values_mut().for_each(|relay| relay.counted = 0);
        verdicts
    }

    /// How many connections a minute are expected at an endpoint now; `None` while too little is known, and
    /// once there is a verdict.
    #[must_use]
    pub fn expected(&self, id: EndpointId) -> Option<f64> {
        let endpoint = self.endpoints.get(&id).filter(|endpoint| !endpoint.is_over())?;
        let group = self.relays.get(&endpoint.relay)?.group;
        let expected = endpoint.lanes.iter().filter_map(|lane| {
            let (index, stream) = (&self.fields[lane.field].streams[0], &lane.streams[0]);
            Some(stream.level.mean()? * index.busy(group, stream.smooth)?)
        });
        expected.reduce(|a, b| a + b).map(|expected| expected * 60.0 / TICK as f64)
    }

    /// How busy each network is.
    fn sum(&mut self) {
        for field in &mut self.fields {
            field.came = 0.0;
            field.streams.iter_mut().for_each(super::cut::Index::clear);
        }
        for endpoint in self.endpoints.values().filter(|endpoint| !endpoint.is_over()) {
            let Some(relay) = self.relays.get(&endpoint.relay) else { continue };
            for lane in endpoint.lanes.iter().filter(|lane| !lane.is_over) {
                let field = &mut self.fields[lane.field];
                for (kind, stream) in lane.streams.iter().enumerate() {
                    let span = spans(kind, relay.counted);
                    if let Some(level) = stream.level.mean().filter(|_| span > 0.0) {
                        field.streams[kind].add(relay.group, stream.now, level * span);
                    }
                }
                field.came += lane.streams[0].now;
            }
        }
    }

    /// Holds each endpoint against the others; gives what that makes of addresses and prefixes.
    fn compare(&mut self, start: Seconds) -> BTreeMap<Unit, (Seen, f64, f64)> {
        let mut units: BTreeMap<Unit, (Seen, f64, f64)> = BTreeMap::new();
        let all: f64 = self.fields.iter().map(|field| field.came).sum();
        for endpoint in self.endpoints.values_mut().filter(|endpoint| !endpoint.is_over()) {
            let Some(relay) = self.relays.get(&endpoint.relay) else { continue };
            let (mut total, mut counts, mut came) = (Seen::default(), 0.0, 0.0);
            let mut people = std::mem::take(&mut endpoint.people);
            for (place, lane) in endpoint.lanes.iter_mut().enumerate() {
                let field = &self.fields[lane.field];
                let mut seen = Seen::default();
                // Nobody is to be compared with people who are all cut off.
                let is_cut = lane.is_over || field.is_doubtful();
                let is_doubtful =
                    is_cut || lane.span.trail.ln.max(endpoint.span.trail.ln) > DOUBTFUL;
                for (kind, stream) in lane.streams.iter_mut().enumerate() {
                    let span = spans(kind, relay.counted);
                    let (index, now) = (&field.streams[kind], std::mem::take(&mut stream.now));
                    let level = stream.level.mean();
                    if span <= 0.0 {
                        continue;
                    }
                    if let Some(level) = level {
                        let own = Pair { came: now, expected: level * span };
                        stream.smooth = index.own(relay.group, stream.smooth, own);
                    }
                    let busy = index.busy(relay.group, stream.smooth);
                    if let (Some(level), Some(busy), false) = (level, busy, is_cut) {
                        let pair = Pair { came: now, expected: level * span * busy };
                        *[&mut seen.connected, &mut seen.through, &mut seen.around][kind] = pair;
                    }
                    if !is_doubtful {
                        stream.level.learn(now, span * busy.unwrap_or(1.0));
                    }
                }
                people.retain(|who| who.lane != place || !is_cut);
                let people = people.iter().filter(|who| who.lane == place);
                let own = lane.streams[0].level.counts();
                let others = field.came - seen.connected.came;
                lane.span.step(start, seen, (own, others), people);
                total.add(seen);
                counts += own;
                came += seen.connected.came;
            }
            endpoint.span.step(start, total, (counts, all - came), people.iter());
            endpoint.people = people;
            let address = endpoint.address;
            for unit in [Unit::Address(address), Unit::Prefix(Prefix::of(address))] {
                let (seen, known, others) =
                    units.entry(unit).or_insert((Seen::default(), 0.0, all));
                seen.add(total);
                *known += counts;
                *others -= came;
            }
        }
        units
    }
}

/// Over how many ticks a stream was counted: relays tell, the hub's own doors are always there.
fn spans(kind: usize, counted: Seconds) -> f64 {
    const { assert!(STREAMS == 3) };
    if kind == 0 { counted as f64 / TICK as f64 } else { 1.0 }
}

impl Span {
    /// Takes in ten seconds that began at `start`: what was seen, how well the level is known and what
    /// came elsewhere, and how many people have come around.
    fn step<'a>(
        &mut self,
        start: Seconds,
        seen: Seen,
        (counts, others): (f64, f64),
        people: impl Iterator<Item = &'a Visitor>,
    ) {
        let Self { trail, swing, .. } = self;
        let was_running = trail.is_running();
        trail.since = if was_running { trail.since } else { start };
        trail.seen.add(seen);
        trail.others += others;
        let (shape, clump) = (trail.shape(swing.variance(), counts), swing.clump());
        let Seen { connected, through, .. } = trail.seen;
        trail.fewer = connected.ln_blocked(shape, clump) + through.ln_blocked(shape, clump);
        let people = people.filter(|who| who.at > trail.since).count();
        trail.ln = trail.fewer + trail.seen.ln_around(people, shape);
        if trail.fewer <= 0.0 || trail.ln <= 0.0 {
            *trail = Trail::default();
            self.clear = 0;
        }
        if trail.ln <= DOUBTFUL && seen.connected.expected > 0.0 {
            let is_start = !was_running && trail.is_running();
            swing.learn(seen.connected, is_start);
        }
    }
}
