//! What was counted, as it is asked for.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use wire::derive::KeyId;
use wire::mtproto::{Datacentre, DcId};
use wire::tally::{Amounts, Cell, Day, Protocol};

use crate::{Error, Store};

/// One cell of one day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// When.
    pub day: Day,
    /// Whose, where, how.
    pub cell: Cell,
    /// How much.
    pub amounts: Amounts,
}

/// What sums are formed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Each day.
    Day,
    /// Each protocol.
    Protocol,
    /// Each datacentre of Telegram, and everything that went elsewhere.
    Datacentre,
    /// Each port that was dialled.
    Port,
    /// Each key.
    Key,
}

/// What a sum is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// A day.
    Day(Day),
    /// A protocol.
    Protocol(Protocol),
    /// A datacentre, if it was Telegram.
    Datacentre(Option<Datacentre>),
    /// A port; `None` where ports are not told apart any more.
    Port(Option<u16>),
    /// A key; `None` where keys are not told apart any more.
    Key(Option<KeyId>),
}

impl Store {
    /// Sums over the days from `since` on, largest first; days in their order.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn tally(&self, by: By, since: Day) -> Result<Vec<(Group, Amounts)>, Error> {
        let column = match by {
            By::Day => "day",
            By::Protocol => "protocol",
            By::Datacentre => "datacentre",
            By::Port => "port",
            By::Key => "key",
        };
        let order =
            if by == By::Day { "1" } else { "sum(up) + sum(down) DESC, sum(connections) DESC, 1" };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {column}, sum(connections), sum(up), sum(down) FROM tally WHERE day >= ?
             GROUP BY 1 ORDER BY {order}"
        ));
        let rows = sqlx::query(sql).bind(since.0).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((group(by, row)?, amounts(row, 1)?))).collect()
    }

    /// Every cell of one day, in no particular order.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn tally_lines(&self, day: Day) -> Result<Vec<Line>, Error> {
        let sql = "SELECT key, port, protocol, datacentre, connections, up, down FROM tally WHERE day = ?";
        let rows = sqlx::query(sql).bind(day.0).fetch_all(&self.pool).await?;
        let line = |row: &SqliteRow| {
            let cell = Cell {
                key: key(row, 0)?,
                port: row.try_get(1)?,
                protocol: protocol(row, 2)?,
                datacentre: datacentre(row, 3)?,
            };
            Ok(Line { day, cell, amounts: amounts(row, 4)? })
        };
        rows.iter().map(line).collect()
    }

    /// How many people there were on each day from `since` on, where it is known.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn people(&self, since: Day) -> Result<Vec<(Day, u64)>, Error> {
        let sql = "SELECT day, count FROM people WHERE day >= ? ORDER BY 1";
        let rows = sqlx::query(sql).bind(since.0).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((Day(row.try_get(0)?), number(row, 1)?))).collect()
    }

    /// The counters of each day from `since` on.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn counters(&self, since: Day) -> Result<Vec<(Day, String, u64)>, Error> {
        let sql = "SELECT day, name, count FROM counter WHERE day >= ? ORDER BY 1, 2";
        let rows = sqlx::query(sql).bind(since.0).fetch_all(&self.pool).await?;
        let counter =
            |row: &SqliteRow| Ok((Day(row.try_get(0)?), row.try_get(1)?, number(row, 2)?));
        rows.iter().map(counter).collect()
    }
}

fn group(by: By, row: &SqliteRow) -> Result<Group, Error> {
    Ok(match by {
        By::Day => Group::Day(Day(row.try_get(0)?)),
        By::Protocol => Group::Protocol(protocol(row, 0)?),
        By::Datacentre => Group::Datacentre(datacentre(row, 0)?),
        By::Port => Group::Port(Some(row.try_get(0)?).filter(|&port| port != 0)),
        By::Key => Group::Key(key(row, 0)?),
    })
}

fn key(row: &SqliteRow, column: usize) -> Result<Option<KeyId>, Error> {
    let bytes: &[u8] = row.try_get(column)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let id = bytes.try_into().map_err(|_| Error::Damaged("a key id is not 8 bytes"))?;
    Ok(Some(KeyId(id)))
}

fn protocol(row: &SqliteRow, column: usize) -> Result<Protocol, Error> {
    let known = Protocol::from_number(row.try_get(column)?);
    known.ok_or(Error::Damaged("a protocol that is not known"))
}

fn datacentre(row: &SqliteRow, column: usize) -> Result<Option<Datacentre>, Error> {
    let id: i16 = row.try_get(column)?;
    Ok((id != 0).then(|| DcId(id).datacentre()))
}

fn amounts(row: &SqliteRow, first: usize) -> Result<Amounts, Error> {
    Ok(Amounts {
        connections: number(row, first)?,
        up: number(row, first + 1)?,
        down: number(row, first + 2)?,
    })
}

/// A number that is never negative.
fn number(row: &SqliteRow, column: usize) -> Result<u64, Error> {
    Ok(row.try_get::<i64, _>(column)?.cast_unsigned())
}
