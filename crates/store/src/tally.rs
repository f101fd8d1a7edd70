//! What was counted, by days, on its way in; [`crate::sums`] has the way out.

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use wire::tally::{Amounts, Cell, Day};

use crate::{Error, Store, end};

/// An empty key, port 0 and datacentre 0 stand for what is not told apart, or not there.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE tally (
        day INTEGER NOT NULL,
        key BLOB NOT NULL,
        port INTEGER NOT NULL,
        protocol INTEGER NOT NULL,
        datacentre INTEGER NOT NULL,
        connections INTEGER NOT NULL,
        up INTEGER NOT NULL,
        down INTEGER NOT NULL,
        PRIMARY KEY (day, key, port, protocol, datacentre)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE people (
        day INTEGER PRIMARY KEY,
        count INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE counter (
        day INTEGER NOT NULL,
        name TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (day, name)
    ) STRICT, WITHOUT ROWID;
";

/// How many rows are written at a time: what else the store is asked for need not wait long.
const PIECE: usize = 2_000;
/// How many days are kept.
const DAYS: i64 = 400;
/// How large the file may become, in bytes, before the oldest days lose their keys and ports.
const LARGEST: i64 = 512 << 20;

/// What is to be added.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counted<'a> {
    /// Connections and bytes.
    pub cells: &'a [(Cell, Amounts)],
    /// How many people there were on a day: the most that were ever noted for it count.
    pub people: Option<(Day, u64)>,
    /// What happened how often, each by its name.
    pub counters: &'a [(&'a str, u64)],
    /// A note that goes with it: its name and its text.
    pub note: Option<(&'a str, &'a str)>,
}

/// Not all was added.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unwritten {
    /// How many of the cells were added, from the first one on; nothing else was.
    pub cells: usize,
    /// Why not all.
    pub error: Error,
}

impl Store {
    /// Adds what was counted to a day: all at once, but for many cells, which come before.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn add_tally(&self, day: Day, counted: Counted<'_>) -> Result<(), Unwritten> {
        let mut pieces = counted.cells.chunks(PIECE);
        let last = pieces.next_back().unwrap_or_default();
        let mut written = 0;
        for piece in pieces.map(|cells| Counted { cells, ..Counted::default() }) {
            let added = self.add_piece(day, piece).await;
            added.map_err(|error| Unwritten { cells: written, error: error.into() })?;
            written += PIECE;
        }
        let added = self.add_piece(day, Counted { cells: last, ..counted }).await;
        added.map_err(|error| Unwritten { cells: written, error: error.into() })
    }

    async fn add_piece(&self, day: Day, piece: Counted<'_>) -> sqlx::Result<()> {
        let mut connection = self.begin().await?;
        let added = add(&mut connection, day, piece).await;
        end(connection, added).await
    }

    /// Forgets all but the last 400 days on which there were people, and while the file is larger than
    /// 512 MiB, which keys and which ports it was on the oldest day where that is known.
    ///
    /// Days are counted and not measured by today's: a clock that once was years ahead must not cost
    /// all that was ever counted.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn thin_out(&self) -> Result<(), Error> {
        let oldest = sqlx::query("SELECT day FROM people ORDER BY day DESC LIMIT 1 OFFSET ?");
        if let Some(row) = oldest.bind(DAYS).fetch_optional(&self.pool).await? {
            let day: i64 = row.try_get(0)?;
            for table in ["tally", "people", "counter"] {
                let old = sqlx::AssertSqlSafe(format!("DELETE FROM {table} WHERE day <= ?"));
                sqlx::query(old).bind(day).execute(&self.pool).await?;
            }
        }
        if self.size().await? > LARGEST {
            self.fold_oldest().await?;
        }
        Ok(())
    }

    /// How much of the file is in use, in bytes.
    async fn size(&self) -> sqlx::Result<i64> {
        let sql = "SELECT (page_count - freelist_count) * page_size
                   FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        sqlx::query(sql).fetch_one(&self.pool).await?.try_get(0)
    }

    /// Puts the keys and ports of the oldest day together that has any.
    async fn fold_oldest(&self) -> sqlx::Result<()> {
        let oldest = sqlx::query("SELECT day FROM tally WHERE key <> x'' ORDER BY day LIMIT 1");
        let Some(row) = oldest.fetch_optional(&self.pool).await? else { return Ok(()) };
        let day = Day(row.try_get(0)?);
        let mut connection = self.begin().await?;
        let folded = fold(&mut connection, day).await;
        end(connection, folded).await
    }
}

async fn add(to: &mut SqliteConnection, day: Day, piece: Counted<'_>) -> sqlx::Result<()> {
    if !piece.cells.is_empty() {
        // Not kept for another time: there are as many of these as there are numbers of cells.
        add_cells(day, piece.cells).build().persistent(false).execute(&mut *to).await?;
    }
    if let Some((day, people)) = piece.people {
        sqlx::query(
            "INSERT INTO people VALUES (?, ?)
             ON CONFLICT DO UPDATE SET count = max(count, excluded.count)",
        )
        .bind(day.0)
        .bind(people.cast_signed())
        .execute(&mut *to)
        .await?;
    }
    for (name, count) in piece.counters {
        sqlx::query(
            "INSERT INTO counter VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )
        .bind(day.0)
        .bind(*name)
        .bind(count.cast_signed())
        .execute(&mut *to)
        .await?;
    }
    if let Some((name, text)) = piece.note {
        crate::note(&mut *to, name, text).await?;
    }
    Ok(())
}

/// Puts the keys and ports of a day together.
async fn fold(of: &mut SqliteConnection, day: Day) -> sqlx::Result<()> {
    for sql in [
        "INSERT INTO tally
         SELECT day, x'', 0, protocol, datacentre, sum(connections), sum(up), sum(down)
         FROM tally WHERE day = ? AND key <> x'' GROUP BY protocol, datacentre
         ON CONFLICT DO UPDATE SET connections = connections + excluded.connections,
         up = up + excluded.up, down = down + excluded.down",
        "DELETE FROM tally WHERE day = ? AND key <> x''",
    ] {
        sqlx::query(sql).bind(day.0).execute(&mut *of).await?;
    }
    Ok(())
}

fn add_cells(day: Day, cells: &[(Cell, Amounts)]) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::new("INSERT INTO tally ");
    insert.push_values(cells, |mut row, (cell, amounts)| {
        row.push_bind(day.0)
            .push_bind(cell.key.map_or(Vec::new(), |key| key.0.to_vec()))
            .push_bind(cell.port)
            .push_bind(cell.protocol.number())
            .push_bind(cell.datacentre.map_or(0, |datacentre| datacentre.id().0))
            .push_bind(amounts.connections.cast_signed())
            .push_bind(amounts.up.cast_signed())
            .push_bind(amounts.down.cast_signed());
    });
    insert.push(
        " ON CONFLICT DO UPDATE SET connections = connections + excluded.connections, \
         up = up + excluded.up, down = down + excluded.down",
    );
    insert
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{By, Group, Line};
    use wire::derive::KeyId;
    use wire::mtproto::Datacentre;
    use wire::tally::Protocol;

    const TODAY: Day = Day(20_000);

    async fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        (dir, store)
    }

    fn cell(key: u8, port: u16, datacentre: Option<Datacentre>) -> Cell {
        let protocol = if datacentre.is_some() { Protocol::TelegramPadded } else { Protocol::Http };
        Cell { key: Some(KeyId([key; 8])), port, protocol, datacentre }
    }

    async fn put(store: &Store, day: Day, cells: &[(Cell, Amounts)]) {
        store.add_tally(day, Counted { cells, ..Counted::default() }).await.expect("written");
    }

    fn amounts(connections: u64, up: u64, down: u64) -> Amounts {
        Amounts { connections, up, down }
    }

    #[tokio::test]
    async fn what_is_added_twice_is_added_up_and_summed_by_whatever_is_asked() {
        let (_dir, store) = store().await;
        let (telegram, web) = (cell(1, 443, Some(Datacentre::Test(2))), cell(2, 1080, None));
        let first = [(telegram, amounts(1, 10, 100)), (web, amounts(2, 20, 1_000))];
        put(&store, TODAY, &first).await;
        put(&store, TODAY, &first[..1]).await;
        put(&store, Day(19_999), &first[..1]).await;
        let of = async |by, since| store.tally(by, since).await.expect("read");
        let (twice, thrice) = (amounts(2, 20, 200), amounts(3, 30, 300));
        assert_eq!(
            of(By::Day, Day(0)).await,
            [(Group::Day(Day(19_999)), first[0].1), (Group::Day(TODAY), amounts(4, 40, 1_200))]
        );
        let web = (Group::Port(Some(1080)), first[1].1);
        assert_eq!(of(By::Port, TODAY).await, [web, (Group::Port(Some(443)), twice)]);
        let centres = of(By::Datacentre, Day(0)).await;
        assert_eq!(centres[1], (Group::Datacentre(Some(Datacentre::Test(2))), thrice));
        assert_eq!(centres[0], (Group::Datacentre(None), first[1].1));
        assert_eq!(of(By::Key, TODAY).await[1], (Group::Key(telegram.key), twice));
        assert_eq!(of(By::Protocol, TODAY).await[0].0, Group::Protocol(Protocol::Http));
        let lines = store.tally_lines(TODAY).await.expect("read");
        assert_eq!(lines.len(), 2);
        assert!(lines.contains(&Line { day: TODAY, cell: telegram, amounts: twice }));
    }

    #[tokio::test]
    async fn people_are_the_most_that_were_noted_and_counters_are_added_up() {
        let (_dir, store) = store().await;
        for people in [5, 7, 3] {
            let counted = Counted {
                people: Some((TODAY, people)),
                counters: &[("replays", people), ("crowded", 1)],
                note: Some(("now", "all is well")),
                ..Counted::default()
            };
            store.add_tally(TODAY, counted).await.expect("written");
        }
        assert_eq!(store.note("now").await.expect("read").as_deref(), Some("all is well"));
        assert_eq!(store.people(Day(0)).await.expect("read"), [(TODAY, 7)]);
        let counters = store.counters(TODAY).await.expect("read");
        assert_eq!(counters, [(TODAY, "crowded".into(), 3), (TODAY, "replays".into(), 15)]);
    }

    #[tokio::test]
    async fn days_before_the_last_400_are_forgotten() {
        let (_dir, store) = store().await;
        // The clock was wrong on one of them.
        let days = (0..399).map(|back| TODAY.0 - back).chain([TODAY.0 + 10_000, TODAY.0 - 399]);
        for day in days.map(Day) {
            let counted = Counted {
                cells: &[(cell(1, 443, None), amounts(1, 1, 1))],
                people: Some((day, 1)),
                counters: &[("replays", 1)],
                note: None,
            };
            store.add_tally(day, counted).await.expect("written");
        }
        store.thin_out().await.expect("written");
        let days = store.people(Day(0)).await.expect("read");
        assert_eq!(days.iter().map(|(day, _)| day.0).min(), Some(TODAY.0 - 398));
        assert_eq!(days.len(), 400);
        assert_eq!(store.tally(By::Day, Day(0)).await.expect("read").len(), 400);
        assert_eq!(store.counters(Day(0)).await.expect("read").len(), 400);
    }

    #[tokio::test]
    async fn the_oldest_day_loses_its_keys_and_ports_first_and_no_sum_changes() {
        let (_dir, store) = store().await;
        let cells = [1, 2, 3].map(|key| (cell(key, 440 + u16::from(key), None), amounts(1, 2, 3)));
        for day in [TODAY, Day(19_999)] {
            put(&store, day, &cells).await;
        }
        let before = store.tally(By::Day, Day(0)).await.expect("read");
        store.fold_oldest().await.expect("written");
        let folded =
            Line { day: Day(19_999), cell: cells[0].0.folded(), amounts: amounts(3, 6, 9) };
        assert_eq!(store.tally_lines(Day(19_999)).await.expect("read"), [folded]);
        assert_eq!(store.tally_lines(TODAY).await.expect("read").len(), 3);
        store.fold_oldest().await.expect("written");
        assert_eq!(store.tally_lines(TODAY).await.expect("read").len(), 1);
        store.fold_oldest().await.expect("nothing to do");
        assert_eq!(store.tally(By::Day, Day(0)).await.expect("read"), before);
        let keys = store.tally(By::Key, Day(0)).await.expect("read");
        assert_eq!(keys, [(Group::Key(None), amounts(6, 12, 18))]);
    }

    #[tokio::test]
    async fn a_hundred_thousand_keys_are_written_in_pieces_and_none_is_lost() {
        let (_dir, store) = store().await;
        let key = |n: u64| Some(KeyId(n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()));
        let row =
            |n: u64| (Cell { key: key(n), ..cell(0, 443, None) }, amounts(1, n, 1_000_000 + n));
        let rows: Vec<_> = (0..100_000).map(row).collect();
        for rows in [&rows[..], &rows[..10_000]] {
            put(&store, TODAY, rows).await;
        }
        let days = store.tally(By::Day, TODAY).await.expect("read");
        assert_eq!(days[0].1.connections, 110_000);
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_told_and_the_rest_is_there_once_and_it_goes_on() {
        let (_dir, store) = store().await;
        let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON tally WHEN new.port = 1
                      BEGIN SELECT raise(ROLLBACK, 'as on a full disk'); END";
        sqlx::raw_sql(refuse).execute(&store.pool).await.expect("written");
        let mut rows = vec![(cell(1, 443, None), amounts(1, 0, 0)); 2 * PIECE];
        rows.push((cell(1, 1, None), amounts(1, 0, 0)));
        let counted = Counted { cells: &rows, people: Some((TODAY, 1)), ..Counted::default() };
        let unwritten = store.add_tally(TODAY, counted).await.expect_err("refused");
        assert_eq!(unwritten.cells, 2 * PIECE);
        let days = store.tally(By::Day, TODAY).await.expect("read");
        assert_eq!(days, [(Group::Day(TODAY), amounts(2 * PIECE as u64, 0, 0))]);
        assert_eq!(store.people(TODAY).await.expect("read"), []);
        sqlx::raw_sql("DROP TRIGGER refuse").execute(&store.pool).await.expect("written");
        put(&store, TODAY, &rows[unwritten.cells..]).await;
        let days = store.tally(By::Day, TODAY).await.expect("read");
        assert_eq!(days, [(Group::Day(TODAY), amounts(2 * PIECE as u64 + 1, 0, 0))]);
    }
}
