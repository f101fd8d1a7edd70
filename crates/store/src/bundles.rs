//! Bundles that were handed out: which there are, and whose. What is in them is not kept: their keys
//! follow from the relay's, and nobody needs the rest.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use wire::derive::KeyId;
use wire::echo::BundleId;
use wire::tally::Day;

use crate::{Error, Store, end};

pub(crate) const SCHEMA: &str = "
    CREATE TABLE bundle (
        id BLOB PRIMARY KEY,
        key BLOB NOT NULL,
        made INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT;
";

/// How many bundles of one key are good at a time.
const MOST_OF_A_KEY: i64 = 64;
/// How many bundles of a relay are.
const MOST: i64 = 100_000;

/// A bundle that somebody has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Issued {
    /// What its echo keys follow from.
    pub id: BundleId,
    /// The access key it belongs to; it ends with that.
    pub key: KeyId,
    /// The day it was made.
    pub made: Day,
    /// The last day on which it is good, in UTC.
    pub expires: Day,
}

/// No more bundles can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TooManyBundles {
    /// Of this key.
    #[error(
        "this key has {MOST_OF_A_KEY} bundles that are still good; make them for a new key, or \
         revoke this one (jaryq key revoke)"
    )]
    OfTheKey,
    /// In all.
    #[error(
        "{MOST} bundles are still good, and no relay answers more; end keys that nobody uses (jaryq \
         key revoke), or make bundles for fewer days"
    )]
    InAll,
}

impl Store {
    /// Hands out a bundle: it is good from now on, and a relay that runs takes notice. Those whose
    /// last day is before `made` are forgotten.
    ///
    /// # Errors
    /// [`Error::TooManyBundles`], and when the state cannot be written; there is no bundle then.
    pub async fn new_bundle(&self, key: KeyId, made: Day, expires: Day) -> Result<Issued, Error> {
        let issued = Issued { id: BundleId::generate(), key, made, expires };
        let mut connection = self.begin().await?;
        let mut full = None;
        let done = async {
            sqlx::query(
                "DELETE FROM bundle WHERE expires < ?
                 OR key IN (SELECT id FROM key WHERE revoked IS NOT NULL)",
            )
            .bind(made.0)
            .execute(&mut *connection)
            .await?;
            let row = sqlx::query("SELECT COUNT(*), COUNT(*) FILTER (WHERE key = ?) FROM bundle")
                .bind(key.0.to_vec())
                .fetch_one(&mut *connection)
                .await?;
            full = match (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?) {
                (_, MOST_OF_A_KEY..) => Some(TooManyBundles::OfTheKey),
                (MOST.., _) => Some(TooManyBundles::InAll),
                _ => None,
            };
            if full.is_none() {
                sqlx::query("INSERT INTO bundle VALUES (?, ?, ?, ?)")
                    .bind(issued.id.0.to_vec())
                    .bind(key.0.to_vec())
                    .bind(made.0)
                    .bind(expires.0)
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(())
        }
        .await;
        end(connection, done).await?;
        match full {
            Some(full) => Err(full.into()),
            None => Ok(issued),
        }
    }

    /// The bundles that are good on this day: whose key was not revoked, and whose last day is not
    /// over; the oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn bundles(&self, today: Day) -> Result<Vec<Issued>, Error> {
        let rows = sqlx::query(
            "SELECT bundle.id, bundle.key, bundle.made, bundle.expires
             FROM bundle JOIN key ON key.id = bundle.key
             WHERE bundle.expires >= ? AND key.revoked IS NULL
             ORDER BY bundle.made, bundle.rowid",
        )
        .bind(today.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(from_row).collect()
    }
}

fn from_row(row: &SqliteRow) -> Result<Issued, Error> {
    let id = row.try_get::<Vec<u8>, _>(0)?.try_into();
    let key = row.try_get::<Vec<u8>, _>(1)?.try_into();
    Ok(Issued {
        id: id.map(BundleId).map_err(|_| Error::Damaged("a bundle id is not 16 bytes"))?,
        key: key.map(KeyId).map_err(|_| Error::Damaged("a key id is not 8 bytes"))?,
        made: Day(row.try_get(2)?),
        expires: Day(row.try_get(3)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Label};
    use wire::derive::Form;

    async fn store() -> (tempfile::TempDir, Store, Key) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        let key = store.new_key(Label::default(), Form::Telegram).await.expect("made");
        (dir, store, key)
    }

    #[tokio::test]
    async fn a_bundle_is_good_until_its_last_day_is_over_or_its_key_is_revoked() {
        let (dir, store, key) = store().await;
        let other = store.new_key(Label::default(), Form::Telegram).await.expect("made");
        let short = store.new_bundle(key.id, Day(10), Day(11)).await.expect("made");
        let long = store.new_bundle(other.id, Day(10), Day(40)).await.expect("made");
        drop(store);
        let store = Store::open(dir.path()).await.expect("opens");
        assert_eq!(store.bundles(Day(11)).await.expect("read"), [short, long]);
        assert_eq!(store.bundles(Day(12)).await.expect("read"), [long]);
        store.revoke(&other.id.to_string()).await.expect("revoked");
        assert_eq!(store.bundles(Day(11)).await.expect("read"), [short]);
    }

    #[tokio::test]
    async fn a_new_bundle_is_news_to_a_relay_that_runs() {
        let (dir, store, key) = store().await;
        let relay = Store::open(dir.path()).await.expect("opens");
        let before = relay.revision().await.expect("a revision");
        let made = store.new_bundle(key.id, Day(10), Day(11)).await.expect("made");
        assert_ne!(relay.revision().await.expect("a revision"), before);
        assert_eq!(relay.bundles(Day(10)).await.expect("read"), [made]);
    }

    #[tokio::test]
    async fn bundles_are_bounded_and_those_that_are_over_make_room() {
        let (_dir, store, key) = store().await;
        for _ in 0..MOST_OF_A_KEY {
            store.new_bundle(key.id, Day(10), Day(11)).await.expect("made");
        }
        let full = store.new_bundle(key.id, Day(11), Day(12)).await;
        assert!(matches!(full, Err(Error::TooManyBundles(TooManyBundles::OfTheKey))));
        let next = store.new_bundle(key.id, Day(12), Day(13)).await.expect("there is room");
        let row = sqlx::query("SELECT COUNT(*) FROM bundle").fetch_one(&store.pool).await;
        assert_eq!(row.expect("read").try_get::<i64, _>(0).expect("a number"), 1);
        assert_eq!(store.bundles(Day(12)).await.expect("read"), [next]);

        let fill =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                    INSERT INTO bundle SELECT randomblob(16), randomblob(8), 12, 99 FROM n";
        sqlx::raw_sql(fill).execute(&store.pool).await.expect("written");
        let full = store.new_bundle(key.id, Day(12), Day(13)).await;
        assert!(matches!(full, Err(Error::TooManyBundles(TooManyBundles::InAll))));
    }
}
