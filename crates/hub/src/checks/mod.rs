//! Outside checks: the hub asks each endpoint itself, as people with a bundle do. What answers to the
//! hub and to nobody inside is blocked; what answers to nobody is dead. And a relay that has joined gets
//! people once it has answered.

mod question;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use wire::derive::{FleetKey, RelayId};
use wire::fleet::Standing;

use crate::clerk::{Clerk, EndpointView, RelayReport, system_clock};
use crate::seats::EndpointId;
use crate::watch::Watch;
use question::answers;

/// How long a round over all endpoints takes: they are asked at any moment of it.
pub const ROUND: Duration = Duration::from_secs(20);
/// How soon a relay is asked that was not reached before.
const SOON: Duration = Duration::from_secs(2);
/// How many questions there are at a time.
const AT_A_TIME: usize = 512;
/// So many times.
const OFTEN: u32 = 8;
/// Who has said nothing for so many milliseconds is not asked.
pub const SILENT: u64 = 60_000;
/// So many rounds without an answer, and a relay is not reached.
const FAILURES: u8 = 2;

/// Asks again and again.
pub struct Checks {
    clerk: Clerk,
    watch: Arc<Watch>,
    fleet: FleetKey,
    /// What the last question at each came to.
    last: Mutex<HashMap<EndpointId, bool>>,
    /// In how many rounds in a row a relay has answered nowhere.
    failures: Mutex<HashMap<RelayId, u8>>,
    turns: Semaphore,
}

impl Checks {
    /// For the relays of a clerk.
    #[must_use]
    pub fn new(clerk: Clerk, watch: Arc<Watch>, fleet: FleetKey) -> Arc<Self> {
        let (last, failures) = Default::default();
        Arc::new(Self { clerk, watch, fleet, last, failures, turns: Semaphore::new(AT_A_TIME) })
    }

    /// Asks for as long as it is not dropped.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(self.endpoints(), self.suspects(), self.newcomers());
    }

    /// Every live endpoint once a round, each at a moment of its own.
    async fn endpoints(self: &Arc<Self>) {
        loop {
            let began = Instant::now();
            let live = self.clerk.endpoints();
            for (relay, has_answered) in self.sum_up(&live) {
                // A clerk that has stopped takes no news.
                let _ = self.clerk.reached(relay, has_answered).await;
            }
            let mut round = JoinSet::new();
            for EndpointView { id, relay, address, .. } in live {
                let checks = Arc::clone(self);
                round.spawn(async move {
                    sleep(within(ROUND)).await;
                    checks.ask_at(id, relay, address).await;
                });
            }
            // More than can be asked in one take as long as they take.
            while round.join_next().await.is_some() {}
            sleep_until(began + ROUND).await;
        }
    }

    /// Endpoints of which it should be known at once.
    async fn suspects(self: &Arc<Self>) {
        loop {
            sleep(SOON).await;
            let suspects: HashSet<EndpointId> = self.watch.suspects().into_iter().collect();
            if suspects.is_empty() {
                continue;
            }
            let mut all = JoinSet::new();
            for EndpointView { id, relay, address, .. } in self.clerk.endpoints() {
                if suspects.contains(&id) {
                    let checks = Arc::clone(self);
                    all.spawn(async move { checks.ask_at(id, relay, address).await });
                }
            }
            while all.join_next().await.is_some() {}
        }
    }

    async fn ask_at(&self, endpoint: EndpointId, relay: RelayId, at: SocketAddr) {
        let has_answered = self.ask(relay, at).await;
        lock(&self.last).insert(endpoint, has_answered);
        self.watch.asked(endpoint, has_answered);
    }

    /// What the last round says of relays that have endpoints: one that answers somewhere is reached,
    /// one that twice answered nowhere is not.
    fn sum_up(&self, live: &[EndpointView]) -> Vec<(RelayId, bool)> {
        let (mut last, mut failures) = (lock(&self.last), lock(&self.failures));
        let ids: HashSet<EndpointId> = live.iter().map(|endpoint| endpoint.id).collect();
        last.retain(|id, _| ids.contains(id));
        let mut relays = HashMap::<RelayId, bool>::new();
        for endpoint in live {
            if let Some(answered) = last.get(&endpoint.id) {
                *relays.entry(endpoint.relay).or_default() |= answered;
            }
        }
        failures.retain(|relay, _| relays.get(relay) == Some(&false));
        relays.retain(|relay, has_answered| {
            let count = failures.get(relay).copied().unwrap_or(0).saturating_add(1);
            if !*has_answered {
                failures.insert(*relay, count);
            }
            *has_answered || count >= FAILURES
        });
        relays.into_iter().collect()
    }

    /// Relays that nobody has reached yet, or any more.
    async fn newcomers(self: &Arc<Self>) {
        let mut asked = HashMap::<RelayId, u32>::new();
        loop {
            let mut waiting = self.clerk.relays();
            waiting.retain(is_waiting);
            asked.retain(|id, _| waiting.iter().any(|report| report.view.relay.id == *id));
            for relay in waiting.into_iter().map(|report| report.view.relay) {
                let port = if relay.face.port == 0 { 443 } else { relay.face.port };
                let (id, at) = (relay.id, SocketAddr::new(relay.address, port));
                let times = asked.entry(id).or_default();
                *times += 1;
                // Often at first, then once a round.
                if *times > OFTEN && !times.is_multiple_of(OFTEN) {
                    continue;
                }
                let (checks, is_sure) = (Arc::clone(self), *times > 1);
                tokio::spawn(async move {
                    let has_answered = checks.ask(id, at).await;
                    if has_answered || is_sure {
                        let _ = checks.clerk.reached(id, has_answered).await;
                    }
                });
            }
            sleep(SOON + within(SOON)).await;
        }
    }

    async fn ask(&self, relay: RelayId, at: SocketAddr) -> bool {
        let Ok(_turn) = self.turns.acquire().await else { return false };
        answers(at, &self.fleet.relay_key(&relay), self.clerk.check_bundle(relay)).await
    }
}

/// Whether a relay says that it is there, and nobody has reached it yet, or any more.
fn is_waiting(report: &RelayReport) -> bool {
    let relay = &report.view.relay;
    let now = system_clock()();
    let is_here = report.heard.is_some_and(|heard| now < heard.0.saturating_add(SILENT));
    let is_new = relay.is_reached != Some(true) || relay.is_gone;
    is_here && is_new && relay.standing != Standing::Leaving
}

/// Some moment of this time.
fn within(time: Duration) -> Duration {
    time.mul_f64(f64::from(u16::from_be_bytes(wire::random())) / f64::from(u16::MAX))
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
