//! What a search makes of what it hears: who answered climbs, what failed is tried otherwise or has
//! its verdict.

use std::time::Duration;

use wire::echo::Transport;

use super::engines::spawn;
use super::heart::Heart;
use super::lane::Next;
use super::{ATTEMPTS, Event, Mode};
use crate::Spot;
use crate::ladder::{self, Climbed, Route};
use crate::order::infrastructure;
use crate::probe::{Answered, Ask, Met, News, Outcome, What};
use crate::verdict::{Finding, Rung, Verdict};

/// How many climb at a time.
const CLIMBERS: usize = 16;
/// How many cracks are climbed at: where everything is open, the rest is only asked.
const CLIMBS: usize = 96;
/// How many stay for the minute.
const STAYERS: usize = 48;
/// How many knocks tell whether packets get lost, and how many may by chance: where a tenth is lost
/// each way, no more are twice in a thousand times.
const KNOCKS: usize = 40;
const KNOCKS_LOST: usize = 1;

impl Heart {
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Outcomes(outcomes) => outcomes.into_iter().for_each(|it| self.met(it)),
            News::Climbed(number, climbed) => self.climbed(number, climbed),
            News::Dead => self.stop.stop(),
            News::Left => self.stayers = self.stayers.saturating_sub(1),
        }
    }

    fn met(&mut self, outcome: Outcome) {
        let Outcome { ask, dialled, rtt, bytes, met } = outcome;
        self.engines.ended(&ask);
        if ask.what == What::Syn && matches!(met, Met::Accepted) {
            // Worth a dial. The kernel has ended what our SYN began.
            self.engines.ask(Ask { what: What::Echo, ..ask });
            return;
        }
        if ask.what == What::Knock {
            self.survey.out -= 1;
            self.survey.lost += usize::from(!matches!(met, Met::Accepted));
            self.map.is_lossy |= self.survey.lost > KNOCKS_LOST;
            return;
        }
        let (key, shape) = (ask.spot.key(), ask.shape);
        let Some(lane) = self.asked.remove(&(key, shape, ask.attempt)) else { return };
        self.lanes[lane].out -= 1;
        // Others of a pair speak for it, or it for them.
        let others = (0..ATTEMPTS).filter(|it| self.asked.contains_key(&(key, shape, *it)));
        let others: Vec<u8> = others.collect();
        if matches!(met, Met::Answered(_)) {
            for other in others {
                self.asked.remove(&(key, shape, other));
                self.lanes[lane].out -= 1;
            }
        } else if !others.is_empty() {
            return;
        }
        let verdict = match &met {
            Met::Other(verdict) => *verdict,
            Met::Accepted => Verdict::Mute,
            Met::Answered(_) => Verdict::Verified(Rung::Echo),
        };
        let finding = Finding {
            spot: ask.spot,
            shape: ask.shape,
            verdict,
            at: self.now(),
            took: dialled.elapsed(),
            rtt,
            bytes,
            receipt: None,
        };
        if self.deserves_another(lane, &finding, ask.attempt) {
            let Finding { spot, shape, .. } = finding;
            let now = self.now();
            self.lanes[lane].pace.also(Transport::Udp, now);
            self.ask(lane, Next { spot, shape, is_new: false, attempt: 1 });
            return;
        }
        match met {
            Met::Answered(answered) => {
                self.lanes[lane].hear(&finding.spot, finding.shape);
                self.answered(finding, *answered);
            }
            // Somebody's claim, tried again while an answer was on its way.
            _ if self.lanes[lane].has_heard(&finding.spot, finding.shape) => {}
            _ => self.failed(lane, finding),
        }
    }

    /// Quiet, a datagram that was lost is sent again, as the kernel does with a lost SYN.
    fn deserves_another(&self, lane: usize, finding: &Finding, attempt: u8) -> bool {
        self.lanes[lane].mode == Mode::Quiet
            && finding.spot.transport() == Transport::Udp
            && finding.verdict == Verdict::Dropped
            && attempt == 0
    }

    /// The relay itself has answered.
    fn answered(&mut self, mut finding: Finding, answered: Answered) {
        self.engines.learn(&finding.spot, &answered.answer);
        let saw = answered.answer.relay.port();
        if saw != finding.spot.port() {
            finding.verdict = Verdict::Rewritten { saw };
            self.conclude(finding);
            return;
        }
        let place = finding.spot.road.place;
        if let Some(rtt) = finding.rtt {
            let known = self.rtts.entry(place).or_insert(rtt);
            *known = rtt.min(*known);
        }
        if self.vouched.insert(place) {
            self.open_loud();
        }
        if !finding.spot.was_served() {
            self.opened.insert((place, finding.spot.transport()));
        }
        self.survey(&finding);
        if self.climbing.len() + self.answered.len() >= CLIMBS {
            self.conclude(finding);
        } else {
            self.answered.push_back((finding, answered));
        }
    }

    /// Something else was met than the relay.
    fn failed(&mut self, lane: usize, finding: Finding) {
        let lane = &mut self.lanes[lane];
        if lane.pass == 0 {
            lane.order().failed(&finding.spot);
        }
        let verdict = finding.verdict;
        let may_be_loss = matches!(
            verdict,
            Verdict::Dropped | Verdict::Mute | Verdict::HandshakeOnly | Verdict::Frozen { .. }
        );
        let is_unheard = is_unheard_datagram(&finding);
        if verdict.may_be_shape() || is_unheard {
            let tried = self.shapes.entry(finding.spot.key()).or_default();
            if !tried.contains(&finding.shape) {
                tried.push(finding.shape);
                lane.other_shape(&finding.spot, tried, is_unheard);
            }
        }
        if lane.mode == Mode::Loud && may_be_loss {
            lane.keep(finding);
        } else {
            lane.forget(&finding.spot, finding.shape);
            self.conclude(finding);
        }
    }

    /// Has climbed what has answered, so many at a time.
    pub(super) fn climb(&mut self) {
        while self.climbers < CLIMBERS
            && let Some((finding, answered)) = self.answered.pop_front()
        {
            let rtt = finding.rtt.unwrap_or(Duration::from_millis(200));
            let route = Route {
                spot: finding.spot.clone(),
                shape: finding.shape,
                rtt,
                is_lossy: self.map.is_lossy,
                network: self.options.network.clone(),
                stays: self.options.stays && self.stayers < STAYERS,
                stop: self.stop.clone(),
            };
            let (number, teller) = (self.climbing.len(), self.teller.clone());
            let stays = route.stays;
            let climb = move || {
                ladder::climb(&route, answered, |climbed| {
                    let _ = teller.send(News::Climbed(number, climbed));
                });
                if stays {
                    let _ = teller.send(News::Left);
                }
            };
            if spawn("climb", climb).is_ok() {
                self.climbing.push(finding);
                self.climbers += 1;
                self.stayers += usize::from(stays);
            } else {
                self.conclude(Finding { verdict: Verdict::Untried, ..finding });
            }
        }
    }

    fn climbed(&mut self, number: usize, climbed: Climbed) {
        let Some(mut finding) = self.climbing.get(number).cloned() else { return };
        let Climbed { verdict, bytes, receipt, lost } = climbed;
        let is_first = finding.verdict == Verdict::Verified(Rung::Echo);
        finding.verdict = verdict;
        finding.bytes += bytes;
        finding.receipt = receipt.or(finding.receipt);
        finding.took += self.now().saturating_sub(finding.at);
        finding.at = self.now();
        self.climbing[number] = finding.clone();
        if !is_first {
            self.confirm(finding);
            return;
        }
        self.climbers -= 1;
        // One in twenty is lost to chance, or to our own hurry.
        let has_lost = lost.is_some_and(|(lost, sent)| lost * 20 > sent);
        self.map.is_lossy |= has_lost && verdict.is_crack();
        if verdict.is_crack() {
            for lane in &mut self.lanes {
                lane.order().found(&finding.spot, finding.shape);
            }
        }
        self.conclude(finding);
    }

    /// Knocks at what is known to be open, to see whether packets get lost.
    fn survey(&mut self, finding: &Finding) {
        let is_wanted =
            self.options.mode == Mode::Loud && finding.spot.transport() == Transport::Tcp;
        if !is_wanted || self.survey.has_begun {
            return;
        }
        self.survey.has_begun = true;
        // Late is not lost; but the kernel must not send a second SYN.
        let hold = Duration::from_millis(900);
        for _ in 0..KNOCKS {
            let spot = finding.spot.clone();
            let shape = finding.shape;
            self.survey.out += 1;
            self.engines.ask(Ask {
                spot,
                shape,
                attempt: 0,
                hold,
                patience: hold,
                what: What::Knock,
            });
        }
    }

    pub(super) fn conclude(&mut self, mut finding: Finding) {
        let here = (finding.spot.road.place, finding.spot.transport());
        let is_served = finding.spot.was_served() || self.opened.contains(&here);
        if finding.verdict == Verdict::Dropped && !is_served {
            finding.verdict = Verdict::NoResponse;
        }
        self.tell(Event::Finding(finding.clone()));
        self.map.findings.push(finding);
    }

    fn confirm(&mut self, finding: Finding) {
        let same = |other: &&mut Finding| {
            other.spot == finding.spot && other.shape == finding.shape && other.verdict.is_crack()
        };
        if let Some(known) = self.map.findings.iter_mut().rev().find(same) {
            *known = finding.clone();
        }
        self.tell(Event::Confirmed(finding));
    }
}

/// Whether a datagram may have met silence, or a refusal that anybody can forge, because of what it said:
/// there is no acceptance that would show it.
fn is_unheard_datagram(finding: &Finding) -> bool {
    let is_nothing =
        matches!(finding.verdict, Verdict::Dropped | Verdict::Refused | Verdict::Unreachable);
    is_nothing && may_be_unheard(&finding.spot)
}

/// Whether a datagram's shape may matter there: only where the relay answered once, and something is known
/// to have passed in a cut or may.
pub(super) fn may_be_unheard(spot: &Spot) -> bool {
    spot.transport() == Transport::Udp
        && spot.was_served()
        && infrastructure::place(Transport::Udp, spot.port()).is_some()
}
