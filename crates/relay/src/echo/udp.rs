//! The answer to a question in a datagram, and the climb from the same port.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::echo::climb::PIECE;
use wire::echo::{Answer, BundleId, Dress, Question, Transport, Way};

use super::ladder::Ladder;
use super::{Asked, asked};
use crate::Shared;
use crate::clock::unix_seconds_32;
use crate::datagrams::Flow;
use crate::generations::Generations;
use crate::tally::Counter;

/// After how many other questions one can certainly still climb: of all bundles,
const ASKED: usize = 8_192;
/// and of the same.
const ASKED_OF_BUNDLE: usize = 256;
/// And for how long, in seconds.
const PATIENCE: u32 = 120;

/// Those who climb by datagrams, and those who may begin to.
pub(super) struct Sessions(Mutex<Now>);

struct Now {
    asked: Generations<Flow, Pending>,
    /// The last flows of each bundle: a sweep pushes out its own alone.
    of_bundle: HashMap<BundleId, VecDeque<Flow>>,
    climbing: HashMap<Flow, Ladder>,
}

/// A question that was answered: small, for a sweep leaves one behind for every port.
struct Pending {
    question: Question,
    /// When, in seconds since 1970.
    time: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        let asked = Generations::new(ASKED);
        Self(Mutex::new(Now { asked, of_bundle: HashMap::new(), climbing: HashMap::new() }))
    }
}

/// What is said to a datagram, which is a piece of somebody's climb or a question.
pub(crate) fn hear(shared: &Shared, flow: &Flow, datagram: &[u8]) -> Option<Vec<u8>> {
    if let Some(said) = climb(shared, flow, datagram) {
        return Some(said);
    }
    let asked = asked(shared, Transport::Udp, flow.from.ip(), datagram)?;
    let Asked { ref found, question, time, .. } = asked;
    let seen = Answer { relay: flow.to, asker: flow.from, time, reserved: [0; 8] };
    let sealed = found.answer(&seen);
    shared.echoes.sessions.now().expect(found.bundle, *flow, Pending { question, time });
    Some(found.dress().answer(datagram, &sealed, time))
}

/// Each piece is answered by one of the same kind and number.
fn climb(shared: &Shared, flow: &Flow, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut now = shared.echoes.sessions.now();
    if let Some(ladder) = now.climbing.get_mut(flow)
        && let Some(said) = ladder.hear_datagram(shared, datagram)
    {
        return Some(said);
    }
    // Who has asked anew climbs under the new question.
    let pending = now.asked.peek(flow)?;
    // In no dress is a piece shorter.
    let asked = (datagram.len() >= PIECE).then(|| pending.again(shared))??;
    let dress = asked.found.dress();
    let sealed = read_piece(&dress, datagram)?;
    asked.found.climb().open(&sealed)?;
    now.asked.remove(flow);
    now.climbing.remove(flow);
    let Some(place) = shared.echoes.budget.climb(asked.found.bundle) else {
        shared.counters.count(Counter::TooManyEchoes);
        return None;
    };
    shared.counters.count(Counter::Climbs);
    let mut ladder = Ladder::new(shared, &asked, dress, flow, place);
    let said = ladder.hear_datagram(shared, datagram);
    now.climbing.insert(*flow, ladder);
    said
}

fn read_piece(dress: &Dress, datagram: &[u8]) -> Option<[u8; PIECE]> {
    dress.read_piece(Way::Up, datagram).ok()?.map(|(piece, _)| piece)
}

impl Ladder {
    fn hear_datagram(&mut self, shared: &Shared, datagram: &[u8]) -> Option<Vec<u8>> {
        let piece = self.hear(&read_piece(self.dress(), datagram)?)?;
        Some(self.answer(shared, &piece, datagram))
    }
}

impl Pending {
    fn is_over(&self) -> bool {
        unix_seconds_32().saturating_sub(self.time) > PATIENCE
    }

    /// The question as it was opened then.
    fn again(&self, shared: &Shared) -> Option<Asked> {
        let &Self { question, time } = self;
        let found = shared.echoes.again(&question, time).filter(|_| !self.is_over())?;
        Some(Asked { found, question, time, used: 0 })
    }
}

impl Now {
    /// Whoever asked may begin to climb.
    fn expect(&mut self, bundle: BundleId, flow: Flow, pending: Pending) {
        let flows = self.of_bundle.entry(bundle).or_default();
        if self.asked.peek(&flow).is_some() {
            flows.retain(|other| *other != flow);
        }
        if flows.len() >= ASKED_OF_BUNDLE
            && let Some(oldest) = flows.pop_front()
        {
            self.asked.remove(&oldest);
        }
        flows.push_back(flow);
        self.asked.insert(flow, pending);
    }
}

impl Sessions {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets those who are done.
    pub(super) fn sweep(&self) {
        let mut now = self.now();
        let Now { asked, of_bundle, climbing } = &mut *now;
        climbing.retain(|_, ladder| !ladder.is_over());
        asked.retain(|pending| !pending.is_over());
        of_bundle.retain(|_, flows| {
            flows.retain(|flow| asked.peek(flow).is_some());
            !flows.is_empty()
        });
    }
}
