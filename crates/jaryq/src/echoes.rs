//! Whose questions the relay answers: those of bundles that are good today.

use relay::Relay;
use store::{Identity, Store};
use tokio::task::JoinHandle;
use wire::echo::BundleId;
use wire::tally::Day;

use crate::ledger::unix;

/// Follows which bundles are good.
pub(crate) struct Echoes {
    relay: Relay,
    identity: Identity,
    /// What the relay knows, or is about to.
    bundles: Vec<BundleId>,
    day: Option<Day>,
    /// The relay getting to know them: a second or two, if they are very many.
    learning: Option<JoinHandle<()>>,
}

impl Echoes {
    pub(crate) fn new(relay: Relay, identity: Identity) -> Self {
        Self { relay, identity, bundles: Vec::new(), day: None, learning: None }
    }

    /// Whether a day has begun since the last time.
    pub(crate) fn is_of_yesterday(&self) -> bool {
        self.day != Some(Day::at(unix()))
    }

    /// Whether there is a bundle that is good.
    pub(crate) fn has_bundles(&self) -> bool {
        !self.bundles.is_empty()
    }

    /// Has the relay answer the bundles that are good today, and sign receipts. It goes on while the
    /// relay gets to know them; what it has to know after that waits for it.
    pub(crate) async fn follow(&mut self, store: &Store) -> anyhow::Result<()> {
        let today = Day::at(unix());
        let good: Vec<BundleId> = store.bundles(today).await?.iter().map(|one| one.id).collect();
        if good != self.bundles {
            let (relay, ids, before) = (self.relay.clone(), good.clone(), self.learning.take());
            self.learning = Some(tokio::spawn(async move {
                if let Some(before) = before {
                    let _ = before.await;
                }
                let _ = tokio::task::spawn_blocking(move || relay.set_bundles(&ids)).await;
            }));
            self.bundles = good;
        }
        if self.day != Some(today) {
            // Good for this day and the hours in which it ends elsewhere.
            self.relay.set_witness(self.identity.witness(Day(today.0 + 1)));
            self.day = Some(today);
        }
        Ok(())
    }

    /// Waits until the relay knows them.
    pub(crate) async fn settle(&mut self) {
        if let Some(learning) = self.learning.take() {
            let _ = learning.await;
        }
    }
}
