//! Whose doing it is.

use std::collections::BTreeMap;

use super::measure::{PEOPLE, Pair, Seen, Trail};
use super::state::{Blocks, Endpoint, Over, Unit};
use super::verdict::{Cause, Prefix, Verdict, Word};
use super::{Seconds, TICK};
use crate::seats::EndpointId;

/// How long nothing is heard of a relay that is well; and of one that nobody sits at, of which nothing else
/// is known.
const SILENT: Seconds = 30;
const ALONE: Seconds = 120;
/// How long after a verdict somebody else's word counts yet; and how long one waits for a wider unit, or
/// another network, to be seen to be dark too.
const LATE: Seconds = 60;
const SETTLED: Seconds = 20;
/// For how long it is believed that an endpoint answers.
const FRESH: Seconds = 30;
/// The logarithm of what makes it worth while to dial from outside, and of what the rest of a wider unit
/// must say to be blocked as a whole.
const WORTH_A_LOOK: f64 = 3.0;
/// The same, of owners beside the one who says most.
const ANOTHER: f64 = 4.6;
/// The logarithm of how strongly people who come around confirm a block, at least.
const CONFIRMED: f64 = 2.3;
/// The logarithm of how strongly it must speak that fewer came, whoever comes around.
const FEWER: f64 = 2.3;

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
            let silent = self
                .relays
                .get(relay)
                .filter(|relay| !relay.is_dead && now >= relay.heard + SILENT);
            let since =
                trails.map(|trail| trail.since).chain(silent.map(|relay| relay.heard)).max();
            let since = since.map(|since| since.max(now.saturating_sub(FRESH / 2)));
            !endpoint.is_over() && since.is_some_and(|since| endpoint.answered(since).is_none())
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
        self.confirm(now, &mut verdicts);
        verdicts
    }

    /// Whether people have come around since a verdict that rested on a relay's word.
    fn confirm(&mut self, now: Seconds, verdicts: &mut Vec<Verdict>) {
        for (id, endpoint) in &mut self.endpoints {
            let Some(Over { verdict, seen }) = &endpoint.over else { continue };
            let (from, told) = (verdict.onset, verdict.noticed);
            if verdict.word == Word::Several || now > told + LATE {
                continue;
            }
            let longer = now.saturating_sub(from) as f64 / told.saturating_sub(from).max(1) as f64;
            let people = endpoint.around(from, None);
            if is_confirmed(&seen.times(longer), people) {
                let mut verdict = verdict.clone();
                (verdict.word, verdict.endpoints) = (Word::Several, vec![*id]);
                verdicts.push(verdict.clone());
                endpoint.over = Some(Over { verdict, seen: Seen::default() });
            }
        }
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
        if is_cut_off {
            self.back = now;
        }
        is_cut_off
    }

    /// Relays that are heard no more and answer nobody. Where nobody sits, nobody is asked, and a longer
    /// silence is enough: no fresh seat is to be there.
    fn silent(&mut self, now: Seconds, verdicts: &mut Vec<Verdict>) {
        for (id, relay) in &mut self.relays {
            if relay.is_dead || now < relay.heard + SILENT {
                continue;
            }
            let of = self.endpoints.iter().filter(|(_, at)| at.relay == *id && !at.is_over());
            let of: Vec<_> = of.collect();
            let failed = of.iter().any(|(_, at)| at.answered(relay.heard) == Some(false));
            let answered = of.iter().any(|(_, at)| at.answered(relay.heard) == Some(true));
            let is_alone = of.is_empty() && now >= relay.heard.max(self.back) + ALONE;
            if is_alone || (failed && !answered) {
                let endpoints = of.into_iter().map(|(id, _)| *id).collect();
                let onset = relay.heard;
                relay.is_dead = true;
                let verdict = said(Cause::Died(*id), now);
                verdicts.push(Verdict { endpoints, onset, word: Word::Several, ..verdict });
            }
        }
        self.close(verdicts);
    }

    /// Networks that lead nobody out: all of them, or some.
    fn cuts(&mut self, now: Seconds, verdicts: &mut Vec<Verdict>) {
        let news = self.fields.iter().enumerate().filter(|(_, field)| !field.is_cut());
        let gone: Vec<(usize, f64, Seconds)> = news
            .filter_map(|(at, field)| field.is_gone().map(|(ln, since)| (at, ln, since)))
            .collect();
        let Some(since) = gone.iter().map(|(_, _, since)| *since).min() else { return };
        let ticks = (now.saturating_sub(since) / TICK) as f64;
        let is_whole = !self.fields.iter().any(|field| field.is_alive(ticks));
        if is_whole {
            let ln_ratio = gone.iter().map(|(_, ln, _)| ln).sum();
            self.fields.iter_mut().for_each(|field| field.cut(now));
            let verdict = said(Cause::Country, now);
            verdicts.push(Verdict { onset: since, ln_ratio, word: Word::Several, ..verdict });
            return;
        }
        for (place, ln_ratio, onset) in gone {
            // Another may be seen to be cut off, too, a little later.
            if now < onset + SETTLED {
                continue;
            }
            self.fields[place].cut(now);
            // Of those whose network nobody knows there is nothing to be said.
            let Some(network) = place_of(&self.networks, place) else { continue };
            let verdict = said(Cause::Provider(network), now);
            let network = Some(network);
            verdicts.push(Verdict { network, onset, ln_ratio, word: Word::Several, ..verdict });
        }
    }

    /// An address with several endpoints, or a prefix with several addresses.
    fn unit(&mut self, unit: Unit, now: Seconds, verdicts: &mut Vec<Verdict>) {
        let Some(span) = self.units.get(&unit) else { return };
        let trail = span.trail;
        let of = self.endpoints.values().filter(|at| !at.is_over() && is_in(at, unit)).count();
        // A mistake would cost as many as there are.
        let threshold = span.swing.threshold() + (of.max(1) as f64).ln();
        let rest = if matches!(unit, Unit::Prefix(_)) { ANOTHER } else { WORTH_A_LOOK };
        if trail.ln < threshold || !self.is_whole(unit, &trail, rest, now) {
            return;
        }
        let of = self.endpoints.iter().filter(|(_, at)| !at.is_over() && is_in(at, unit));
        let of: Vec<_> = of.collect();
        let people = of.iter().map(|(_, at)| at.around(trail.since, None)).sum();
        let is_confirmed = matches!(unit, Unit::Prefix(_)) || is_confirmed(&trail.seen, people);
        let fresh = trail.since.max(now.saturating_sub(FRESH));
        let heard = of.iter().filter(|(_, at)| self.is_heard(at, now));
        let answers: Vec<bool> = heard.filter_map(|(_, at)| at.answered(fresh)).collect();
        let endpoints: Vec<EndpointId> = of.iter().map(|(id, _)| **id).collect();
        let Some(first) = of.first().map(|(_, at)| at.relay) else { return };
        let cause = match unit {
            Unit::Address(_) if !answers.is_empty() && !answers.contains(&true) => {
                Cause::Died(first)
            }
            _ if answers.contains(&true) => unit.cause(),
            _ => return,
        };
        let is_confirmed = is_confirmed || matches!(cause, Cause::Died(_));
        let word = if is_confirmed { Word::Several } else { Word::Relay };
        let (onset, ln_ratio) = (trail.since, trail.ln);
        verdicts.push(Verdict { endpoints, onset, ln_ratio, word, ..said(cause, now) });
        self.close(verdicts);
    }

    /// Whether it is dark as a whole, and not for one part of it that is: an address without its busiest
    /// endpoint, a prefix without any one owner. So sure must the rest be, as a logarithm.
    fn is_whole(&self, unit: Unit, trail: &Trail, sure: f64, now: Seconds) -> bool {
        let of = self.endpoints.iter().filter(|(_, at)| !at.is_over() && is_in(at, unit));
        let mut parts: BTreeMap<u64, Pair> = BTreeMap::new();
        for (id, at) in of {
            let part = match unit {
                Unit::Address(_) => Some(u64::from(*id)),
                Unit::Prefix(_) => self.relays.get(&at.relay).map(|relay| relay.owner.into()),
            };
            let Some(part) = part else { continue };
            // What was missing before the whole fell behind is not part of it.
            let own = &at.span.trail;
            let before = trail.since.saturating_sub(own.since);
            let since = now.saturating_sub(trail.since).max(TICK) as f64;
            let share = if own.is_running() { since / (since + before as f64) } else { 0.0 };
            parts.entry(part).or_default().add(own.seen.times(share).connected);
        }
        let rest = |largest: &Pair| trail.seen.connected.without(*largest);
        let rests =
            parts.values().map(|part| rest(part).ln_blocked(trail.shape(0.1, f64::MAX), 1.0));
        parts.len() > 1 && rests.reduce(f64::min).is_some_and(|ln| ln >= sure)
    }

    /// Whether its relay speaks; if not, it may be dead, and people there are missing for that reason.
    fn is_heard(&self, endpoint: &Endpoint, now: Seconds) -> bool {
        self.relays.get(&endpoint.relay).is_some_and(|relay| relay.heard + TICK * 2 > now)
    }

    fn endpoint(&mut self, id: EndpointId, now: Seconds, verdicts: &mut Vec<Verdict>) {
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        if endpoint.is_over() || !self.is_heard(endpoint, now) {
            return;
        }
        // Neighbours that are about to be seen to be dark with it.
        let unit = Unit::Address(endpoint.address);
        let is_one_of_many =
            self.units.get(&unit).is_some_and(|span| self.is_whole(unit, &span.trail, 1.0, now));
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        let relay = endpoint.relay;
        // In all networks, or in one of them alone.
        let total = endpoint.span.trail;
        let threshold = endpoint.span.swing.threshold();
        // Where many are watched, more of them fall behind by chance.
        let lanes = (1.0 + endpoint.lanes.len() as f64).ln();
        let mut dark = None;
        for (place, lane) in endpoint.lanes.iter().enumerate().filter(|(_, lane)| !lane.is_over) {
            let trail = lane.span.trail;
            let known = place_of(&self.networks, lane.field);
            let is_dark = trail.fewer >= FEWER && trail.ln >= lanes + lane.span.swing.threshold();
            if is_dark && known.is_some() {
                dark = Some((Some((place, known)), trail));
            }
        }
        let parts = endpoint.lanes.iter().map(|lane| lane.span.trail.seen.connected);
        let largest = parts.max_by(|one, other| one.expected.total_cmp(&other.expected));
        let rest = total.seen.connected.without(largest.unwrap_or_default());
        let is_whole = rest.ln_blocked(total.shape(0.1, f64::MAX), 1.0) >= 0.0;
        let is_louder = dark.is_none_or(|(_, trail)| total.ln >= trail.ln);
        if is_whole && is_louder && total.fewer >= FEWER && total.ln >= threshold {
            dark = Some((None, total));
        }
        let Some((lane, trail)) = dark else {
            endpoint.span.clear = 0;
            return;
        };
        let clear = match lane {
            Some((at, _)) => &mut endpoint.lanes[at].span.clear,
            None => &mut endpoint.span.clear,
        };
        *clear = if *clear == 0 { now } else { *clear };
        // The rest of a wider unit may be seen to be dark a little later.
        let settles = now < *clear + SETTLED;
        let people = endpoint.around(trail.since, lane.map(|(at, _)| at));
        let word = match people {
            _ if is_confirmed(&trail.seen, people) => Word::Several,
            1.. if endpoint.seated == 1 => Word::One,
            _ => Word::Relay,
        };
        let fresh = trail.since.max(now.saturating_sub(FRESH));
        let Some(answers) = endpoint.answered(fresh) else { return };
        if is_one_of_many && settles && answers {
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
            word: if answers { word } else { Word::Several },
            ..said(cause, now)
        });
        self.close(verdicts);
    }

    /// What has a verdict is watched no more, and what is missing there is missing no more elsewhere.
    fn close(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            for id in &verdict.endpoints {
                let Some(endpoint) = self.endpoints.get_mut(id) else { continue };
                if verdict.network.is_none() && !endpoint.is_over() {
                    let seen = endpoint.span.trail.seen;
                    endpoint.over = Some(Over { verdict: verdict.clone(), seen });
                }
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
        word: Word::Relay,
    }
}
