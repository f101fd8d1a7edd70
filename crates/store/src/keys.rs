//! Access keys: one person's credential each.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use wire::derive::{Form, KeyId, Person};
use wire::tally::Day;

use crate::{Error, Store, end, key_id};

/// What the volunteer calls a key; at most 100 characters, none of them one that controls a terminal
/// or the direction of text.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Label(String);

/// This is no label.
#[derive(Debug, thiserror::Error)]
#[error(
    "a label has at most 100 characters, and none that controls the terminal or the direction of text"
)]
pub struct BadLabel;

impl FromStr for Label {
    type Err = BadLabel;

    fn from_str(text: &str) -> Result<Self, BadLabel> {
        let garbles = |c: char| {
            let turns = matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            c.is_control() || turns
        };
        if text.chars().count() > 100 || text.chars().any(garbles) {
            return Err(BadLabel);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Label {
    /// One of several of this name; those without a name stay so.
    fn numbered(&self, number: u16) -> Result<Self, BadLabel> {
        if self.0.is_empty() { Ok(Self::default()) } else { format!("{self} {number}").parse() }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An access key, as it is written down: its secrets are not, they are derived.
#[derive(Clone, Debug)]
pub struct Key {
    /// What it is called on this relay.
    pub id: KeyId,
    /// What the volunteer calls it.
    pub label: Label,
    /// What it opens.
    pub form: Form,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// When it was revoked or ended by itself, in Unix seconds.
    pub revoked: Option<i64>,
    /// Its last day, in UTC, if it was made for a bundle: it ends with that.
    pub ends: Option<Day>,
    /// Whether it opens what must speak in clear, on a port of its own: SOCKS5 and HTTP proxies.
    pub cleartext: bool,
}

impl Key {
    /// Whether nobody revoked it, and its last day is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ends.is_some_and(|last| self.revoked == Some(end_of(last)))
    }
}

/// The first moment after a day, in Unix seconds.
fn end_of(day: Day) -> i64 {
    Day(day.0.saturating_add(1)).start()
}

/// Which key is meant does not follow from what was given.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// Too little was given to mean one key.
    #[error("give at least the first four letters of a key's id")]
    Short,
    /// None begins like that.
    #[error("there is no key whose id begins with '{0}'")]
    Unknown(String),
    /// Several begin like that.
    #[error("{count} keys' ids begin with '{prefix}'; give more of it")]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// How many there are.
        count: usize,
    },
}

const COLUMNS: &str = "SELECT id, label, form, created, revoked, cleartext, last_day FROM key ORDER BY created, rowid";

impl Store {
    /// Makes an access key.
    ///
    /// # Errors
    /// When the state cannot be written; there is no key then.
    pub async fn new_key(&self, label: Label, form: Form) -> Result<Key, Error> {
        let keys = self.new_keys(&label, form, false, NonZeroU16::MIN).await?;
        Ok(keys.into_iter().next().expect("as many as were asked for"))
    }

    /// Makes several keys, all or none; their labels are numbered. `cleartext` lets them work in clear,
    /// on a port that can be recognised.
    ///
    /// # Errors
    /// When the state cannot be written, and when the label is too long for a number.
    pub async fn new_keys(
        &self,
        label: &Label,
        form: Form,
        cleartext: bool,
        count: NonZeroU16,
    ) -> Result<Vec<Key>, Error> {
        let identity = self.identity().await?;
        let made = |number: u16| {
            let person = Person::generate();
            let label = if count.get() == 1 { label.clone() } else { label.numbered(number)? };
            let id = identity.pseudonym(person)?;
            let (revoked, ends) = (None, None);
            let key = Key { id, label, form, created: now(), revoked, ends, cleartext };
            Ok((person, key))
        };
        let made: Vec<(Person, Key)> = (1..=count.get()).map(made).collect::<Result<_, Error>>()?;
        let mut connection = self.begin().await?;
        let mut done = Ok(());
        for (person, key) in &made {
            done = insert(&mut connection, *person, key).await;
            if done.is_err() {
                break;
            }
        }
        end(connection, done).await?;
        Ok(made.into_iter().map(|(_, key)| key).collect())
    }

    /// All keys, the oldest first, revoked ones among them.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn keys(&self) -> Result<Vec<Key>, Error> {
        let rows = sqlx::query(COLUMNS).fetch_all(&self.pool).await?;
        rows.iter().map(from_row).collect()
    }

    /// The key whose id begins with `prefix`.
    ///
    /// # Errors
    /// [`Error::NoKey`] when there is none or more than one.
    pub async fn key(&self, prefix: &str) -> Result<Key, Error> {
        if prefix.len() < 4 {
            return Err(NoKey::Short.into());
        }
        let prefix: String = prefix.chars().take(40).collect();
        let begins = |key: &Key| key.id.begins_with(&prefix);
        let mut found: Vec<Key> = self.keys().await?.into_iter().filter(begins).collect();
        match (found.pop(), found.len()) {
            (Some(key), 0) => Ok(key),
            (None, _) => Err(NoKey::Unknown(prefix).into()),
            (Some(_), others) => Err(NoKey::Ambiguous { prefix, count: others + 1 }.into()),
        }
    }

    /// Ends a key for good. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NoKey`] when no key or more than one is meant.
    pub async fn revoke(&self, prefix: &str) -> Result<Key, Error> {
        let mut key = self.key(prefix).await?;
        if key.revoked.is_none() {
            key.revoked = Some(now());
            sqlx::query("UPDATE key SET revoked = ? WHERE id = ? AND revoked IS NULL")
                .bind(key.revoked)
                .bind(key.id.0.to_vec())
                .execute(&self.pool)
                .await?;
        }
        Ok(key)
    }
}

async fn insert(into: &mut SqliteConnection, person: Person, key: &Key) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO key VALUES (?, ?, ?, ?, ?, NULL, ?, NULL)")
        .bind(key.id.0.to_vec())
        .bind(person.0.cast_signed())
        .bind(&key.label.0)
        .bind(key.form.name())
        .bind(key.created)
        .bind(key.cleartext)
        .execute(into)
        .await?;
    Ok(())
}

fn from_row(row: &SqliteRow) -> Result<Key, Error> {
    let id = row.try_get::<Vec<u8>, _>(0)?;
    let form = row.try_get::<&str, _>(2)?.parse();
    let ends = row.try_get::<Option<i64>, _>(6)?.map(Day);
    let over = ends.map(end_of).filter(|over| *over <= now());
    let revoked: Option<i64> = row.try_get(4)?;
    Ok(Key {
        id: key_id(id)?,
        label: Label(row.try_get(1)?),
        form: form.map_err(|_| Error::Damaged("a key of an unknown form"))?,
        created: row.try_get(3)?,
        revoked: revoked.or(over),
        ends,
        cleartext: row.try_get(5)?,
    })
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        (dir, store)
    }

    #[tokio::test]
    async fn keys_are_kept_in_the_order_in_which_they_were_made() {
        let (dir, store) = store().await;
        let mut made = Vec::new();
        for label in ["a", "b", "c"] {
            let label = label.parse().expect("a label");
            made.push(store.new_key(label, Form::Telegram).await.expect("made").id);
        }
        drop(store);
        let again = Store::open(dir.path()).await.expect("opens");
        let kept: Vec<KeyId> = again.keys().await.expect("read").iter().map(|key| key.id).collect();
        assert_eq!(kept, made);
    }

    #[tokio::test]
    async fn a_key_is_found_by_the_beginning_of_its_id() {
        let (_dir, store) = store().await;
        let key = store.new_key(Label::default(), Form::Telegram).await.expect("made");
        let id = key.id.to_string();
        assert_eq!(store.key(&id[..8]).await.expect("found").id, key.id);
        assert_eq!(store.key(&id.to_uppercase()).await.expect("found").id, key.id);
        assert!(matches!(store.key("zzzzzzzzz").await, Err(Error::NoKey(NoKey::Unknown(_)))));
    }

    #[tokio::test]
    async fn too_little_of_an_id_means_no_key_and_ends_none() {
        let (_dir, store) = store().await;
        let twin = |last| KeyId([7, 7, 7, 7, 7, 7, 7, last]);
        for (person, last) in [(1, 1), (2, 2)] {
            sqlx::query("INSERT INTO key (id, person, label, form, created) VALUES (?, ?, '', 'telegram', 0)")
                .bind(twin(last).0.to_vec())
                .bind(person)
                .execute(&store.pool)
                .await
                .expect("written");
        }
        let id = twin(1).to_string();
        for (prefix, short) in [("", true), (&id[..3], true), (&id[..8], false)] {
            match store.revoke(prefix).await {
                Err(Error::NoKey(NoKey::Short)) => assert!(short, "{prefix}"),
                Err(Error::NoKey(NoKey::Ambiguous { count: 2, .. })) => assert!(!short, "{prefix}"),
                other => panic!("{prefix}: {other:?}"),
            }
        }
        assert!(store.keys().await.expect("read").iter().all(|key| key.revoked.is_none()));
    }

    #[tokio::test]
    async fn a_revoked_key_stays_revoked_since_the_first_time() {
        let (_dir, store) = store().await;
        let key = store.new_key(Label::default(), Form::Telegram).await.expect("made");
        let first = store.revoke(&key.id.to_string()).await.expect("revoked");
        assert!(first.revoked.is_some());
        let again = store.revoke(&key.id.to_string()).await.expect("revoked");
        assert_eq!(again.revoked, first.revoked);
    }

    #[tokio::test]
    async fn whether_a_key_works_in_clear_is_kept() {
        let (_dir, store) = store().await;
        store.new_key(Label::default(), Form::Telegram).await.expect("made");
        store.new_keys(&Label::default(), Form::Web, true, NonZeroU16::MIN).await.expect("made");
        let keys = store.keys().await.expect("read");
        let kept: Vec<(Form, bool)> = keys.iter().map(|key| (key.form, key.cleartext)).collect();
        assert_eq!(kept, [(Form::Telegram, false), (Form::Web, true)]);
    }

    #[test]
    fn a_label_that_would_garble_a_terminal_is_refused() {
        assert!("Aunt Aigül, Almaty".parse::<Label>().is_ok());
        assert!("a\u{1b}[2J".parse::<Label>().is_err());
        assert!("a\u{202e}b".parse::<Label>().is_err());
        assert!("x".repeat(101).parse::<Label>().is_err());
    }
}
