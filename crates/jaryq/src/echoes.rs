//! Whose questions the relay answers: those of bundles that are good today.

use std::time::{Duration, Instant};

use relay::Relay;
use store::{Identity, Store};
use tokio::task::{JoinHandle, spawn_blocking};
use wire::echo::BundleId;
use wire::tally::Day;

use crate::ledger::unix;

/// When it is tried again, if the store could not be read.
const AGAIN: Duration = Duration::from_secs(5);

/// Follows which bundles are good. Of very many, that takes seconds, and is done beside whatever else
/// there is to do.
pub(crate) struct Echoes {
    relay: Relay,
    identity: Identity,
    known: Known,
    day: Option<Day>,
    /// Since when there is something new to be read.
    due: Option<Instant>,
    reading: Option<JoinHandle<anyhow::Result<Known>>>,
}

/// What the relay knows.
#[derive(Clone, Default)]
struct Known {
    bundles: Vec<BundleId>,
    /// How many could not be read.
    damaged: usize,
}

impl Echoes {
    pub(crate) fn new(relay: Relay, identity: Identity) -> Self {
        let known = Known::default();
        Self { relay, identity, known, day: None, due: None, reading: None }
    }

    /// Whether a day has begun since the last time.
    pub(crate) fn is_of_yesterday(&self) -> bool {
        self.day != Some(Day::at(unix()))
    }

    /// Whether there is a bundle that is good.
    pub(crate) fn has_bundles(&self) -> bool {
        !self.known.bundles.is_empty()
    }

    /// Bundles were made, or ended: from soon on, the relay answers those that are good today, and
    /// signs receipts.
    pub(crate) fn follow(&mut self) {
        let today = Day::at(unix());
        if self.day != Some(today) {
            // Good for this day and the hours in which it ends elsewhere. Where there is a hub, its
            // orders say it.
            if let Ok(witness) = self.identity.witness(Day(today.0 + 1)) {
                self.relay.set_witness(witness);
            }
            self.day = Some(today);
        }
        self.due = Some(Instant::now());
    }

    /// Goes on with that, without waiting for it; gives what is to be told.
    pub(crate) async fn tend(&mut self, store: &Store) -> Option<String> {
        let is_done = self.reading.as_ref().is_some_and(JoinHandle::is_finished);
        let told = if is_done { self.wait().await } else { None };
        if self.reading.is_none() && self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            let (relay, before) = (self.relay.clone(), self.known.clone());
            self.reading = Some(tokio::spawn(read(store.clone(), relay, before)));
        }
        told
    }

    /// Waits for what is under way.
    pub(crate) async fn wait(&mut self) -> Option<String> {
        let read = self.reading.take()?.await;
        match read.map_err(Into::into).flatten() {
            Ok(known) => {
                let is_news = known.damaged != self.known.damaged && known.damaged > 0;
                self.known = known;
                is_news.then(|| {
                    let damaged = self.known.damaged;
                    format!("{damaged} of the bundles in the state are damaged; nobody is answered by them")
                })
            }
            Err(error) => {
                self.due = self.due.or(Some(Instant::now() + AGAIN));
                Some(format!("bundles cannot be read: {error:#}"))
            }
        }
    }
}

/// Has the relay answer those that are good today.
async fn read(store: Store, relay: Relay, before: Known) -> anyhow::Result<Known> {
    let good = store.bundles(Day::at(unix())).await?;
    let bundles: Vec<BundleId> = good.bundles.iter().map(|one| one.id).collect();
    if bundles == before.bundles {
        return Ok(Known { damaged: good.damaged, ..before });
    }
    spawn_blocking(move || {
        relay.set_bundles(&bundles);
        Known { bundles, damaged: good.damaged }
    })
    .await
    .map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use relay::{CourseSettings, Limits, Settings};
    use store::{Handout, Label};
    use wire::derive::Form;

    use super::*;

    #[tokio::test]
    async fn what_is_read_of_bundles_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        let identity = store.identity().await.expect("an identity");
        let course = CourseSettings::default();
        let limits = Limits::for_machine(1024, 1 << 30);
        let settings = Settings { course, house: None, folder: None, limits };
        let (relay, _notices) = Relay::new(&identity.relay_key(), identity.epoch(), settings);
        let mut echoes = Echoes::new(relay, identity);
        let key = store.new_key(Label::default(), Form::Telegram).await.expect("made");
        let made = Day::at(unix());
        let expires = Day(made.0 + 1);
        let handout = Handout { key: key.id, is_keys_own: true, made, expires, others: &[] };
        let issued = store.new_bundle(handout).await.expect("made");
        assert!(echoes.is_of_yesterday());
        echoes.follow();
        assert_eq!(echoes.tend(&store).await, None);
        assert!(echoes.reading.is_some() && echoes.known.bundles.is_empty(), "it is under way");
        // What comes meanwhile is not forgotten.
        echoes.follow();
        assert_eq!(echoes.wait().await, None);
        assert_eq!(echoes.known.bundles, [issued.id]);
        assert!(echoes.due.is_some() && !echoes.is_of_yesterday());
        store.clone().close().await;
        assert_eq!(echoes.tend(&store).await, None);
        let told = echoes.wait().await.expect("the store is closed");
        assert!(told.contains("cannot be read"), "{told}");
        assert_eq!(echoes.known.bundles, [issued.id], "they are answered all the same");
        assert!(echoes.due.is_some(), "it is tried again");
    }
}
