//! Bundles that were handed out: which there are, and whose. What is in them is not kept: their keys
//! follow from the relay's, and nobody needs the rest.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use wire::derive::KeyId;
use wire::echo::BundleId;
use wire::tally::Day;

use crate::{Error, Store, bytes, end, key_id};

pub(crate) const SCHEMA: &str = "
    CREATE TABLE bundle (
        id BLOB PRIMARY KEY,
        key BLOB NOT NULL,
        made INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT;
";

/// A key that was made for a bundle ends with it. And the bundles of other relays that were put into
/// ours, and whose key those are of: nobody else's.
pub(crate) const SECOND: &str = "
    ALTER TABLE key ADD COLUMN last_day INTEGER;
    CREATE TABLE taken_in (
        id BLOB PRIMARY KEY,
        key BLOB NOT NULL,
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

/// A bundle that somebody is to have.
#[derive(Clone, Copy, Debug)]
pub struct Handout<'a> {
    /// The access key it belongs to.
    pub key: KeyId,
    /// Whether the key was made for it, and is to end with it. A later bundle of such a key lets it go
    /// on for as long.
    pub is_keys_own: bool,
    /// The day it is made.
    pub made: Day,
    /// The last day on which it is good, in UTC.
    pub expires: Day,
    /// The bundles of other relays that go into it, and when they are over.
    pub others: &'a [(BundleId, Day)],
}

/// The bundles that are good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Good {
    /// The oldest first.
    pub bundles: Vec<Issued>,
    /// How many could not be read; they are passed over.
    pub damaged: usize,
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
    /// last day is before it is made are forgotten.
    ///
    /// # Errors
    /// [`Error::TooManyBundles`], and when the state cannot be written; there is no bundle then.
    pub async fn new_bundle(&self, handout: Handout<'_>) -> Result<Issued, Error> {
        let Handout { key, is_keys_own, made, expires, others } = handout;
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
            sqlx::query("DELETE FROM taken_in WHERE expires < ?")
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
                sqlx::query(
                    "UPDATE key SET last_day = MAX(?1, IFNULL(last_day, ?1))
                     WHERE id = ?2 AND (?3 OR last_day IS NOT NULL)",
                )
                .bind(expires.0)
                .bind(key.0.to_vec())
                .bind(is_keys_own)
                .execute(&mut *connection)
                .await?;
                for (other, over) in others {
                    sqlx::query("INSERT OR IGNORE INTO taken_in VALUES (?, ?, ?)")
                        .bind(other.0.to_vec())
                        .bind(key.0.to_vec())
                        .bind(over.0)
                        .execute(&mut *connection)
                        .await?;
                }
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

    /// Whose bundles this one of another relay was put into.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn taken_in(&self, other: BundleId) -> Result<Option<KeyId>, Error> {
        let row = sqlx::query("SELECT key FROM taken_in WHERE id = ?")
            .bind(other.0.to_vec())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(key_id(row.try_get(0)?)?))
    }

    /// The bundles that are good on this day: whose key was not revoked, and whose last day is not
    /// over; the oldest first. One that cannot be read keeps nobody else's from being.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn bundles(&self, today: Day) -> Result<Good, Error> {
        let rows = sqlx::query(
            "SELECT bundle.id, bundle.key, bundle.made, bundle.expires
             FROM bundle JOIN key ON key.id = bundle.key
             WHERE bundle.expires >= ? AND key.revoked IS NULL
             ORDER BY bundle.made, bundle.rowid",
        )
        .bind(today.0)
        .fetch_all(&self.pool)
        .await?;
        let bundles: Vec<Issued> = rows.iter().filter_map(|row| from_row(row).ok()).collect();
        Ok(Good { damaged: rows.len() - bundles.len(), bundles })
    }
}

fn from_row(row: &SqliteRow) -> Result<Issued, Error> {
    let id = row.try_get::<Vec<u8>, _>(0)?;
    Ok(Issued {
        id: bytes(id, "a bundle id is not 16 bytes").map(BundleId)?,
        key: key_id(row.try_get(1)?)?,
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

    fn of(key: &Key, made: i64, expires: i64) -> Handout<'static> {
        let (made, expires) = (Day(made), Day(expires));
        Handout { key: key.id, is_keys_own: false, made, expires, others: &[] }
    }

    #[tokio::test]
    async fn a_bundle_is_good_until_its_last_day_is_over_or_its_key_is_revoked() {
        let (dir, store, key) = store().await;
        let other = store.new_key(Label::default(), Form::Telegram).await.expect("made");
        let short = store.new_bundle(of(&key, 10, 11)).await.expect("made");
        let long = store.new_bundle(of(&other, 10, 40)).await.expect("made");
        drop(store);
        let store = Store::open(dir.path()).await.expect("opens");
        assert_eq!(store.bundles(Day(11)).await.expect("read").bundles, [short, long]);
        assert_eq!(store.bundles(Day(12)).await.expect("read").bundles, [long]);
        store.revoke(&other.id.to_string()).await.expect("revoked");
        assert_eq!(store.bundles(Day(11)).await.expect("read").bundles, [short]);
    }

    #[tokio::test]
    async fn a_new_bundle_is_news_to_a_relay_that_runs() {
        let (dir, store, key) = store().await;
        let relay = Store::open(dir.path()).await.expect("opens");
        let before = relay.revision().await.expect("a revision");
        let made = store.new_bundle(of(&key, 10, 11)).await.expect("made");
        assert_ne!(relay.revision().await.expect("a revision"), before);
        assert_eq!(relay.bundles(Day(10)).await.expect("read").bundles, [made]);
    }

    #[tokio::test]
    async fn bundles_are_bounded_and_those_that_are_over_make_room() {
        let (_dir, store, key) = store().await;
        for _ in 0..MOST_OF_A_KEY {
            store.new_bundle(of(&key, 10, 11)).await.expect("made");
        }
        let full = store.new_bundle(of(&key, 11, 12)).await;
        assert!(matches!(full, Err(Error::TooManyBundles(TooManyBundles::OfTheKey))));
        let next = store.new_bundle(of(&key, 12, 13)).await.expect("there is room");
        let row = sqlx::query("SELECT COUNT(*) FROM bundle").fetch_one(&store.pool).await;
        assert_eq!(row.expect("read").try_get::<i64, _>(0).expect("a number"), 1);
        assert_eq!(store.bundles(Day(12)).await.expect("read").bundles, [next]);

        let fill =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                    INSERT INTO bundle SELECT randomblob(16), randomblob(8), 12, 99 FROM n";
        sqlx::raw_sql(fill).execute(&store.pool).await.expect("written");
        let full = store.new_bundle(of(&key, 12, 13)).await;
        assert!(matches!(full, Err(Error::TooManyBundles(TooManyBundles::InAll))));
    }

    #[tokio::test]
    async fn a_key_that_was_made_for_a_bundle_ends_with_the_last_one_of_its_bundles() {
        let (dir, store, lasting) = store().await;
        let key = store.new_key(Label::default(), Form::Telegram).await.expect("made");
        let today = Day::at(u64::try_from(key.created).expect("now")).0;
        let own = |key, made, expires| Handout { is_keys_own: true, ..of(key, made, expires) };
        store.new_bundle(own(&key, today - 9, today - 2)).await.expect("made");
        store.new_bundle(of(&lasting, today - 9, today - 2)).await.expect("made");
        let ended = async |store: &Store| -> Vec<(Option<Day>, bool)> {
            let keys = store.keys().await.expect("read");
            keys.iter().map(|key| (key.ends, key.revoked.is_some())).collect()
        };
        let until = |last| Some(Day(last));
        assert_eq!(ended(&store).await, [(None, false), (until(today - 2), true)]);
        store.new_bundle(of(&key, today, today)).await.expect("made");
        store.new_bundle(of(&key, today - 9, today - 3)).await.expect("made");
        drop(store);
        let store = Store::open(dir.path()).await.expect("opens");
        assert_eq!(ended(&store).await, [(None, false), (until(today), false)], "a day is whole");
    }

    #[tokio::test]
    async fn a_bundle_that_cannot_be_read_is_passed_over() {
        let (_dir, store, key) = store().await;
        let good = store.new_bundle(of(&key, 10, 20)).await.expect("made");
        sqlx::query("INSERT INTO bundle VALUES (x'00', ?, 10, 20)")
            .bind(key.id.0.to_vec())
            .execute(&store.pool)
            .await
            .expect("written");
        let read = store.bundles(Day(10)).await.expect("read");
        assert_eq!(read, Good { bundles: vec![good], damaged: 1 });
    }

    #[tokio::test]
    async fn whose_bundle_another_relays_went_into_is_known_until_it_is_over() {
        let (_dir, store, key) = store().await;
        let others = [(BundleId([1; 16]), Day(15)), (BundleId([2; 16]), Day(12))];
        let handout = Handout { others: &others, ..of(&key, 10, 12) };
        store.new_bundle(handout).await.expect("made");
        assert_eq!(store.taken_in(others[1].0).await.expect("read"), Some(key.id));
        store.new_bundle(of(&key, 13, 14)).await.expect("made");
        assert_eq!(store.taken_in(others[0].0).await.expect("read"), Some(key.id));
        assert_eq!(store.taken_in(others[1].0).await.expect("read"), None);
    }
}
