//! What must survive: who this relay is, in which fleet, which keys and bundles it has handed out, what was
//! counted.
//!
//! A relay has one SQLite file, `jaryq.db`, in the state directory; both are readable by their owner
//! alone. Every change is on the disk before it is acknowledged, so a process may be killed at any
//! moment: nothing acknowledged is lost and nothing needs repair. No secret is written down except the
//! one that all others are derived from, and no address of a person, ever. A hub has its [`Journal`] in
//! files of its own.
//!
//! Any number of processes may have the file open; [`Store::revision`] tells one that another has
//! changed something.

#![forbid(unsafe_code)]

mod bundles;
mod journal;
mod keys;
mod membership;
mod pages;
mod sums;
mod tally;

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row, Sqlite};
use wire::derive::{Epoch, FleetKey, KeyId, Person, RelayId, RelayKey};
use wire::receipt::{Certificate, Witness};
use wire::signer::Signer;
use wire::tally::Day;

pub use bundles::{Good, Handout, Issued, TooManyBundles};
pub use journal::{Journal, Snapshot};
pub use keys::{BadLabel, Key, Label, NoKey};
pub use membership::{HasHub, Membership, Seated};
pub use pages::Page;
pub use sums::{By, Group, Line};
pub use tally::{Counted, Unwritten};

/// The name of the file in the state directory.
const FILE: &str = "jaryq.db";

/// What each layout of the file has more than the one before it; the last one is what this version
/// reads and writes.
const LAYOUTS: [&str; 7] = [
    FIRST,
    SECOND,
    tally::SCHEMA,
    pages::SCHEMA,
    bundles::SCHEMA,
    bundles::SECOND,
    membership::SCHEMA,
];

const FIRST: &str = "
    CREATE TABLE identity (
        only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
        fleet_key BLOB NOT NULL,
        relay_id BLOB NOT NULL,
        epoch INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE key (
        id BLOB PRIMARY KEY,
        person INTEGER NOT NULL UNIQUE,
        label TEXT NOT NULL,
        form TEXT NOT NULL,
        created INTEGER NOT NULL,
        revoked INTEGER
    ) STRICT;
    CREATE TABLE note (
        name TEXT PRIMARY KEY,
        text TEXT NOT NULL
    ) STRICT;
";

const SECOND: &str = "ALTER TABLE key ADD COLUMN cleartext INTEGER NOT NULL DEFAULT 0;";

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or the file cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// What cannot be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing yet where a command wants to look.
    #[error("there is no relay's state in {0}")]
    Absent(PathBuf),
    /// A newer version has written the file.
    #[error(
        "the state was written by a newer version of jaryq (layout {0}); this one reads layout {1}"
    )]
    Newer(i64, usize),
    /// The file's content is not what this program wrote.
    #[error("the state is damaged: {0}")]
    Damaged(&'static str),
    /// SQLite says so.
    #[error("the state cannot be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// No such key.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// No more bundles can be made.
    #[error(transparent)]
    TooManyBundles(#[from] TooManyBundles),
    /// A key cannot be called that.
    #[error(transparent)]
    BadLabel(#[from] BadLabel),
    /// Its hub does that.
    #[error(transparent)]
    HasHub(#[from] HasHub),
}

/// Who this relay is, and what its keys follow from.
#[derive(Clone)]
pub struct Identity(Kind);

#[derive(Clone)]
enum Kind {
    /// A fleet of one, whose key it has itself.
    Own { fleet_key: FleetKey, relay_id: RelayId, epoch: Epoch },
    /// One of a fleet, with what its hub has given it.
    Joined { relay_key: RelayKey, epoch: Epoch },
}

impl Identity {
    /// What the relay derives its keys' secrets from.
    #[must_use]
    pub fn relay_key(&self) -> RelayKey {
        match &self.0 {
            Kind::Own { fleet_key, relay_id, .. } => fleet_key.relay_key(relay_id),
            Kind::Joined { relay_key, .. } => relay_key.clone(),
        }
    }

    /// What a person is called on this relay.
    fn pseudonym(&self, person: Person) -> Result<KeyId, HasHub> {
        match &self.0 {
            Kind::Own { fleet_key, relay_id, .. } => Ok(fleet_key.pseudonym(relay_id, person)),
            Kind::Joined { .. } => Err(HasHub),
        }
    }

    /// Who signs this relay's bundles. A relay without a hub plays the organisers' part itself: its
    /// signer follows from the fleet key, which such a relay keeps, and not from the relay's own.
    ///
    /// # Errors
    /// When its hub does that.
    pub fn signer(&self) -> Result<Signer, HasHub> {
        match &self.0 {
            Kind::Own { fleet_key, .. } => Ok(fleet_key.signer()),
            Kind::Joined { .. } => Err(HasHub),
        }
    }

    /// What this relay signs receipts as, certified by its signer until the end of a day.
    ///
    /// # Errors
    /// When its hub certifies it.
    ///
    /// # Panics
    /// Never: the certificate is for the same key.
    pub fn witness(&self, until: Day) -> Result<Witness, HasHub> {
        let relay_key = self.relay_key();
        let key = relay_key.receipt_key();
        let mask = relay_key.mask_key();
        let certificate = Certificate::issue(&self.signer()?, key.public(), &mask, until);
        Ok(Witness::new(key, certificate).expect("its own certificate"))
    }

    /// The epoch whose secrets are valid now.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        match &self.0 {
            Kind::Own { epoch, .. } | Kind::Joined { epoch, .. } => *epoch,
        }
    }
}

/// The state directory, open.
#[derive(Clone, Debug)]
pub struct Store {
    /// One connection, so that [`Store::revision`] counts the others' changes and not our own.
    pool: SqlitePool,
}

impl Store {
    /// Opens the state in `dir`, making the directory and the file if they are not there.
    ///
    /// # Errors
    /// When the directory cannot be made or used, or holds something else.
    pub async fn open(dir: &Path) -> Result<Self, Error> {
        Self::connect(&private(dir, FILE)?).await
    }

    /// Opens the state in `dir` if there is any.
    ///
    /// # Errors
    /// [`Error::Absent`] where there is none, and as [`Store::open`].
    pub async fn open_existing(dir: &Path) -> Result<Self, Error> {
        let file = dir.join(FILE);
        match fs::metadata(&file) {
            Ok(_) => Self::connect(&file).await,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                Err(Error::Absent(dir.to_owned()))
            }
            Err(source) => Err(Error::File { path: file, source }),
        }
    }

    async fn connect(file: &Path) -> Result<Self, Error> {
        Ok(Self { pool: connect(file, &LAYOUTS).await? })
    }

    /// Who this relay is, in the fleet that it has joined or else on its own; that is made up at the
    /// first call.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn identity(&self) -> Result<Identity, Error> {
        if let Some(membership) = self.membership().await? {
            let (relay_key, epoch) = (membership.key(), membership.order.epoch);
            return Ok(Identity(Kind::Joined { relay_key, epoch }));
        }
        sqlx::query("INSERT OR IGNORE INTO identity VALUES (1, ?, ?, 1)")
            .bind(FleetKey::generate().as_bytes().to_vec())
            .bind(RelayId::generate().0.to_vec())
            .execute(&self.pool)
            .await?;
        let row = sqlx::query("SELECT fleet_key, relay_id, epoch FROM identity")
            .fetch_one(&self.pool)
            .await?;
        let fleet_key = row.try_get::<Vec<u8>, _>(0)?;
        let relay_id = row.try_get::<Vec<u8>, _>(1)?;
        Ok(Identity(Kind::Own {
            fleet_key: bytes(fleet_key, "the fleet key is not 32 bytes")
                .map(FleetKey::from_bytes)?,
            relay_id: bytes(relay_id, "the relay id is not 16 bytes").map(RelayId)?,
            epoch: Epoch(row.try_get(2)?),
        }))
    }

    /// A number that changes when another process has changed something.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn revision(&self) -> Result<i64, Error> {
        Ok(sqlx::query("PRAGMA data_version").fetch_one(&self.pool).await?.try_get(0)?)
    }

    /// Leaves a note for the other commands: what the relay listens on, for instance.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn set_note(&self, name: &str, text: &str) -> Result<(), Error> {
        Ok(note(&self.pool, name, text).await?)
    }

    /// A note, if one was left.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn note(&self, name: &str) -> Result<Option<String>, Error> {
        let row = sqlx::query("SELECT text FROM note WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Begins what is to happen at once or not at all; [`end`] ends it, and must be reached.
    ///
    /// Not with sqlx's own transactions: when SQLite has taken one back by itself, as it does on a
    /// full disk, sqlx 0.9 believes for ever that it is open, and begins no other.
    async fn begin(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        Ok(connection)
    }

    /// Puts everything in order on the disk and lets go of it.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

/// The path of a file in `dir`, both made if they are not there, for their owner alone.
fn private(dir: &Path, name: &str) -> Result<PathBuf, Error> {
    let error = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(error(dir))?;
    let file = dir.join(name);
    // SQLite gives its journal the mode of the file, so the mode is set before it looks.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&file)
        .and_then(|opened| opened.set_permissions(Permissions::from_mode(0o600)))
        .map_err(error(&file))?;
    Ok(file)
}

/// Opens a file of SQLite's and brings it to the last of these layouts.
async fn connect(file: &Path, layouts: &[&'static str]) -> Result<SqlitePool, Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5));
    // For good: a fresh connection could not tell what changed before it.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await?;
    // Two processes may start at once: whoever gets to write first lays out the file.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let layout: i64 =
        sqlx::query("PRAGMA user_version").fetch_one(&mut *transaction).await?.try_get(0)?;
    let known = usize::try_from(layout).ok().and_then(|layout| layouts.get(layout..));
    let missing = known.ok_or(Error::Newer(layout, layouts.len()))?;
    for more in missing {
        sqlx::raw_sql(*more).execute(&mut *transaction).await?;
    }
    // Not where nothing is missing: whoever waits for changes would be told of one.
    if !missing.is_empty() {
        let newest = format!("PRAGMA user_version = {}", layouts.len());
        sqlx::raw_sql(sqlx::AssertSqlSafe(newest)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(pool)
}

/// Lets it happen, or, if it went wrong, not.
async fn end(
    mut connection: PoolConnection<Sqlite>,
    mut done: Result<(), sqlx::Error>,
) -> Result<(), sqlx::Error> {
    if done.is_ok() {
        done = sqlx::query("COMMIT").execute(&mut *connection).await.map(drop);
    }
    if done.is_err() {
        // That fails where SQLite has done so itself.
        let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    }
    done
}

/// So many bytes, or what is damaged.
fn bytes<const N: usize>(found: Vec<u8>, damage: &'static str) -> Result<[u8; N], Error> {
    found.try_into().map_err(|_| Error::Damaged(damage))
}

fn key_id(found: Vec<u8>) -> Result<KeyId, Error> {
    bytes(found, "a key id is not 8 bytes").map(KeyId)
}

async fn note(
    into: impl sqlx::SqliteExecutor<'_>,
    name: &str,
    text: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO note VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET text = ?2")
        .bind(name)
        .bind(text)
        .execute(into)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::derive::Form;

    #[tokio::test]
    async fn only_the_owner_can_read_the_state() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = home.path().join("deep/state");
        let store = Store::open(&dir).await.expect("opens");
        store.identity().await.expect("an identity");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        let mut files = 0;
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files += 1;
        }
        assert!(files >= 2, "the journal is among them");
    }

    #[tokio::test]
    async fn a_second_start_finds_the_same_identity() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Store::open(dir.path()).await.expect("opens");
        let key = first.identity().await.expect("an identity").relay_key();
        let second = Store::open_existing(dir.path()).await.expect("opens");
        let found = second.identity().await.expect("an identity").relay_key();
        assert_eq!(found.hub_key(), key.hub_key());
    }

    #[tokio::test]
    async fn a_command_does_not_make_state_where_there_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(Store::open_existing(dir.path()).await, Err(Error::Absent(_))));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }

    #[tokio::test]
    async fn a_file_of_a_newer_version_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        sqlx::query("PRAGMA user_version = 99").execute(&store.pool).await.expect("written");
        store.close().await;
        assert!(matches!(Store::open(dir.path()).await, Err(Error::Newer(99, _))));
    }

    #[tokio::test]
    async fn a_file_of_an_earlier_version_keeps_its_keys() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).await.expect("opens");
        let key = store.new_key(Label::default(), Form::Telegram).await.expect("made");
        let since_bundles = "ALTER TABLE key DROP COLUMN last_day; DROP TABLE taken_in;
             DROP TABLE membership; DROP TABLE seat;";
        for back in [
            "PRAGMA user_version = 5",
            "DROP TABLE bundle; PRAGMA user_version = 4",
            "DROP TABLE bundle; DROP TABLE page; PRAGMA user_version = 3",
            "DROP TABLE bundle; DROP TABLE page; DROP TABLE tally; DROP TABLE people;
             DROP TABLE counter; PRAGMA user_version = 2",
            "DROP TABLE bundle; DROP TABLE page; DROP TABLE tally; DROP TABLE people;
             DROP TABLE counter; ALTER TABLE key DROP COLUMN cleartext; PRAGMA user_version = 1",
        ] {
            sqlx::raw_sql(since_bundles).execute(&store.pool).await.expect("written");
            sqlx::raw_sql(back).execute(&store.pool).await.expect("written");
            store.close().await;
            store = Store::open(dir.path()).await.expect("opens");
            let keys = store.keys().await.expect("read");
            assert_eq!((keys.len(), keys[0].id, keys[0].cleartext), (1, key.id, false));
            assert_eq!(store.tally(By::Day, Day(0)).await.expect("read"), []);
            assert_eq!(store.page(key.id).await.expect("read"), Page::default());
            assert_eq!((keys[0].ends, keys[0].revoked), (None, None));
            assert_eq!(store.bundles(Day(1)).await.expect("read").bundles, []);
            let (made, expires) = (Day(0), Day(0));
            let handout = Handout { key: key.id, is_keys_own: false, made, expires, others: &[] };
            store.new_bundle(handout).await.expect("written");
        }
    }

    #[tokio::test]
    async fn only_others_changes_count_as_a_new_revision() {
        let dir = tempfile::tempdir().expect("a directory");
        let ours = Store::open(dir.path()).await.expect("opens");
        let theirs = Store::open(dir.path()).await.expect("opens");
        let before = ours.revision().await.expect("a revision");
        ours.set_note("a", "1").await.expect("written");
        assert_eq!(ours.revision().await.expect("a revision"), before);
        theirs.set_note("a", "2").await.expect("written");
        assert_ne!(ours.revision().await.expect("a revision"), before);
        assert_eq!(ours.note("a").await.expect("read").as_deref(), Some("2"));
        assert_eq!(ours.note("b").await.expect("read"), None);
    }
}
