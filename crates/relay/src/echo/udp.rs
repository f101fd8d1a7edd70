//! The answer to a question in a datagram, and the climb from the same port.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::echo::climb::PIECE;
use wire::echo::{Answer, Dress, Question, Transport, Way};

use super::ladder::Ladder;
use super::{Asked, asked};
use crate::Shared;
use crate::clock::unix_seconds_32;
use crate::datagrams::Flow;
use crate::generations::Generations;
use crate::tally::Counter;

/// After how many other questions one can certainly still climb.
const ASKED: usize = 8_192;
/// And for how long, in seconds.
const PATIENCE: u32 = 120;

/// Those who climb by datagrams, and those who may begin to.
pub(super) struct Sessions(Mutex<Now>);

struct Now {
    asked: Generations<Flow, Pending>,
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
        Self(Mutex::new(Now { asked: Generations::new(ASKED), climbing: HashMap::new() }))
    }
}

/// What is said to a datagram, which is a piece of somebody's climb or a question.
pub(crate) fn hear(shared: &Shared, flow: &Flow, datagram: &[u8]) -> Option<Vec<u8>> {
    if let Some(said) = climb(shared, flow, datagram) {
        return Some(said);
    }
    let asked = asked(shared, Transport::Udp, flow.from.ip(), datagram)?;
    let time = unix_seconds_32();
    let seen = Answer { relay: flow.to, asker: flow.from, time, reserved: [0; 8] };
    let sealed = asked.found.answer(&seen);
    let question = asked.question;
    shared.echoes.sessions.now().asked.insert(*flow, Pending { question, time });
    Some(asked.found.dress().answer(datagram, &sealed, time))
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
    /// The question as it was opened then.
    fn again(&self, shared: &Shared) -> Option<Asked> {
        let is_over = unix_seconds_32().saturating_sub(self.time) > PATIENCE;
        let table = shared.echoes.table.load();
        let found = table.as_ref()?.open(&self.question, self.time).filter(|_| !is_over)?;
        Some(Asked { found, question: self.question, used: 0 })
    }
}

impl Sessions {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets those who are done.
    pub(super) fn sweep(&self) {
        let mut now = self.now();
        now.climbing.retain(|_, ladder| !ladder.is_over());
    }
}
