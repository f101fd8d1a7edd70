//! Questions of people with a bundle, who find out which of our ports are reached from where they are,
//! and how much passes through them: [`wire::echo`], answered.
//!
//! ```text
//! first bytes, a datagram ─> a bundle's key? ─> of now, and new? ─> within its budget? ─> the answer ─> a climb
//!                                └──────────────────┴────────────────────┴─ no: nobody's, as any noise
//! ```
//!
//! Whoever has no bundle cannot tell from outside that this is asked: it is one look into a table,
//! before keys are tried.
//!
//! | module | what is in it |
//! |---|---|
//! | `budget` | how much a bundle may ask |
//! | `ladder` | a climb, whatever carries it |
//! | `tcp` | the answer, and the climb, on a connection |
//! | `udp` | the same by datagrams |

mod budget;
mod ladder;
pub(crate) mod tcp;
pub(crate) mod udp;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use wire::derive::RelayKey;
use wire::echo::{BundleId, Found, Question, Table, Transport, dress};
use wire::receipt::Witness;

use crate::arrival::Arrival;
use crate::clock::unix_seconds_32;
use crate::patience::Patience;
use crate::tally::Counter;
use crate::{Limits, Shared};
use budget::Budget;
use udp::Sessions;

/// What the relay knows of bundles.
pub(crate) struct Echoes {
    /// None where there are no bundles: then nothing is looked at.
    table: ArcSwapOption<Table>,
    /// Whoever has it may change the table.
    changing: Mutex<()>,
    budget: Budget,
    /// Who signs receipts.
    pub(crate) witness: ArcSwapOption<Witness>,
    /// Those who climb by datagrams.
    sessions: Sessions,
}

/// A question that is to be answered.
pub(crate) struct Asked {
    pub found: Found,
    pub question: Question,
    /// When it was asked, in seconds since 1970.
    pub time: u32,
    /// How many of the bytes that came it took, without the noise after it.
    pub used: usize,
}

impl Echoes {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            table: ArcSwapOption::empty(),
            changing: Mutex::default(),
            budget: Budget::new(limits),
            witness: ArcSwapOption::empty(),
            sessions: Sessions::default(),
        }
    }

    /// From now on it is these bundles.
    pub(crate) fn set(&self, key: &RelayKey, bundles: &[BundleId]) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let with_keys = bundles.iter().map(|id| (*id, key.echo_key(*id)));
        let table = Table::new(&key.mask_key(), with_keys, unix_seconds_32());
        self.table.store((!table.is_empty()).then(|| Arc::new(table)));
        self.budget.keep(&bundles.iter().copied().collect());
    }

    /// The question as it was opened at that time, if its bundle is still good.
    fn again(&self, question: &Question, time: u32) -> Option<Found> {
        self.table.load().as_ref()?.open(question, time)
    }

    /// Looks at the clock.
    pub(crate) fn refresh(&self) {
        self.sessions.sweep();
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let refreshed = self.table.load().as_ref().and_then(|it| it.refreshed(unix_seconds_32()));
        if let Some(refreshed) = refreshed {
            self.table.store(Some(Arc::new(refreshed)));
        }
    }
}

/// The question that somebody asks, if it is one of a bundle's, of now, asked for the first time, from
/// where it may be asked and not one too many. It counts as asked from then on.
pub(crate) fn asked(
    shared: &Shared,
    transport: Transport,
    from: IpAddr,
    came: &[u8],
) -> Option<Asked> {
    let table = shared.echoes.table.load();
    let table = table.as_ref()?;
    let (shape, question, used) = dress::find(transport, came)?;
    let time = unix_seconds_32();
    let found = table.open(&question, time)?;
    let is_alike = (found.wanted.transport, found.wanted.shape) == (transport, shape);
    if !is_alike || !found.may_come_from(from) {
        return None;
    }
    // Before it is written down as seen: who asks too much fills no memory.
    if !shared.echoes.budget.has_left(found.bundle) {
        shared.counters.count(Counter::TooManyEchoes);
        return None;
    }
    if !shared.replays.is_new_echo(found.nonce(), &shared.notices) {
        shared.counters.count(Counter::Replays);
        return None;
    }
    shared.echoes.budget.spend(found.bundle);
    shared.counters.count(Counter::Echoes);
    Some(Asked { found, question, time, used })
}

/// The same on a connection, as far as it has come.
pub(crate) fn asked_on(arrival: &Arrival<'_>) -> Option<Asked> {
    let from = IpAddr::from(arrival.source.octets());
    asked(arrival.shared, Transport::Tcp, from, &arrival.first)
}

/// Whether more is waited for because what somebody at the door has said may become a question,
/// though it is no key's any more.
///
/// Where a mask host hears it too, only for those who are known to send pieces: its answer must come
/// as soon as without us.
pub(crate) fn may_become(arrival: &Arrival<'_>) -> bool {
    let Arrival { shared, source, first, .. } = arrival;
    shared.echoes.table.load().is_some()
        && dress::may_become(first)
        && (!shared.asks_the_mask_along() || shared.patiences.with(*source) == Patience::Much)
}
