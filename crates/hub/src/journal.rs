//! Where batches of events are kept: the seam at which a hub's storage can be another one.

use std::future::Future;

use store::{Error, Snapshot};

/// Keeps batches, and a snapshot of what became of them. Clones share what is kept.
pub trait Journal: Clone + Send + Sync + 'static {
    /// The last snapshot, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn snapshot(&self) -> impl Future<Output = Result<Option<Snapshot>, Error>> + Send;

    /// The batches after this one, in order, some at a time; none where it is the last.
    ///
    /// # Errors
    /// When they cannot be read.
    fn after(&self, number: u64)
    -> impl Future<Output = Result<Vec<(u64, Vec<u8>)>, Error>> + Send;

    /// Writes the batch of this number: it cannot be lost any more when this returns.
    ///
    /// # Errors
    /// When it may be.
    fn append(&self, number: u64, batch: &[u8]) -> impl Future<Output = Result<(), Error>> + Send;

    /// The last batch is the last one of a snapshot that is to be kept: what comes after it stays.
    fn turn(&self);

    /// Writes a snapshot in place of the last one, and forgets the batches that are in it; others can
    /// be written meanwhile.
    ///
    /// # Errors
    /// When it could not be written: then nothing is forgotten.
    fn keep(&self, snapshot: Snapshot) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Journal for store::Journal {
    async fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        Self::snapshot(self)
    }

    async fn after(&self, number: u64) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        Self::after(self, number).await
    }

    async fn append(&self, number: u64, batch: &[u8]) -> Result<(), Error> {
        Self::append(self, number, batch).await
    }

    fn turn(&self) {
        Self::turn(self);
    }

    async fn keep(&self, snapshot: Snapshot) -> Result<(), Error> {
        let (journal, number) = (self.clone(), snapshot.number);
        let written = tokio::task::spawn_blocking(move || Self::keep(&journal, &snapshot)).await;
        written.map_err(|_| Error::Damaged("the hub's snapshot was not written"))??;
        self.forget(number).await
    }
}
