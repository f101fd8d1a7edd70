//! A relay that has joined a fleet: what its hub has made it, and what it was last told to do.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection};
use wire::derive::{KeyId, RelayId, RelayKey, RelaySeed};
use wire::fleet::{Enrolled, Invite, Order, Seat, Seats, SignedOrder};

use crate::{Error, Store, bytes, end};

/// An invite stands there before it is answered, so that whoever is killed asks the same again.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE membership (
        only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
        invite TEXT NOT NULL,
        attempt BLOB NOT NULL,
        relay_id BLOB,
        seed BLOB,
        signed_order BLOB,
        seats INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE seat (
        key BLOB PRIMARY KEY,
        port INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// How many seats are changed at a time.
const ROWS: usize = 500;

/// What only a relay without a hub does itself.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "this relay has joined a fleet: its hub gives out keys and bundles, and says where it answers \
     ('jaryq leave' ends that)"
)]
pub struct HasHub;

/// A relay's place in a fleet.
#[derive(Clone)]
pub struct Membership {
    /// Who it is there.
    pub relay: RelayId,
    /// How it has joined: where its hub is, and whose orders count. Its token is used up.
    pub invite: Invite,
    /// What it is to do.
    pub order: Order,
    pub(crate) seed: RelaySeed,
}

impl Membership {
    /// What everything that its keys open follows from.
    #[must_use]
    pub fn key(&self) -> RelayKey {
        self.seed.key()
    }
}

/// Who has a seat on a relay, and with which port in their links.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Seated {
    /// Up to which revision of the hub's these are known; 0 if none is.
    pub revision: u64,
    ports: HashMap<KeyId, u16>,
}

impl Seated {
    /// Whether these changes go on from where this is.
    #[must_use]
    pub fn fits(&self, changes: &Seats) -> bool {
        changes.from == 0 || changes.from == self.revision
    }

    /// Makes the changes. Those that do not [fit](Self::fits) are left alone, since what was before them
    /// is not known; the hub hears of that with the next heartbeat.
    pub fn follow(&mut self, changes: &Seats) {
        if !self.fits(changes) {
            return;
        }
        if changes.from == 0 {
            self.ports.clear();
        }
        changes.gone.iter().for_each(|key| _ = self.ports.remove(key));
        self.ports.extend(changes.given.iter().map(|seat| (seat.key, seat.port)));
        self.revision = changes.to;
    }

    /// All seats, in no particular order.
    pub fn seats(&self) -> impl Iterator<Item = Seat> {
        self.ports.iter().map(|(key, port)| Seat { key: *key, port: *port })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }
}

impl Store {
    /// What to enrol by with an invite: the same each time, also after a crash, until it is answered.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn attempt(&self, invite: &Invite) -> Result<[u8; 16], Error> {
        sqlx::query(
            "INSERT INTO membership (only_one, invite, attempt) VALUES (1, ?1, ?2)
             ON CONFLICT DO UPDATE SET invite = ?1, attempt = ?2
             WHERE relay_id IS NULL AND invite != ?1",
        )
        .bind(invite.text())
        .bind(RelayId::generate().0.to_vec())
        .execute(&self.pool)
        .await?;
        let row = sqlx::query("SELECT attempt FROM membership").fetch_one(&self.pool).await?;
        bytes(row.try_get(0)?, "the attempt to join is not 16 bytes")
    }

    /// Keeps what the hub has made of this relay.
    ///
    /// # Errors
    /// When the state cannot be written; then nothing has changed.
    pub async fn join(&self, enrolled: &Enrolled, first: &Order) -> Result<(), Error> {
        let mut connection = self.begin().await?;
        let done = async {
            sqlx::query("UPDATE membership SET relay_id = ?, seed = ?")
                .bind(enrolled.id.0.to_vec())
                .bind(enrolled.seed.0.to_vec())
                .execute(&mut *connection)
                .await?;
            keep(&mut connection, &enrolled.order, &first.seats).await
        }
        .await;
        Ok(end(connection, done).await?)
    }

    /// This relay's place in a fleet, if it has joined one.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn membership(&self) -> Result<Option<Membership>, Error> {
        let sql = "SELECT invite, relay_id, seed, signed_order FROM membership WHERE relay_id IS NOT NULL";
        let Some(row) = sqlx::query(sql).fetch_optional(&self.pool).await? else { return Ok(None) };
        let invite = Invite::read(row.try_get(0)?);
        let invite =
            invite.map_err(|_| Error::Damaged("what this relay has joined is not readable"))?;
        let relay = RelayId(bytes(row.try_get(1)?, "the relay id is not 16 bytes")?);
        let seed = RelaySeed(bytes(row.try_get(2)?, "the relay's seed is not 32 bytes")?);
        let order = SignedOrder::from_bytes(row.try_get(3)?).open(&invite.signer, relay);
        let order = order.map_err(|_| Error::Damaged("the hub's last order is not readable"))?;
        Ok(Some(Membership { relay, invite, order, seed }))
    }

    /// Who has a seat.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn seated(&self) -> Result<Seated, Error> {
        let row = sqlx::query("SELECT seats FROM membership").fetch_optional(&self.pool).await?;
        let revision = row.map(|row| row.try_get::<i64, _>(0)).transpose()?.unwrap_or(0);
        let rows = sqlx::query("SELECT key, port FROM seat").fetch_all(&self.pool).await?;
        let seat = |row: &sqlx::sqlite::SqliteRow| {
            let key = KeyId(bytes(row.try_get(0)?, "a seat's key is not 8 bytes")?);
            Ok((key, row.try_get(1)?))
        };
        let ports = rows.iter().map(seat).collect::<Result<_, Error>>()?;
        Ok(Seated { revision: revision.cast_unsigned(), ports })
    }

    /// Keeps an order in place of the one before it, with what it says of seats if that
    /// [fits](Seated::fits): after a crash it is followed.
    ///
    /// # Errors
    /// When the state cannot be written; then nothing has changed.
    pub async fn keep_order(
        &self,
        signed: &SignedOrder,
        seats: Option<&Seats>,
    ) -> Result<(), Error> {
        let mut connection = self.begin().await?;
        let done = match seats {
            Some(seats) => keep(&mut connection, signed, seats).await,
            None => keep_signed(&mut connection, signed).await,
        };
        Ok(end(connection, done).await?)
    }

    /// Forgets the fleet, and all that its keys follow from.
    ///
    /// # Errors
    /// When the state cannot be written; then nothing has changed.
    pub async fn leave(&self) -> Result<(), Error> {
        // Also where it was on the disk: nothing of the seed is left there.
        sqlx::raw_sql("PRAGMA secure_delete = ON").execute(&self.pool).await?;
        let mut connection = self.begin().await?;
        let both = "DELETE FROM seat; DELETE FROM membership;";
        let done = sqlx::raw_sql(both).execute(&mut *connection).await.map(drop);
        end(connection, done).await?;
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        Ok(())
    }
}

async fn keep_signed(into: &mut SqliteConnection, signed: &SignedOrder) -> Result<(), sqlx::Error> {
    let sql = "UPDATE membership SET signed_order = ? WHERE relay_id IS NOT NULL";
    sqlx::query(sql).bind(signed.bytes().to_vec()).execute(into).await.map(drop)
}

async fn keep(
    into: &mut SqliteConnection,
    signed: &SignedOrder,
    Seats { from, to, gone, given }: &Seats,
) -> Result<(), sqlx::Error> {
    keep_signed(&mut *into, signed).await?;
    if *from == 0 {
        sqlx::query("DELETE FROM seat").execute(&mut *into).await?;
    }
    for some in gone.chunks(ROWS) {
        let mut sql = sqlx::QueryBuilder::new("DELETE FROM seat WHERE key IN (");
        let mut list = sql.separated(", ");
        some.iter().for_each(|key| _ = list.push_bind(key.0.to_vec()));
        sql.push(")").build().execute(&mut *into).await?;
    }
    for some in given.chunks(ROWS) {
        let mut sql = sqlx::QueryBuilder::new("INSERT OR REPLACE INTO seat ");
        sql.push_values(some, |mut row, seat| {
            row.push_bind(seat.key.0.to_vec()).push_bind(seat.port);
        });
        sql.build().execute(&mut *into).await?;
    }
    let sql = "UPDATE membership SET seats = ?";
    sqlx::query(sql).bind(to.cast_signed()).execute(into).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::derive::{Epoch, FleetKey};
    use wire::fleet::{Carries, HubAddress, Pin, Posture};

    fn fleet() -> FleetKey {
        FleetKey::from_bytes([7; 32])
    }

    fn invite(token: u8) -> Invite {
        let hub = vec![HubAddress { host: "hub.example.org".to_owned(), port: 443 }];
        let signer = fleet().signer().public();
        Invite { token: [token; 16], room: [2; 16], signer, pin: Pin::Public, hub }
    }

    const RELAY: RelayId = RelayId([9; 16]);

    fn order(number: u64, seats: Seats) -> Order {
        Order {
            relay: RELAY,
            number,
            given: 0,
            next: 10,
            posture: Posture::Quiet,
            carries: Carries::Telegram,
            epoch: Epoch(3),
            address: None,
            is_reached: None,
            certificate: None,
            seats,
            bundles: Vec::new(),
            home: Vec::new(),
            fleet: Vec::new(),
            helped: 0,
            words: Vec::new(),
        }
    }

    fn seat(key: u8, port: u16) -> Seat {
        Seat { key: KeyId([key; 8]), port }
    }

    async fn joined(store: &Store, seats: Seats) {
        store.attempt(&invite(1)).await.expect("written");
        let first = order(1, seats);
        let signed = first.sign(&fleet().signer());
        let seed = fleet().relay_seed(&RELAY);
        let enrolled = Enrolled { id: RELAY, seed, order: signed };
        store.join(&enrolled, &first).await.expect("written");
    }

    #[tokio::test]
    async fn who_asks_again_to_join_asks_the_same_until_it_is_answered() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        let first = store.attempt(&invite(1)).await.expect("written");
        assert!(store.membership().await.expect("read").is_none(), "nobody has answered");
        store.close().await;
        let store = Store::open(dir.path()).await.expect("opens");
        assert_eq!(store.attempt(&invite(1)).await.expect("read"), first);
        assert_ne!(store.attempt(&invite(5)).await.expect("written"), first, "another invite");
    }

    #[tokio::test]
    async fn a_relay_that_has_joined_is_what_the_hub_has_made_it_until_it_leaves() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        let own = store.identity().await.expect("its own");
        joined(&store, Seats::default()).await;
        let membership = store.membership().await.expect("read").expect("it has joined");
        assert_eq!((membership.relay, membership.order.number), (RELAY, 1));
        let identity = store.identity().await.expect("an identity");
        let (ours, theirs) = (identity.relay_key(), fleet().relay_key(&RELAY));
        assert_eq!(ours.hub_key(), theirs.hub_key());
        assert_eq!(identity.epoch(), Epoch(3));
        assert_eq!(identity.signer().err(), Some(HasHub));
        let refused = store.new_key(crate::Label::default(), wire::derive::Form::Telegram).await;
        assert!(matches!(refused, Err(Error::HasHub(_))), "the hub gives out keys");

        let holds_seed = || {
            let seed = fleet().relay_seed(&RELAY).0;
            let files = std::fs::read_dir(dir.path()).expect("a folder");
            files
                .map(|file| std::fs::read(file.expect("a file").path()).expect("read"))
                .any(|bytes| bytes.windows(seed.len()).any(|some| some == seed))
        };
        assert!(holds_seed());
        store.leave().await.expect("written");
        let identity = store.identity().await.expect("an identity");
        assert_eq!(identity.relay_key().hub_key(), own.relay_key().hub_key(), "as it was before");
        assert!(!holds_seed(), "the seed is forgotten");
    }

    #[tokio::test]
    async fn seats_are_the_same_in_the_state_and_in_memory_and_what_does_not_fit_changes_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        let given = (0..=250).map(|key| seat(key, 2_000 + u16::from(key))).collect();
        let first = Seats { from: 0, to: 5, gone: Vec::new(), given };
        joined(&store, first.clone()).await;
        let mut seated = Seated::default();
        seated.follow(&first);
        assert_eq!(store.seated().await.expect("read"), seated);

        let gone = (1..=250).map(|key| KeyId([key; 8])).collect();
        let given = vec![seat(0, 3_000), seat(251, 0)];
        for (number, changes, left) in [
            (2, Seats { from: 5, to: 7, gone, given }, 2),
            (3, Seats { from: 6, to: 8, gone: Vec::new(), given: vec![seat(9, 9)] }, 2),
            (4, Seats { from: 0, to: 9, gone: Vec::new(), given: vec![seat(8, 8)] }, 1),
        ] {
            let signed = order(number, changes.clone()).sign(&fleet().signer());
            let fitting = seated.fits(&changes).then_some(&changes);
            store.keep_order(&signed, fitting).await.expect("written");
            seated.follow(&changes);
            assert_eq!((seated.len(), store.seated().await.expect("read")), (left, seated.clone()));
            let membership = store.membership().await.expect("read").expect("it has joined");
            assert_eq!(membership.order.number, number);
        }
        assert_eq!(seated.revision, 9);
    }
}
