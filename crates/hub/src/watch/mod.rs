//! The watch over endpoints: all that speaks for a block or against it is brought to [`crate::blocks`],
//! and its verdicts to the clerk, who seats people elsewhere.
//!
//! ```text
//! relays' heartbeats ──┐
//! people at the doors ─┼─> Blocks, every ten seconds ─> verdict ─> Clerk::blocked, Clerk::gone
//! outside checks ──────┘
//! ```
//!
//! What was learned of an endpoint's traffic is in memory alone: after a restart it is learned again.

mod book;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use wire::fleet::Heartbeat;

use crate::blocks::{Cause, Seconds, TICK, Verdict};
use crate::clerk::{Clerk, Refused};
use crate::office::Scope;
use crate::seats::EndpointId;
use book::Book;

/// The watch begins at this second of its own clock: zero stands for "never" there.
const BEGINNING: Seconds = 1000;

/// Watches.
pub struct Watch {
    clerk: Clerk,
    book: Mutex<Book>,
    began: Instant,
}

impl Watch {
    /// Over the endpoints of this clerk.
    #[must_use]
    pub fn new(clerk: Clerk) -> Arc<Self> {
        Arc::new(Self { clerk, book: Mutex::default(), began: Instant::now() })
    }

    /// A relay has told what it has counted.
    pub fn heard(&self, heartbeat: &Heartbeat) {
        self.book().heard(heartbeat, self.now());
    }

    /// The hub has asked an endpoint from outside.
    pub fn asked(&self, endpoint: EndpointId, has_answered: bool) {
        let now = self.now();
        self.book().blocks.dialled(endpoint, has_answered, now);
    }

    /// What should be asked from outside without delay.
    #[must_use]
    pub fn suspects(&self) -> Vec<EndpointId> {
        let now = self.now();
        self.book().blocks.suspects(now)
    }

    /// Judges every ten seconds, for as long as it is not dropped.
    pub async fn run(self: Arc<Self>) {
        let mut ticks = interval(Duration::from_secs(TICK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for verdict in self.judge() {
                // A clerk that has stopped follows nobody.
                let _ = self.follow(&verdict).await;
            }
        }
    }

    fn judge(&self) -> Vec<Verdict> {
        let (relays, endpoints) = (self.clerk.relays(), self.clerk.endpoints());
        let visits = self.clerk.visits();
        let now = self.now();
        let mut book = self.book();
        book.follow(&relays, &endpoints, now);
        visits.iter().for_each(|visit| book.met(visit, now));
        book.blocks.tick(now)
    }

    async fn follow(&self, verdict: &Verdict) -> Result<(), Refused> {
        let scope = match verdict.cause {
            Cause::Endpoint(_) => Scope::Ports,
            Cause::Address(_) | Cause::Prefix(_) => Scope::Addresses,
            Cause::Died(relay) => {
                let relay = self.book().id(relay);
                if let Some(relay) = relay {
                    self.clerk.gone(relay).await?;
                }
                return Ok(());
            }
            // No other seat would help.
            Cause::Provider(_) | Cause::Country | Cause::Hub => return Ok(()),
        };
        // A relay's lone word marks nobody: the verdict comes again once people say so.
        if verdict.is_block() {
            let words = self.words(verdict);
            self.clerk.blocked(&verdict.endpoints, scope, true, &words).await?;
        }
        Ok(())
    }

    /// A verdict's words with an endpoint's address, and not its number, in them.
    fn words(&self, verdict: &Verdict) -> String {
        let said = verdict.to_string();
        let Cause::Endpoint(id) = verdict.cause else { return said };
        let at = self.book().address(id);
        at.map_or(said.clone(), |at| said.replacen(&format!("endpoint {id}"), &at.to_string(), 1))
    }

    fn now(&self) -> Seconds {
        BEGINNING + self.began.elapsed().as_secs()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
