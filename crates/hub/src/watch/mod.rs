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

use tokio::time::{MissedTickBehavior, interval};
use wire::fleet::Heartbeat;

use crate::blocks::{Cause, Seconds, TICK, Verdict, Word};
use crate::clerk::{Clerk, Clock, Refused};
use crate::office::Scope;
use crate::seats::EndpointId;
use book::Book;

/// The watch begins at this second of its own clock: zero stands for "never" there.
const BEGINNING: Seconds = 1000;

/// For so many seconds people may bear out what only a relay says. Whoever sat there is suspected only if
/// they do; so it is not done at once, which would leave nobody there who could. Where one sits
/// alone, it is.
const BORNE_OUT: Seconds = 60;

/// Whom a verdict is told, with its words.
pub type Listener = Arc<dyn Fn(&Verdict, &str) + Send + Sync>;

/// Watches.
pub struct Watch {
    clerk: Clerk,
    book: Mutex<Book>,
    /// Verdicts that wait for people to bear them out.
    unconfirmed: Mutex<Vec<Verdict>>,
    listener: Listener,
    clock: Clock,
    /// By that clock, in milliseconds.
    began: u64,
}

impl Watch {
    /// Over the endpoints of this clerk; each verdict is told to whoever looks after the hub.
    #[must_use]
    pub fn new(clerk: Clerk, clock: Clock, listener: Listener) -> Arc<Self> {
        let began = clock();
        let (book, unconfirmed) = Default::default();
        Arc::new(Self { clerk, book, unconfirmed, listener, clock, began })
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

    /// Judges every [`TICK`] seconds, for as long as it is not dropped.
    pub async fn run(self: Arc<Self>) {
        let mut ticks = interval(Duration::from_secs(TICK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tick().await;
        }
    }

    /// Judges what has come in the last [`TICK`] seconds, and has done what follows.
    pub async fn tick(&self) {
        for verdict in self.judge() {
            // A clerk that has stopped follows nobody.
            let _ = self.follow(verdict).await;
        }
        for verdict in self.overdue() {
            let _ = self.cut(&verdict).await;
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

    async fn follow(&self, verdict: Verdict) -> Result<(), Refused> {
        (self.listener)(&verdict, &self.words(&verdict));
        match verdict.cause {
            Cause::Endpoint(_) | Cause::Address(_) | Cause::Prefix(_) => {}
            Cause::Died(relay) => {
                let relay = self.book().id(relay);
                if let Some(relay) = relay {
                    self.clerk.tell(relay, verdict.for_volunteer());
                    self.clerk.gone(relay).await?;
                }
                return Ok(());
            }
            Cause::Hub => return Ok(()),
            // No other seat would help; but whoever asks what is wrong is told.
            Cause::Provider(_) | Cause::Country => {
                for report in self.clerk.relays() {
                    self.clerk.tell(report.view.relay.id, verdict.for_volunteer());
                }
                return self.cut(&verdict).await;
            }
        }
        if verdict.word == Word::Relay && self.book().people(&verdict.endpoints) > 1 {
            self.unconfirmed().push(verdict);
            return Ok(());
        }
        self.unconfirmed().retain_mut(|other| {
            other.endpoints.retain(|id| !verdict.endpoints.contains(id));
            !other.endpoints.is_empty()
        });
        self.cut(&verdict).await
    }

    /// Verdicts that rest on a relay's word alone, and that nobody has borne out in time.
    fn overdue(&self) -> Vec<Verdict> {
        let now = self.now();
        self.unconfirmed().extract_if(.., |verdict| now >= verdict.noticed + BORNE_OUT).collect()
    }

    /// Has everybody seated elsewhere.
    async fn cut(&self, verdict: &Verdict) -> Result<(), Refused> {
        let scope = match verdict.cause {
            Cause::Address(_) | Cause::Prefix(_) => Scope::Addresses,
            _ => Scope::Ports,
        };
        for relay in self.book().relays(&verdict.endpoints) {
            self.clerk.tell(relay, verdict.for_volunteer());
        }
        let words = self.words(verdict);
        self.clerk.blocked(&verdict.endpoints, scope, verdict.word, &words).await.map(drop)
    }

    /// A verdict's words with an endpoint's address and a relay's id, and not their numbers, in them.
    fn words(&self, verdict: &Verdict) -> String {
        let said = verdict.to_string();
        let book = self.book();
        let named = match verdict.cause {
            Cause::Endpoint(id) => {
                book.address(id).map(|at| (format!("endpoint {id}"), at.to_string()))
            }
            Cause::Died(number) => {
                let id = book.id(number);
                id.map(|id| (format!("relay {number}"), format!("relay {}", id.short())))
            }
            _ => None,
        };
        named.map_or(said.clone(), |(number, name)| said.replacen(&number, &name, 1))
    }

    fn now(&self) -> Seconds {
        BEGINNING + (self.clock)().saturating_sub(self.began) / 1000
    }

    fn unconfirmed(&self) -> MutexGuard<'_, Vec<Verdict>> {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
