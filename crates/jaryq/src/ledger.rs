//! What was counted, on its way into the state.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use relay::{Relay, Tallied};
use serde::{Deserialize, Serialize};
use store::{Counted, Store, Unwritten};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use wire::tally::Day;

/// How often it is written down. Whoever is killed loses what was counted since: ten seconds at
/// most, of which one is for the writing itself.
const EVERY: Duration = Duration::from_secs(9);
/// How often that is tried at the end, and the pause between: another program may have the store, and
/// each time waits for it already.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is said that it cannot be.
const COMPLAIN: Duration = Duration::from_secs(60);
/// The note that tells the other commands what there is now.
const NOTE: &str = "now";
/// For how long the note is true: three times it was not renewed.
const STALE: u64 = 30;

/// What there was when the relay last wrote it down.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Now {
    /// When that was, in Unix seconds.
    pub time: u64,
    /// When the relay was started.
    pub started: u64,
    /// Whether it has ended since.
    pub stopped: bool,
    /// People's connections, by protocol.
    pub connections: BTreeMap<String, u64>,
    /// Everything else.
    #[serde(flatten)]
    pub gauges: BTreeMap<String, u64>,
}

impl Now {
    /// As it was last written, if it ever was.
    pub(crate) async fn load(store: &Store) -> anyhow::Result<Option<Self>> {
        // What another version wrote there is no reason to show nothing else.
        Ok(store.note(NOTE).await?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Whether a relay runs, as far as can be told.
    pub(crate) fn is_running(&self) -> bool {
        !self.stopped && unix().abs_diff(self.time) <= STALE
    }
}

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Writes down what a relay counts, for as long as it is not closed.
pub(crate) struct Ledger {
    close: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Ledger {
    /// Begins; `complain` is told now and then why it cannot.
    pub(crate) fn open(
        store: Store,
        relay: Relay,
        complain: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let (close, closed) = oneshot::channel();
        let complain = Box::new(complain);
        let writer = Writer { store, relay, started: unix(), complain, complained: None };
        Self { close, task: tokio::spawn(writer.go_on(closed)) }
    }

    /// Writes down what is left, and ends. To be called when nothing more flows.
    pub(crate) async fn close(self) {
        let _ = self.close.send(());
        let _ = self.task.await;
    }
}

struct Writer {
    store: Store,
    relay: Relay,
    started: u64,
    complain: Box<dyn Fn(&str) + Send + Sync>,
    complained: Option<Instant>,
}

impl Writer {
    async fn go_on(mut self, mut closed: oneshot::Receiver<()>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! { _ = ticks.tick() => {}, _ = &mut closed => break }
            let written = self.write(false).await;
            if let Err(error) = written
                && self.complained.is_none_or(|when| when.elapsed() >= COMPLAIN)
            {
                self.complained = Some(Instant::now());
                (self.complain)(&format!(
                    "what was counted cannot be written down, and is kept in memory: {error}"
                ));
            }
        }
        let mut written = self.write(true).await;
        for _ in 1..TRIES {
            if written.is_err() {
                sleep(PAUSE).await;
                written = self.write(true).await;
            }
        }
        if let Err(error) = written {
            (self.complain)(&format!(
                "what was counted last could not be written down, and is lost: {error}"
            ));
        }
    }

    async fn write(&self, is_last: bool) -> Result<(), store::Error> {
        let today = Day::at(unix());
        let tallied = self.relay.take_tally(today);
        let counters: Vec<_> =
            tallied.counters.iter().map(|(counter, count)| (counter.name(), *count)).collect();
        let note = serde_json::to_string(&self.now(is_last)).ok();
        let counted = Counted {
            cells: &tallied.cells,
            people: tallied.people,
            counters: &counters,
            note: note.as_deref().map(|text| (NOTE, text)),
        };
        if let Err(Unwritten { cells, error }) = self.store.add_tally(today, counted).await {
            let cells = tallied.cells[cells..].to_vec();
            self.relay.put_back(&Tallied { cells, ..tallied });
            return Err(error);
        }
        // The next start will do.
        if is_last { Ok(()) } else { self.store.thin_out().await }
    }

    fn now(&self, stopped: bool) -> Now {
        let totals = self.relay.totals();
        let open = totals.open.iter().filter(|(_, count)| **count > 0);
        Now {
            time: unix(),
            started: self.started,
            stopped,
            connections: open.map(|(protocol, count)| (protocol.name().into(), *count)).collect(),
            gauges: totals.gauges.iter().map(|gauge| (gauge.name.into(), gauge.value)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::Settings;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Connection};

    #[tokio::test]
    async fn at_the_end_it_is_written_also_where_another_program_has_the_store_for_a_while() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        let identity = store.identity().await.expect("an identity");
        let (relay, _notices) =
            Relay::new(&identity.relay_key(), identity.epoch(), Settings::default());
        let mut other = SqliteConnectOptions::new()
            .filename(dir.path().join("jaryq.db"))
            .connect()
            .await
            .expect("opens");
        let ledger = Ledger::open(store.clone(), relay, |_: &str| {});
        while Now::load(&store).await.expect("read").is_none() {
            sleep(Duration::from_millis(10)).await;
        }
        let lock = other.begin_with("BEGIN IMMEDIATE").await.expect("it is free");
        let close = tokio::spawn(ledger.close());
        // Longer than it is waited for at a time.
        sleep(Duration::from_secs(7)).await;
        lock.commit().await.expect("nothing");
        close.await.expect("no panic");
        let now = Now::load(&store).await.expect("read");
        assert!(now.is_some_and(|now| now.stopped), "it says that it has stopped");
    }
}
