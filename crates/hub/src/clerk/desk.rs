//! The one that writes.

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use store::Snapshot;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use wire::derive::FleetKey;

use super::blocks::Visits;
use super::cracks::Brought;
use super::{Clerk, Clock, Job, Marks, QUEUE, Settings, Shared, State};
use crate::journal::Journal;
use crate::office::event::{MOST_EVENTS, Unreadable};
use crate::office::snapshot;
use crate::office::{Batch, Event, Moment, Office};

/// How often time passes at the office where nothing else happens.
const TICK: Duration = Duration::from_secs(10);
/// How many bytes of batches make a new snapshot worth while, at least.
const WORTH: usize = 16 << 20;

/// How long it may be until the next one, since batches name people who have been forgotten.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Why there is no office any more, or not yet.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The journal cannot be read or written.
    #[error("the hub's journal: {0}")]
    Store(#[from] store::Error),
    /// A batch in it is none.
    #[error(transparent)]
    Batch(#[from] Unreadable),
    /// The snapshot is none.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Unreadable),
}

/// Writes down what happens, and makes it happen. There is one.
pub struct Desk<J> {
    clerk: Clerk,
    journal: J,
    queue: mpsc::Receiver<Job>,
    /// The number of the last batch.
    number: u64,
    /// How many bytes of batches there are since the last snapshot, and how many it has itself.
    written: usize,
    kept: usize,
    /// When it began to be written, or the desk.
    snapshot: Instant,
    /// A snapshot is being written.
    keeping: Option<JoinHandle<Result<(), store::Error>>>,
}

impl Clerk {
    /// Opens the office that a journal has: as it was after the last batch. A journal without
    /// anything is a new office. [`Desk::run`] must run for anything to happen.
    ///
    /// # Errors
    /// When the journal cannot be read, or is not one of this version's.
    pub async fn open<J: Journal>(
        journal: J,
        fleet: FleetKey,
        settings: Settings,
        clock: Clock,
    ) -> Result<(Self, Desk<J>), Failed> {
        let (mut office, mut number, mut kept) = match journal.snapshot().await? {
            Some(Snapshot { number, bytes }) => (Office::read(&bytes)?, number, bytes.len()),
            None => {
                let seed = u64::from_be_bytes(wire::random());
                let office = Office::new(Moment(clock()), seed);
                // The seed is in no batch.
                let bytes = office.write();
                journal.keep(Snapshot { number: 0, bytes }).await?;
                (office, 0, 0)
            }
        };
        let mut written = 0;
        loop {
            let batches = journal.after(number).await?;
            let Some((last, _)) = batches.last() else { break };
            number = *last;
            for (_, bytes) in &batches {
                office.apply(&Batch::read(bytes)?);
                written += bytes.len();
            }
        }
        office.take_news();
        kept = kept.max(WORTH);
        let (sender, queue) = mpsc::channel(QUEUE);
        let shared = Shared {
            state: RwLock::new(State::new(office, &fleet, fleet.signer().public())),
            queue: sender,
            stop: Notify::new(),
            signer: fleet.signer(),
            marks: Marks::new(&fleet),
            fleet,
            settings,
            clock,
            heard: Mutex::default(),
            visits: Visits::default(),
            brought: Brought::default(),
        };
        let clerk = Self(Arc::new(shared));
        let (snapshot, keeping) = (Instant::now(), None);
        let clerks = clerk.clone();
        let desk = Desk { clerk: clerks, journal, queue, number, written, kept, snapshot, keeping };
        Ok((clerk, desk))
    }
}

impl<J: Journal> Desk<J> {
    /// Works until the clerk is told to stop, and leaves a snapshot then.
    ///
    /// # Errors
    /// When the journal cannot be written: nothing happens any more then, and whoever waits is told.
    pub async fn run(mut self) -> Result<(), Failed> {
        let mut tick = interval_at(Instant::now() + TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut jobs = Vec::with_capacity(MOST_EVENTS);
        loop {
            let shared = self.clerk.0.clone();
            tokio::select! {
                biased;
                () = shared.stop.notified() => break,
                _ = tick.tick() => jobs.push(Job { event: Event::Tick, done: None }),
                _ = self.queue.recv_many(&mut jobs, MOST_EVENTS) => {}
            }
            self.happen(&mut jobs).await?;
            let is_free = self.keeping.as_ref().is_none_or(JoinHandle::is_finished);
            let is_due = self.written >= self.kept || self.snapshot.elapsed() >= DAY;
            if is_due && is_free {
                self.keep().await?;
            }
        }
        // Who comes now is refused; who came before is not.
        self.queue.close();
        while self.queue.recv_many(&mut jobs, MOST_EVENTS).await > 0 {
            self.happen(&mut jobs).await?;
        }
        self.keep().await?;
        self.kept().await
    }

    async fn happen(&mut self, jobs: &mut Vec<Job>) -> Result<(), Failed> {
        let mut events = Vec::with_capacity(jobs.len());
        let mut waiting = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            events.push(job.event);
            waiting.push(job.done);
        }
        let bytes = Batch { moment: self.clerk.now(), events }.write();
        // What happens is what was written: the next start reads the same.
        let batch = Batch::read(&bytes)?;
        self.journal.append(self.number + 1, &bytes).await?;
        self.number += 1;
        self.written += bytes.len();
        let (outcomes, news) = {
            let mut state = self.clerk.state_mut();
            let outcomes = state.office.apply(&batch);
            state.follow(&self.clerk.0.fleet);
            let (signer, now) = (self.clerk.signer(), batch.moment);
            for event in &batch.events {
                if let Event::Receipt { bytes } = event {
                    state.cracks.take(bytes, signer, now);
                }
            }
            (outcomes, state.office.take_news())
        };
        for (done, outcome) in waiting.into_iter().zip(outcomes) {
            // Some do not wait any more.
            let _ = done.map(|done| done.send(outcome));
        }
        self.clerk.tell_news(&news);
        Ok(())
    }

    /// Begins to write a snapshot, beside the work.
    async fn keep(&mut self) -> Result<(), Failed> {
        self.kept().await?;
        self.journal.turn();
        let bytes = self.clerk.state().office.write();
        (self.written, self.kept, self.snapshot) = (0, bytes.len().max(WORTH), Instant::now());
        let (journal, number) = (self.journal.clone(), self.number);
        self.keeping =
            Some(tokio::spawn(async move { journal.keep(Snapshot { number, bytes }).await }));
        Ok(())
    }

    /// Waits for the last one that was begun.
    async fn kept(&mut self) -> Result<(), Failed> {
        if let Some(keeping) = self.keeping.take() {
            let lost = store::Error::Damaged("the hub's snapshot was not written");
            keeping.await.map_err(|_| lost)??;
        }
        Ok(())
    }
}
