//! Whose doing it is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::measure::{Pair, Seen, Trail};
use super::state::{Blocks, Endpoint, Unit};
use super::verdict::{Cause, Prefix, Verdict};
use super::Seconds;
use crate::seats::EndpointId;

/// How long nothing is heard of a relay that is well.
const SILENT: Seconds = 30;
/// How long a verdict waits for somebody else's word.
const PATIENCE: Seconds = 20;
/// The logarithm of what makes it worth while to dial from outside, and of what the rest of a wider unit
/// must say to be blocked as a whole.
const WORTH_A_LOOK: f64 = 3.0;
/// The logarithm of how strongly people who come around confirm a block, at least.
const CONFIRMED: f64 = 2.3;
/// How many of them it takes.
const PEOPLE: usize = 2;

impl Blocks {
    /// What should be dialled from outside now: something seems wrong there, and it was not since.
    #[must_use]
    pub fn suspects(&self, now: Seconds) -> Vec<EndpointId> {
        let is_suspect = |endpoint: &&Endpoint| {
            let Endpoint { address, span, lanes, relay, .. } = endpoint;
            let units = [Unit::Address(*address), Unit::Prefix(Prefix::of(*address))];
            let units = units.iter().filter_map(|unit| self.units.get(unit));
            let spans = units.chain(lanes.iter().map(|lane| &lane.span)).chain([span]);
            let trails = spans.map(|span| &span.trail).filter(|trail| trail.ln >= WORTH_A_LOOK);
            let silent = self.relays.get(relay).filter(|relay| !relay.is_dead && now >= relay.heard + SILENT);
            let since = trails.map(|trail| trail.since).chain(silent.map(|relay| relay.heard)).max();
            !endpoint.is_over && since.is_some_and(|since| endpoint.answered(since).is_none())
        };
        let all = self.endpoints.iter().filter(|(_, endpoint)| is_suspect(endpoint));
        all.map(|(id, _)| *id).collect()
    }

    pub(super) fn judge(&mut self, now: Seconds) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if self.hub(now, &mut verdicts) {
            return verdicts;
        }
        self.silent(now, &mut verdicts);
        self.cuts(now, &mut verdicts);
        for unit in self.units.keys().rev().copied().collect::<Vec<_>>() {
            self.unit(unit, now, &mut verdicts);
        }
        for id in self.endpoints.keys().copied().collect::<Vec<_>>() {
            self.endpoint(id, now, &mut verdicts);
        }
        verdicts
    }

    /// Whether the hub itself seems to be cut off.
    fn hub(&mut self, now: Seconds, verdicts: &mut Vec<Verdict>) -> bool {
        let alive = self.relays.values().filter(|relay| !relay.is_dead);
        let (mut all, mut silent, mut since) = (0, 0, 0);
        for relay in alive {
            all += 1;
            if now >= relay.heard + SILENT {
                silent += 1;
                since = since.max(relay.heard);
            }
        }
        let is_cut_off = all >= 2 && silent * 5 >= all * 4;
        if is_cut_off && !self.is_cut_off {
            verdicts.push(Verdict { onset: since, ..said(Cause::Hub, now) });
        }
        self.is_cut_off = is_cut_off;
        is_cut_off
    }

    /// Relays that are heard no more and answer nobody.
    fn silent(&mut self, now: Seconds, verdicts: &mut Vec<Verdict>) {
        for (id, relay) in &mut self.relays {
            if relay.is_dead || now < relay.heard + SILENT {
                continue;
            }
            let of = self.endpoints.iter().filter(|(_, at)| at.relay == *id && !at.is_over);
            let of: Vec<_> = of.collect();
            let failed = of.iter().any(|(_, at)| at.answered(relay.heard) == Some(false));
            let answered = of.iter().any(|(_, at)| at.answered(relay.heard) == Some(true));
            if failed && !answered {
                let endpoints = of.into_iter().map(|(id, _)| *id).collect();
                let onset = relay.heard;
                relay.is_dead = true;
                let verdict = said(Cause::Died(*id), now);
                verdicts.push(Verdict { endpoints, onset, is_confirmed: true, ..verdict });
            }
        }
        self.close(verdicts);
    }

    /// Networks that lead nobody out: all of them, or some.
    fn cuts(&mut self, now: Seconds, verdicts: &mut Vec<Verdict>) {
        let gone = |place: usize| self.fields[place].is_gone().filter(|_| !self.fields[place].is_cut);
        let gone: Vec<(usize, f64, Seconds)> =
            (0..self.fields.len()).filter_map(|at| gone(at).map(|(ln, on)| (at, ln, on))).collect();
        let Some(since) = gone.iter().map(|(_, _, since)| *since).min() else { return };
        let others = self.fields.iter().any(|field| field.is_gone().is_none() && field.is_alive(now, since));
        if !others {
            let ln_ratio = gone.iter().map(|(_, ln, _)| ln).sum();
            self.fields.iter_mut().for_each(|field| field.is_cut = true);
            let verdict = said(Cause::Country, now);
            verdicts.push(Verdict { onset: since, ln_ratio, is_confirmed: true, ..verdict });
            return;
        }
        for (place, ln_ratio, onset) in gone {
            self.fields[place].is_cut = true;
            // Of those whose network nobody knows there is nothing to be said.
            let Some(network) = place.checked_sub(1).map(|place| self.networks[place]) else { continue };
            let verdict = said(Cause::Provider(network), now);
            let network = Some(network);
            verdicts.push(Verdict { network, onset, ln_ratio, is_confirmed: true, ..verdict });
        }
    }

    /// An address with several endpoints, or a prefix with several addresses.
    fn unit(&mut self, unit: Unit, now: Seconds, verdicts: &mut Vec<Verdict>) {
        let Some(span) = self.units.get(&unit) else { return };
        let trail = span.trail;
        if trail.ln < span.swing.threshold() || !self.is_whole(unit, &trail) {
            return;
        }
        let clear = if span.clear == 0 { now } else { span.clear };
        if let Some(span) = self.units.get_mut(&unit) {
            span.clear = clear;
        }
        let of = self.endpoints.iter().filter(|(_, at)| !at.is_over && is_in(at, unit));
        let of: Vec<_> = of.collect();
        let people: BTreeSet<_> = of.iter().flat_map(|(_, at)| &at.people).map(|(who, _)| who).collect();
        let behind = |at: &Endpoint| {
            let span = self.units.get(&Unit::Address(at.address));
            span.is_some_and(|span| span.trail.ln >= 1.0)
        };
        let owners = of.iter().filter(|(_, at)| behind(at));
        let owners: BTreeSet<_> =
            owners.filter_map(|(_, at)| self.relays.get(&at.relay)).map(|relay| relay.owner).collect();
        let is_confirmed = owners.len() > 1 || is_confirmed(&trail.seen, people.len());
        let answers: Vec<bool> = of.iter().filter_map(|(_, at)| at.answered(trail.since)).collect();
        let endpoints: Vec<EndpointId> = of.iter().map(|(id, _)| **id).collect();
        let Some(first) = of.first().map(|(_, at)| at.relay) else { return };
        let cause = match unit {
            Unit::Address(_) if !answers.is_empty() && !answers.contains(&true) => Cause::Died(first),
            _ if answers.contains(&true) => unit.cause(),
            _ => return,
        };
        let is_confirmed = is_confirmed || matches!(cause, Cause::Died(_));
        if is_confirmed || now >= clear + PATIENCE {
            let (onset, ln_ratio) = (trail.since, trail.ln);
            verdicts.push(Verdict { endpoints, onset, ln_ratio, is_confirmed, ..said(cause, now) });
            self.close(verdicts);
        }
    }

    /// Whether it is dark as a whole, and not for one part of it that is.
    fn is_whole(&self, unit: Unit, trail: &Trail) -> bool {
        let mut parts: Vec<(Pair, f64)> = match unit {
            Unit::Address(_) => {
                let of = self.endpoints.values().filter(|at| !at.is_over && is_in(at, unit));
                of.map(|at| (at.span.trail.seen.connected, at.span.trail.ln)).collect()
            }
            Unit::Prefix(prefix) => {
                let is_in = |address: &IpAddr| Prefix::of(*address) == prefix;
                let of = self.units.iter().filter(|(unit, _)| matches!(unit, Unit::Address(at) if is_in(at)));
                of.map(|(_, span)| (span.trail.seen.connected, span.trail.ln)).collect()
            }
        };
        parts.sort_by(|(one, _), (other, _)| one.expected.total_cmp(&other.expected));
        let Some((largest, _)) = parts.pop().filter(|_| !parts.is_empty()) else { return false };
        let rest = trail.seen.connected.without(largest);
        rest.ln_blocked(trail.shape(0.1, f64::MAX), 1.0) >= WORTH_A_LOOK
    }

    fn endpoint(&mut self, id: EndpointId, now: Seconds, verdicts: &mut Vec<Verdict>) {
        let Some(endpoint) = self.endpoints.get_mut(&id).filter(|at| !at.is_over) else { return };
        let relay = endpoint.relay;
        // In all networks, or in one of them alone.
        let total = endpoint.span.trail;
        let threshold = endpoint.span.swing.threshold();
        let mut dark = None;
        for (place, lane) in endpoint.lanes.iter().enumerate().filter(|(_, lane)| !lane.is_over) {
            let trail = lane.span.trail;
            let known = place_of(&self.networks, lane.field);
            if trail.ln >= threshold.max(lane.span.swing.threshold()) && known.is_some() {
                dark = Some((Some((place, known)), trail));
            }
        }
        let parts = endpoint.lanes.iter().map(|lane| lane.span.trail.seen.connected);
        let largest = parts.max_by(|one, other| one.expected.total_cmp(&other.expected));
        let rest = total.seen.connected.without(largest.unwrap_or_default());
        if total.ln >= threshold && !rest.is_alive() {
            dark = Some((None, total));
        }
        let Some((lane, trail)) = dark else {
            endpoint.span.clear = 0;
            return;
        };
        if endpoint.span.clear == 0 {
            endpoint.span.clear = now;
        }
        // The rest of a wider unit may be seen to be dark a little later.
        let waits = now < endpoint.span.clear + PATIENCE;
        let people = endpoint.people.iter().filter(|(_, of)| lane.is_none_or(|(at, _)| at == *of));
        let is_confirmed = is_confirmed(&trail.seen, people.count());
        let Some(answers) = endpoint.answered(trail.since) else { return };
        if waits && answers && !is_confirmed {
            return;
        }
        if let Some((at, _)) = lane.filter(|_| answers) {
            endpoint.lanes[at].is_over = true;
        }
        let cause = if answers { Cause::Endpoint(id) } else { Cause::Died(relay) };
        let network = lane.and_then(|(_, network)| network).filter(|_| answers);
        verdicts.push(Verdict {
            endpoints: vec![id],
            network,
            onset: trail.since,
            ln_ratio: trail.ln,
            is_confirmed: is_confirmed || !answers,
            ..said(cause, now)
        });
        self.close(verdicts);
    }

    /// What has a verdict is watched no more, and what is missing there is missing no more elsewhere.
    fn close(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            for id in &verdict.endpoints {
                let Some(endpoint) = self.endpoints.get_mut(id) else { continue };
                endpoint.is_over |= verdict.network.is_none();
                endpoint.span.reset();
                let address = endpoint.address;
                for unit in [Unit::Address(address), Unit::Prefix(Prefix::of(address))] {
                    self.units.entry(unit).or_default().reset();
                }
            }
        }
    }
}

fn place_of(networks: &[u32], field: usize) -> Option<u32> {
    field.checked_sub(1).and_then(|place| networks.get(place)).copied()
}

fn is_in(endpoint: &Endpoint, unit: Unit) -> bool {
    match unit {
        Unit::Address(address) => endpoint.address == address,
        Unit::Prefix(prefix) => Prefix::of(endpoint.address) == prefix,
    }
}

fn is_confirmed(seen: &Seen, people: usize) -> bool {
    people >= PEOPLE && seen.ln_around(people, 10.0) >= CONFIRMED
}

fn said(cause: Cause, now: Seconds) -> Verdict {
    Verdict {
        cause,
        endpoints: Vec::new(),
        network: None,
        onset: now,
        noticed: now,
        ln_ratio: 0.0,
        is_confirmed: false,
    }
}
