//! Heartbeats, for as long as the relay runs.
//!
//! The hub answers when it has something to say, or when it wants to hear more. While it is away, the
//! relay goes on with what it was told last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use relay::{Census, Relay};
use store::Membership;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wire::derive::RelayKey;
use wire::fleet::{Capacity, Face, Health, Heartbeat, Order, SignedOrder, Standing};

use super::hub::{Hub, now};
use crate::machine::Processors;
use crate::watch::tell;

/// The least time from one heartbeat to the next.
const LEAST: Duration = Duration::from_secs(1);
/// How much longer than it wants to the hub may take for an answer.
const LATE: Duration = Duration::from_secs(15);
/// How long the hub is left alone after it has not answered, twice as long each time.
const BACK_OFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// How long an order may take to be followed until the next heartbeat says that it is not.
const FOLLOWED: Duration = Duration::from_secs(10);
/// How often it is tried whether Telegram is reached.
const TELEGRAM: Duration = Duration::from_secs(60);
/// Answers that do not come before the volunteer hears of it.
const TOLD_AFTER: u32 = 3;

/// What the relay says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Report {
    /// Which order it follows.
    pub order: u64,
    /// Up to which revision it knows its seats.
    pub seats: u64,
    pub standing: Standing,
    pub capacity: Capacity,
    pub face: Face,
}

/// What changes all the time, and is no reason for a heartbeat of its own.
#[derive(Default)]
pub(super) struct Signs {
    carried: AtomicU64,
    is_away: AtomicBool,
    reached: [AtomicU8; 2],
}

impl Signs {
    pub(super) fn set_carried(&self, bytes: u64) {
        self.carried.store(bytes, Ordering::Relaxed);
    }

    /// Whether the hub answers.
    pub(super) fn is_heard(&self) -> bool {
        !self.is_away.load(Ordering::Relaxed)
    }
}

/// Goes on until it is dropped.
pub(super) struct Pulse([JoinHandle<()>; 2]);

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Pulse {
    pub(super) fn begin(
        membership: &Membership,
        relay: &Relay,
        report: watch::Receiver<Report>,
        orders: mpsc::Sender<(Order, SignedOrder)>,
        signs: Arc<Signs>,
        json: bool,
    ) -> Self {
        let looking = tokio::spawn(look_at_telegram(relay.clone(), Arc::clone(&signs)));
        let heart = Heart {
            key: membership.key(),
            membership: membership.clone(),
            next: membership.order.next,
            relay: relay.clone(),
            report,
            orders,
            signs,
            processors: Processors::default(),
            started: Instant::now(),
            counted_since: Instant::now(),
            number: 0,
            json,
        };
        Self([looking, tokio::spawn(heart.beat())])
    }
}

async fn look_at_telegram(relay: Relay, signs: Arc<Signs>) {
    loop {
        let (reached, all) = relay.reach_telegram().await;
        signs.reached[0].store(reached, Ordering::Relaxed);
        signs.reached[1].store(all, Ordering::Relaxed);
        sleep(TELEGRAM).await;
    }
}

struct Heart {
    key: RelayKey,
    membership: Membership,
    /// In how many seconds the hub wants to hear more.
    next: u16,
    relay: Relay,
    report: watch::Receiver<Report>,
    orders: mpsc::Sender<(Order, SignedOrder)>,
    signs: Arc<Signs>,
    processors: Processors,
    started: Instant,
    counted_since: Instant,
    /// The last heartbeat's.
    number: u64,
    json: bool,
}

impl Heart {
    async fn beat(mut self) {
        let hub = match Hub::of(&self.membership.invite) {
            Ok(hub) => hub,
            Err(error) => return tell("hub-away", &format!("{error:#}"), self.json),
        };
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let report = self.report.borrow_and_update().clone();
            let known = report.order;
            let (bytes, census) = self.heartbeat(report);
            let patience = Duration::from_secs(self.next.into()) + LATE;
            let answer = tokio::select! {
                answer = hub.heartbeat(bytes, patience) => Some(answer),
                _ = self.report.changed() => None,
            };
            let answer = answer.map(|answer| answer.and_then(|signed| self.check(signed, known)));
            if !matches!(answer, Some(Ok(_))) {
                self.relay.put_back_census(&census);
            }
            match answer {
                // There is something else to say.
                None => {}
                Some(Ok(news)) => {
                    failures = 0;
                    self.counted_since = began;
                    self.note_heard();
                    self.follow(news, began).await;
                }
                Some(Err(error)) => {
                    failures += 1;
                    self.note_away(failures, &error);
                    let _ = timeout(pause(failures), self.report.changed()).await;
                }
            }
            sleep_until(began + LEAST).await;
        }
    }

    /// Has an order followed, or waits for as long as the hub wants to be left alone.
    async fn follow(&mut self, news: Option<(Order, SignedOrder)>, began: Instant) {
        let wait = match news {
            Some((order, signed)) => {
                self.next = order.next;
                if self.orders.send((order, signed)).await.is_err() {
                    return;
                }
                FOLLOWED
            }
            None => Duration::from_secs(self.next.into()).saturating_sub(began.elapsed()),
        };
        let _ = timeout(wait, self.report.changed()).await;
    }

    /// An order that is to be followed.
    fn check(
        &self,
        signed: Option<SignedOrder>,
        known: u64,
    ) -> anyhow::Result<Option<(Order, SignedOrder)>> {
        let Some(signed) = signed else { return Ok(None) };
        let order = signed.open(&self.membership.invite.signer, self.membership.relay)?;
        if order.number <= known {
            bail!("it repeats an earlier order");
        }
        Ok(Some((order, signed)))
    }

    fn heartbeat(&mut self, report: Report) -> (Vec<u8>, Census) {
        let Report { order, seats, standing, capacity, face } = report;
        self.number = now().max(self.number + 1);
        let census = self.relay.take_census();
        let milliseconds = self.counted_since.elapsed().as_millis();
        let heartbeat = Heartbeat {
            relay: self.membership.relay,
            number: self.number,
            order,
            seats,
            standing,
            capacity,
            face,
            health: self.health(),
            over: u32::try_from(milliseconds).unwrap_or(u32::MAX),
            counted: census.counted.clone(),
            abroad: census.abroad.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        (heartbeat.write(&self.key), census)
    }

    fn health(&mut self) -> Health {
        let connections: u64 = self.relay.totals().open.values().sum();
        let [reached, all] = [0, 1].map(|place| self.signs.reached[place].load(Ordering::Relaxed));
        Health {
            connections: u32::try_from(connections).unwrap_or(u32::MAX),
            carried: self.signs.carried.load(Ordering::Relaxed),
            datacentres: (reached, all),
            busy: self.processors.busy(),
            up: u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX),
        }
    }

    fn note_heard(&self) {
        if self.signs.is_away.swap(false, Ordering::Relaxed) {
            tell("hub-back", "the hub answers again", self.json);
        }
    }

    fn note_away(&self, failures: u32, error: &anyhow::Error) {
        if failures >= TOLD_AFTER && !self.signs.is_away.swap(true, Ordering::Relaxed) {
            let goes_on = "the relay goes on with what it was told last";
            tell("hub-away", &format!("the hub does not answer ({error:#}); {goes_on}"), self.json);
        }
    }
}

/// Half of it by chance: a hub that comes back is not to hear from all relays at once.
fn pause(failures: u32) -> Duration {
    let [first, longest] = BACK_OFF;
    let whole = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest);
    let [chance] = wire::random::<1>();
    whole / 2 + whole * u32::from(chance) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_that_is_away_is_asked_less_and_less_often_and_never_at_one_time_by_all() {
        for (failures, whole) in [(1, 1), (2, 2), (5, 16), (7, 60), (1_000, 60)] {
            let whole = Duration::from_secs(whole);
            let pauses: Vec<Duration> = (0..50).map(|_| pause(failures)).collect();
            assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{failures}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failures}");
        }
    }
}
