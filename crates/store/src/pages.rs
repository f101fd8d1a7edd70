//! Links to people's own pages: which number a key's link has, and how often it was opened.

use sqlx::Row;
use wire::derive::KeyId;

use crate::{Error, Store};

pub(crate) const SCHEMA: &str = "
    CREATE TABLE page (
        key BLOB PRIMARY KEY,
        number INTEGER NOT NULL,
        openings BLOB NOT NULL
    ) STRICT;
";

/// How long what is kept of openings is, in bytes; what it means is whose page it is to know.
const OPENINGS: usize = 9;

/// The link to one key's page.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Page {
    /// Which of the key's links is the valid one.
    pub number: u32,
    /// How often that was opened.
    pub openings: [u8; OPENINGS],
}

impl Store {
    /// The page of a key: the first one, never opened, if nothing is known of it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn page(&self, key: KeyId) -> Result<Page, Error> {
        let row = sqlx::query("SELECT number, openings FROM page WHERE key = ?")
            .bind(key.0.to_vec())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(Page::default()) };
        let openings = row.try_get::<Vec<u8>, _>(1)?.try_into();
        Ok(Page {
            number: row.try_get(0)?,
            openings: openings.map_err(|_| Error::Damaged("a page's openings are not 9 bytes"))?,
        })
    }

    /// The numbers of all links that are not the first of their key.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn page_numbers(&self) -> Result<Vec<(KeyId, u32)>, Error> {
        let rows = sqlx::query("SELECT key, number FROM page WHERE number > 0")
            .fetch_all(&self.pool)
            .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let id = row.try_get::<Vec<u8>, _>(0)?.try_into();
            let id = id.map_err(|_| Error::Damaged("a key id is not 8 bytes"))?;
            Ok((KeyId(id), row.try_get(1)?))
        };
        rows.iter().map(read).collect()
    }

    /// Keeps how often the link of this number was opened, unless there is a newer one; whether it
    /// is kept.
    ///
    /// # Errors
    /// When the state cannot be written; then it was not opened.
    pub async fn set_openings(&self, key: KeyId, page: Page) -> Result<bool, Error> {
        let done = sqlx::query(
            "INSERT INTO page VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET openings = ?3 WHERE number = ?2",
        )
        .bind(key.0.to_vec())
        .bind(page.number)
        .bind(page.openings.to_vec())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Makes a new link to a key's page; the one before it leads nowhere from now on.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn next_page(&self, key: KeyId) -> Result<Page, Error> {
        let unopened = Page::default().openings.to_vec();
        sqlx::query(
            "INSERT INTO page VALUES (?1, 1, ?2)
             ON CONFLICT (key) DO UPDATE SET number = number + 1, openings = ?2",
        )
        .bind(key.0.to_vec())
        .bind(unopened)
        .execute(&self.pool)
        .await?;
        self.page(key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn openings_survive_and_a_new_link_begins_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        let (one, other) = (KeyId([1; 8]), KeyId([2; 8]));
        let opened = Page { number: 0, openings: [3; OPENINGS] };
        assert!(store.set_openings(one, opened).await.expect("written"));
        store.close().await;
        let store = Store::open(dir.path()).await.expect("opens");
        assert_eq!(store.page(one).await.expect("read"), opened);
        assert_eq!(store.page(other).await.expect("read"), Page::default());
        let next = store.next_page(one).await.expect("written");
        assert_eq!(next, Page { number: 1, ..Page::default() });
        assert!(!store.set_openings(one, opened).await.expect("tried"), "the link is an old one");
        assert_eq!(store.page(one).await.expect("read"), next);
        assert_eq!(store.page_numbers().await.expect("read"), [(one, 1)]);
    }
}
