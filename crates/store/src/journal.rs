//! A hub's journal: batches of events, each on the disk before anybody is told of it, and now and then a
//! snapshot of what has become of them.
//!
//! The batches are rows of `hub.db`, the snapshot is the file `hub.snapshot` beside it, so that writing
//! tens of megabytes keeps no batch waiting. It is replaced as a whole; only then the batches that
//! are in it are forgotten. A process may be killed at any moment.
//!
//! Batches go to one of two tables, and to the other one from each [`Journal::turn`] on: SQLite empties
//! a whole table at once, where rows of the same one would be deleted between those that are written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::Row;
use sqlx::sqlite::SqlitePool;

use crate::{Error, connect, private};

const FILE: &str = "hub.db";
const SNAPSHOT: &str = "hub.snapshot";
const LAYOUTS: [&str; 2] = [
    "
    CREATE TABLE batch (
        number INTEGER PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE turned (
        number INTEGER PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;
",
];
/// How many batches are read at a time.
const STEP: i64 = 256;
/// How many bytes of a snapshot go to the disk at a time: batches get there in between.
const SLICE: usize = 1 << 20;

/// What is done with the tables, for whichever's turn it is.
const APPEND: [&str; 2] = ["INSERT INTO batch VALUES (?, ?)", "INSERT INTO turned VALUES (?, ?)"];
const LAST: [&str; 2] = ["SELECT MAX(number) FROM batch", "SELECT MAX(number) FROM turned"];
const EMPTY: [&str; 2] = ["DELETE FROM batch", "DELETE FROM turned"];

/// The journal, open. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    pool: SqlitePool,
    snapshot: Arc<Path>,
    /// To which table batches go.
    table: Arc<AtomicUsize>,
}

/// A state and the number of the last batch that is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The number.
    pub number: u64,
    /// The state, as its owner writes it.
    pub bytes: Vec<u8>,
}

impl Journal {
    /// Opens the journal in a state directory, making both if they are not there.
    ///
    /// # Errors
    /// When they cannot be made or used, or hold something else.
    pub async fn open(dir: &Path) -> Result<Self, Error> {
        let pool = connect(&private(dir, FILE)?, &LAYOUTS).await?;
        // A process that ended before a snapshot was there has left batches in both.
        let mut transaction = pool.begin().await?;
        sqlx::query("INSERT INTO batch SELECT * FROM turned").execute(&mut *transaction).await?;
        sqlx::query(EMPTY[1]).execute(&mut *transaction).await?;
        transaction.commit().await?;
        let (snapshot, table) = (dir.join(SNAPSHOT).into(), Arc::default());
        Ok(Self { pool, snapshot, table })
    }

    /// The last snapshot, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let bytes = match fs::read(&self.snapshot) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::File { path: self.snapshot.to_path_buf(), source }),
        };
        let (number, state) =
            bytes.split_first_chunk().ok_or(Error::Damaged("the hub's snapshot is cut short"))?;
        Ok(Some(Snapshot { number: u64::from_be_bytes(*number), bytes: state.to_vec() }))
    }

    /// The batches that come next after this one, in order, some at a time; none where it is the last.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn after(&self, number: u64) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let rows = sqlx::query(
            "SELECT number, bytes FROM batch WHERE number > ?1
             UNION ALL SELECT number, bytes FROM turned WHERE number > ?1
             ORDER BY number LIMIT ?2",
        )
        .bind(signed(number))
        .bind(STEP)
        .fetch_all(&self.pool)
        .await?;
        let batch = |row: &sqlx::sqlite::SqliteRow| {
            Ok((row.try_get::<i64, _>(0)?.cast_unsigned(), row.try_get(1)?))
        };
        rows.iter().map(batch).collect()
    }

    /// Writes a batch: it is on the disk when this returns.
    ///
    /// # Errors
    /// When it is not, or there is one of this number.
    pub async fn append(&self, number: u64, batch: &[u8]) -> Result<(), Error> {
        sqlx::query(APPEND[self.table.load(Ordering::Relaxed)])
            .bind(signed(number))
            .bind(batch)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Writes a snapshot, in the calling thread, in place of the last one.
    ///
    /// # Errors
    /// When it could not be written; the last one is still there.
    pub fn keep(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let next = self.snapshot.with_extension("next");
        let written = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            file.write_all(&snapshot.number.to_be_bytes())?;
            for slice in snapshot.bytes.chunks(SLICE) {
                file.write_all(slice)?;
                file.sync_data()?;
            }
            file.sync_all()?;
            fs::rename(&next, &self.snapshot)?;
            // The name too is to be on the disk.
            let folder: PathBuf = self.snapshot.parent().map(Path::to_owned).unwrap_or_default();
            File::open(folder)?.sync_all()
        };
        written().map_err(|source| Error::File { path: next.clone(), source })
    }

    /// Batches from now on are kept apart from those before it, which a [`Self::forget`] can then let go of
    /// at once. To be called when a snapshot is taken, and again only after [`Self::forget`].
    pub fn turn(&self) {
        self.table.fetch_xor(1, Ordering::Relaxed);
    }

    /// Deletes the batches of a table whose last one is this or an earlier one.
    ///
    /// # Errors
    /// When they cannot be deleted.
    pub async fn forget(&self, number: u64) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        for (last, empty) in LAST.into_iter().zip(EMPTY) {
            let row = sqlx::query(last).fetch_one(&mut *transaction).await?;
            let last: Option<i64> = row.try_get(0)?;
            if last.is_some_and(|last| last <= signed(number)) {
                sqlx::query(empty).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Puts everything in order on the disk and lets go of it.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Numbers count batches: there are never 2^63.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_appended_is_read_in_order_by_the_next_start() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::open(dir.path()).await.expect("opens");
        for number in 1..=600 {
            journal.append(number, &number.to_be_bytes()).await.expect("written");
        }
        assert!(journal.append(600, b"again").await.is_err(), "a number is given once");
        journal.close().await;

        let journal = Journal::open(dir.path()).await.expect("opens");
        let (mut last, mut read) = (0, Vec::new());
        loop {
            let some = journal.after(last).await.expect("read");
            let Some((number, _)) = some.last() else { break };
            last = *number;
            read.extend(some);
        }
        let expected = (1..=600u64).map(|number| (number, number.to_be_bytes().to_vec()));
        assert_eq!(read, expected.collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_snapshot_stands_in_for_the_batches_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::open(dir.path()).await.expect("opens");
        assert_eq!(journal.snapshot().expect("read"), None);
        for number in 1..=650 {
            journal.append(number, b"x").await.expect("written");
        }
        journal.turn();
        for number in 651..=700 {
            journal.append(number, b"x").await.expect("written");
        }
        let snapshot = Snapshot { number: 650, bytes: b"state".to_vec() };
        journal.keep(&snapshot).expect("written");
        journal.forget(650).await.expect("deleted");
        assert_eq!(journal.snapshot().expect("read"), Some(snapshot));
        assert_eq!(numbers(&journal).await, (651..=700).collect::<Vec<_>>());
        // And the next time the other way round.
        journal.turn();
        journal.append(701, b"x").await.expect("written");
        journal.forget(700).await.expect("deleted");
        assert_eq!(numbers(&journal).await, [701]);
    }

    #[tokio::test]
    async fn batches_before_and_after_a_snapshot_that_was_never_written_are_all_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::open(dir.path()).await.expect("opens");
        for number in 1..=4 {
            journal.append(number, b"x").await.expect("written");
            if number == 2 {
                journal.turn();
            }
        }
        journal.close().await;
        let journal = Journal::open(dir.path()).await.expect("opens");
        assert_eq!(numbers(&journal).await, [1, 2, 3, 4]);
        journal.turn();
        journal.append(5, b"x").await.expect("written");
        journal.forget(4).await.expect("deleted");
        assert_eq!(numbers(&journal).await, [5]);
    }

    async fn numbers(journal: &Journal) -> Vec<u64> {
        journal.after(0).await.expect("read").into_iter().map(|(number, _)| number).collect()
    }
}
