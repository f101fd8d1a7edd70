//! Candidates on their way to the engines: one queue and one pace, quiet or loud.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use wire::echo::{Shape, Transport};

use crate::order::Order;
use crate::pace::Pace;
use crate::verdict::Finding;
use crate::{Mode, Spot};

/// How often all that was silent is asked again, where packets get lost: 19 % of round trips are at
/// 10 % each way, and few of a thousand open ports may be missed.
pub(super) const PASSES: u8 = 3;
/// How many questions of a loud search go to ports in other shapes: a box that accepts everything would
/// have us try all of them four times.
const OTHER_SHAPES: usize = 3 * 128;

/// How many answers are a crowd: a relay's door holds twice as many at a time.
const CROWD: usize = 512;
/// How many are asked again a second, where they are part of one.
const CALM: u32 = 10_000;

/// Which attempt it is when somebody's claim is tried again: after those of all passes, since no
/// question is ever asked twice.
const AGAIN: u8 = PASSES - 1;

/// Candidates of one kind.
pub(super) struct Lane {
    pub(super) mode: Mode,
    order: Order,
    pub(super) pace: Pace,
    /// The same spots in other shapes; they take turns with new ones.
    others: VecDeque<(Spot, Shape)>,
    other_shapes: usize,
    is_others_turn: bool,
    /// How many asks are out.
    pub(super) out: usize,
    pub(super) pass: u8,
    /// Of what was asked in this pass, that of which nothing came.
    silent: Vec<Finding>,
    /// What is still to be asked again in this one.
    again: VecDeque<Finding>,
    /// What more than silence was met before where it is asked again.
    known: HashMap<(u64, Shape), Finding>,
    /// Where the relay itself has answered, in which shape.
    heard: HashSet<(u64, Shape)>,
    looked_at: Option<Next>,
    /// Whether there was none when it was looked for last.
    pub(super) is_dry: bool,
    pub(super) is_over: bool,
}

/// What to ask next.
pub(super) struct Next {
    pub(super) spot: Spot,
    pub(super) shape: Shape,
    /// Whether this port is new.
    pub(super) is_new: bool,
    /// Which one of the asks in this shape it is, from 0 on.
    pub(super) attempt: u8,
}

impl Lane {
    pub(super) fn new(mode: Mode, order: Order, pace: Pace) -> Self {
        Self {
            mode,
            order,
            pace,
            others: VecDeque::new(),
            other_shapes: OTHER_SHAPES,
            is_others_turn: false,
            out: 0,
            pass: 0,
            silent: Vec::new(),
            again: VecDeque::new(),
            known: HashMap::new(),
            heard: HashSet::new(),
            looked_at: None,
            is_dry: false,
            is_over: false,
        }
    }

    pub(super) fn order(&mut self) -> &mut Order {
        &mut self.order
    }

    /// Whether there is a next one.
    pub(super) fn has_next(&mut self, only_near: bool) -> bool {
        self.looked_at = self.next(only_near);
        self.looked_at.is_some()
    }

    /// The next; `None` when there is none for now. `only_near`: nothing is to be found any more but
    /// the same ports at other relays.
    pub(super) fn next(&mut self, only_near: bool) -> Option<Next> {
        let next = self.looked_at.take().or_else(|| self.find(only_near));
        self.is_dry = next.is_none();
        next
    }

    fn find(&mut self, only_near: bool) -> Option<Next> {
        loop {
            let next = self.find_any(only_near)?;
            if !self.has_heard(&next.spot, next.shape) {
                return Some(next);
            }
            self.forget(&next.spot, next.shape);
        }
    }

    fn find_any(&mut self, only_near: bool) -> Option<Next> {
        if let Some(finding) = self.again.pop_front() {
            let (spot, shape) = (finding.spot.clone(), finding.shape);
            if !finding.verdict.is_silence() {
                self.known.insert((spot.key(), shape), finding);
            }
            return Some(Next { spot, shape, is_new: false, attempt: self.pass });
        }
        if only_near {
            let (spot, shape) = self.order.next_near()?;
            return Some(Next { spot, shape, is_new: true, attempt: 0 });
        }
        self.is_others_turn = !self.is_others_turn;
        if self.is_others_turn
            && let Some((spot, shape)) = self.others.pop_front()
        {
            return Some(Next { spot, shape, is_new: false, attempt: 0 });
        }
        if self.pass == 0
            && let Some((spot, shape)) = self.order.next()
        {
            let before = self.order.times_before(&spot);
            let attempt = if before > 0 { AGAIN + before } else { 0 };
            return Some(Next { spot, shape, is_new: attempt == 0, attempt });
        }
        let (spot, shape) = self.others.pop_front()?;
        Some(Next { spot, shape, is_new: false, attempt: 0 })
    }

    /// Tries a spot in another shape, if there is one left; in a loud search, which has no time for one
    /// after the other, in all of them. Where nobody was heard, in one other.
    pub(super) fn other_shape(&mut self, spot: &Spot, tried: &mut Vec<Shape>, is_unheard: bool) {
        const ORDER: [Shape; 4] = [Shape::Tls, Shape::Random, Shape::Printable, Shape::Dns];
        for shape in ORDER {
            if is_unheard && tried.len() > 1 {
                return;
            }
            if tried.contains(&shape) {
                continue;
            }
            if self.mode == Mode::Quiet {
                self.others.push_back((spot.clone(), shape));
                return;
            }
            if self.other_shapes == 0 {
                return;
            }
            self.other_shapes -= 1;
            tried.push(shape);
            self.others.push_back((spot.clone(), shape));
        }
    }

    /// Nothing came of this one: it may be asked again in a later pass. That nothing came at all is
    /// no news where something did before.
    pub(super) fn keep(&mut self, finding: Finding) {
        let known = self.known.remove(&(finding.spot.key(), finding.shape));
        self.silent.push(known.filter(|_| finding.verdict.is_silence()).unwrap_or(finding));
    }

    /// Something came of it after all.
    pub(super) fn forget(&mut self, spot: &Spot, shape: Shape) {
        self.known.remove(&(spot.key(), shape));
    }

    /// The relay has answered there: it is not asked again.
    pub(super) fn hear(&mut self, spot: &Spot, shape: Shape) {
        self.forget(spot, shape);
        self.heard.insert((spot.key(), shape));
    }

    /// Whether the relay has answered there.
    pub(super) fn has_heard(&self, spot: &Spot, shape: Shape) -> bool {
        self.heard.contains(&(spot.key(), shape))
    }

    /// Whether the relay answers at more ports than any cut leaves open. What is silent then was more
    /// likely lost in the crowd, on the way or at the relay's door, than in a filter.
    pub(super) fn is_open(&self) -> bool {
        self.mode == Mode::Loud && self.heard.len() > CROWD
    }

    /// All of a pass has been asked and heard: what was silent is asked again, if that is needed, or
    /// its verdict is final. Silence after an acceptance counts only where packets get lost.
    pub(super) fn pass(&mut self, is_needed: bool, is_lossy: bool) -> Vec<Finding> {
        let is_lossy = is_lossy || self.is_open();
        self.pass += 1;
        let is_last = !is_needed || self.pass >= PASSES;
        let is_asked_again = |finding: &Finding| {
            !is_last && (is_lossy || finding.verdict == crate::Verdict::Dropped)
        };
        let mut last = self.left_over();
        self.again = last.extract_if(.., |finding| is_asked_again(finding)).collect();
        self.is_over = self.again.is_empty();
        if self.is_open() {
            self.pace = Pace::loud(CALM);
        }
        last
    }

    /// What is not final.
    pub(super) fn left_over(&mut self) -> Vec<Finding> {
        let mut left = std::mem::take(&mut self.silent);
        left.extend(self.again.drain(..));
        left.extend(self.known.drain().map(|(_, finding)| finding));
        left
    }

    /// How long an acceptance, or a datagram's answer, is waited for. Below a second a dial is one
    /// packet; beyond it the kernel sends a second and a third.
    pub(super) fn hold(&self, transport: Transport, rtt: Option<Duration>) -> Duration {
        const ONE: Duration = Duration::from_millis(900);
        let ms = Duration::from_millis;
        match (self.mode, transport, self.pass) {
            (Mode::Quiet, Transport::Tcp, _) => ms(3_300),
            (Mode::Quiet, Transport::Udp, _) => ms(1_500),
            (Mode::Loud, _, 0) => rtt.map_or(ms(500), |rtt| (rtt * 3).clamp(ms(250), ONE)),
            (Mode::Loud, Transport::Tcp, _) => ms(1_600).max(rtt.unwrap_or_default() * 4),
            (Mode::Loud, Transport::Udp, _) => ms(1_000).max(rtt.unwrap_or_default() * 3),
        }
    }

    /// How long an answer is waited for after an acceptance.
    pub(super) fn patience(&self, rtt: Option<Duration>) -> Duration {
        let least = if self.mode == Mode::Quiet { 4 } else { 2 };
        Duration::from_secs(least).max(rtt.unwrap_or_default() * 6)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{Targets, Verdict, peer};

    /// Packets that get lost the same way every time.
    struct Loss(u64);

    impl Loss {
        /// Whether one gets through where a tenth is lost.
        fn passes(&mut self) -> bool {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            !(self.0 >> 33).is_multiple_of(10)
        }

        /// Whether one of so many questions is answered.
        fn answers(&mut self, questions: u32) -> bool {
            (0..questions).any(|_| self.passes() & self.passes())
        }
    }

    fn finding(spot: Spot, verdict: Verdict) -> Finding {
        let (at, took) = (Duration::ZERO, Duration::ZERO);
        let shape = Shape::Random;
        Finding { spot, shape, verdict, at, took, rtt: None, bytes: 0, receipt: None }
    }

    /// How many of the open ports a whole search finds.
    fn found(transport: Transport, open: usize, seed: u64) -> usize {
        let targets = Targets::untrusted(&[peer::endpoint(IpAddr::from([127, 0, 0, 1]), &[])]);
        let order = Order::new(&targets, [], &[transport], &[1; 32], 0).once();
        let mut lane = Lane::new(Mode::Loud, order, Pace::loud(1));
        let mut loss = Loss(seed);
        let mut found = 0;
        while !lane.is_over {
            while let Some(next) = lane.next(false) {
                let is_open = usize::from(next.spot.port()) % (65_536 / open) == 7;
                // A dial that is held for more than a second is two SYNs; datagrams of a later pass
                // go in pairs.
                let hold = lane.hold(transport, Some(Duration::from_millis(10)));
                let many = match transport {
                    Transport::Tcp => 1 + u32::from(hold > Duration::from_millis(1_000)),
                    Transport::Udp => 1 + u32::from(next.attempt > 0),
                };
                if is_open && loss.answers(many) {
                    found += 1;
                } else if is_open {
                    lane.keep(finding(next.spot, Verdict::Dropped));
                }
            }
            lane.pass(true, true);
        }
        found
    }

    fn lane() -> Lane {
        let targets = Targets::untrusted(&[peer::endpoint(IpAddr::from([127, 0, 0, 1]), &[7])]);
        let order = Order::new(&targets, [], &[Transport::Tcp], &[1; 32], 0).once();
        Lane::new(Mode::Loud, order, Pace::loud(1))
    }

    #[test]
    fn a_loud_search_tries_all_other_shapes_at_once_of_some_ports() {
        let mut lane = lane();
        let spot = lane.next(false).expect("the port").spot;
        let mut tried = vec![Shape::Random];
        lane.other_shape(&spot, &mut tried, false);
        assert_eq!(std::iter::from_fn(|| lane.next(false)).count(), 3);
        lane.other_shape(&spot, &mut tried, false);
        (0..1_000).for_each(|_| lane.other_shape(&spot, &mut vec![Shape::Random], false));
        assert_eq!(std::iter::from_fn(|| lane.next(false)).count(), OTHER_SHAPES - 3);
    }

    #[test]
    fn silence_is_no_news_where_something_was_met_before() {
        let mut lane = lane();
        let spot = lane.next(false).expect("the port").spot;
        lane.keep(finding(spot.clone(), Verdict::Mute));
        for _ in 1..PASSES {
            assert!(lane.pass(true, true).is_empty());
            assert!(lane.next(false).is_some_and(|next| next.spot == spot));
            lane.keep(finding(spot.clone(), Verdict::Dropped));
        }
        let last: Vec<Verdict> = lane.pass(true, true).iter().map(|it| it.verdict).collect();
        assert_eq!(last, [Verdict::Mute]);
    }

    #[test]
    fn where_hundreds_of_ports_answer_the_silent_ones_are_asked_again_without_hurry() {
        let targets = Targets::untrusted(&[peer::endpoint(IpAddr::from([127, 0, 0, 1]), &[])]);
        let order = Order::new(&targets, [], &[Transport::Tcp], &[1; 32], 0).once();
        let mut lane = Lane::new(Mode::Loud, order, Pace::loud(250_000));
        for answered in 0..=CROWD {
            assert!(!lane.is_open(), "{answered}");
            let next = lane.next(false).expect("a port");
            lane.hear(&next.spot, next.shape);
        }
        let silent = lane.next(false).expect("a port").spot;
        lane.keep(finding(silent.clone(), Verdict::Mute));
        assert!(lane.is_open() && lane.pass(true, false).is_empty());
        assert!(lane.next(false).is_some_and(|next| next.spot == silent));

        assert!(lane.pace.now(Duration::from_secs(100)) <= CALM / 50);
    }

    #[test]
    fn where_the_relay_has_answered_no_later_pass_nor_other_shape_asks_the_same() {
        let mut lane = lane();
        let spot = lane.next(false).expect("the port").spot;
        lane.keep(finding(spot.clone(), Verdict::Dropped));
        assert!(lane.pass(true, true).is_empty());
        lane.hear(&spot, Shape::Random);
        lane.other_shape(&spot, &mut vec![Shape::Tls, Shape::Printable, Shape::Dns], false);
        assert!(lane.next(false).is_none());
        assert!(lane.pass(true, true).is_empty() && lane.is_over);
    }

    #[test]
    fn where_a_tenth_is_lost_each_way_three_passes_miss_less_than_one_port_in_a_thousand() {
        for transport in Transport::ALL {
            let (open, seeds) = (2_048, 5);
            let found: usize = (0..seeds).map(|seed| found(transport, open, seed)).sum();
            let all = open * usize::try_from(seeds).expect("some");
            assert!(found * 1000 >= all * 999, "{transport}: {found} of {all}");
        }
    }
}
