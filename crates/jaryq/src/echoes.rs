//! Whose questions the relay answers: those of bundles that are good today.

use relay::Relay;
use store::{Identity, Store};
use wire::echo::BundleId;
use wire::tally::Day;

use crate::ledger::unix;

/// Follows which bundles are good.
pub(crate) struct Echoes {
    relay: Relay,
    identity: Identity,
    /// What the relay knows.
    bundles: Vec<BundleId>,
    day: Option<Day>,
}

impl Echoes {
    pub(crate) fn new(relay: Relay, identity: Identity) -> Self {
        Self { relay, identity, bundles: Vec::new(), day: None }
    }

    /// Whether a day has begun since the last time.
    pub(crate) fn is_of_yesterday(&self) -> bool {
        self.day != Some(Day::at(unix()))
    }

    /// Has the relay answer the bundles that are good today, and sign receipts.
    pub(crate) async fn follow(&mut self, store: &Store) -> anyhow::Result<()> {
        let today = Day::at(unix());
        let good: Vec<BundleId> = store.bundles(today).await?.iter().map(|one| one.id).collect();
        if good != self.bundles {
            let (relay, ids) = (self.relay.clone(), good.clone());
            // Of very many, it takes a second or two.
            tokio::task::spawn_blocking(move || relay.set_bundles(&ids)).await?;
            self.bundles = good;
        }
        if self.day != Some(today) {
            // Good for this day and the hours in which it ends elsewhere.
            self.relay.set_witness(self.identity.witness(Day(today.0 + 1)));
            self.day = Some(today);
        }
        Ok(())
    }
}
