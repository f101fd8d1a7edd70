//! An office with a journal on the disk, and a few relays.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::hub::clerk::{Clerk, Failed, Settings};
use tokio::task::JoinHandle;
use wire::derive::{FleetKey, RelayId, RelaySeed};
use wire::fleet::{Capacity, Enrolment, Face, Health, Heartbeat, Standing};

pub const FLEET: FleetKey = FleetKey::from_bytes([5; 32]);
pub const START: u64 = 1_700_000_000_000;

pub struct Hub {
    pub clerk: Clerk,
    pub desk: JoinHandle<Result<(), Failed>>,
    /// Unix milliseconds, as the hub sees them.
    pub clock: Arc<AtomicU64>,
}

impl Hub {
    pub async fn open(dir: &Path) -> Self {
        let clock = Arc::new(AtomicU64::new(START));
        let tells = clock.clone();
        let journal = store::Journal::open(dir).await.expect("a journal");
        let clock_face = Arc::new(move || tells.load(Ordering::Relaxed));
        let (clerk, desk) =
            Clerk::open(journal, FLEET, Settings::default(), clock_face).await.expect("an office");
        Self { clerk, desk: tokio::spawn(desk.run()), clock }
    }

    pub async fn stop(self) {
        self.clerk.stop();
        self.desk.await.expect("no panic").expect("a snapshot");
    }
}

/// What a relay keeps.
#[derive(Clone)]
pub struct Member {
    pub id: RelayId,
    pub seed: RelaySeed,
    pub number: u64,
    pub order: u64,
    pub seats: u64,
}

pub fn address(number: u8) -> IpAddr {
    [20, 0, number, 1].into()
}

fn capacity() -> Capacity {
    Capacity { people: 10_000, monthly: 0, can_open: true }
}

fn face() -> Face {
    Face { port: 443, name: "example.org".into(), ..Face::default() }
}

/// A relay joins, and is reached.
pub async fn join(clerk: &Clerk, number: u8) -> Member {
    join_with(clerk, number, capacity()).await
}

/// The same with less room, say.
pub async fn join_with(clerk: &Clerk, number: u8, capacity: Capacity) -> Member {
    let token = clerk.invite(None).await.expect("an invite");
    let wants =
        Enrolment { token, attempt: [number; 16], capacity, face: face(), version: "1".into() };
    let given = clerk.enrol(&wants, address(number)).await.expect("joins");
    let again = clerk.enrol(&wants, address(number)).await.expect("the answer was lost");
    assert_eq!(again.id, given.id, "it joined twice");
    given.order.open(&clerk.signer(), given.id).expect("the fleet's order");
    clerk.reached(given.id, true).await.expect("is known");
    Member { id: given.id, seed: given.seed, number: 0, order: 0, seats: 0 }
}

impl Member {
    pub fn beat(&mut self) -> Vec<u8> {
        self.number += 1;
        let beat = Heartbeat {
            relay: self.id,
            number: self.number,
            order: self.order,
            seats: self.seats,
            standing: Standing::Carrying,
            capacity: capacity(),
            face: face(),
            health: Health::default(),
            over: 0,
            counted: Vec::new(),
            abroad: Vec::new(),
            version: "1".into(),
        };
        beat.write(&self.seed.key())
    }
}
