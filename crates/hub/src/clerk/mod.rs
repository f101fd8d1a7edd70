//! The clerk: everybody's way to the office. What changes it goes to one desk, which writes it down with
//! whatever else has come meanwhile, waits until the disk has it, makes it happen, and answers. What only
//! reads it waits for nobody.
//!
//! ```text
//! ask ──┐                 ┌─ append ── disk ─┐
//! ask ──┼─> desk: a batch ┤                  ├─> Office::apply ─> answers, news to relays
//! enrol ┘                 └─ all or nothing ─┘
//! refresh ──────────────────────────────────────> Office, as it is
//! ```
//!
//! A batch is on the disk before anything of it happens: nobody ever sees what a crash could take
//! back. After a crash the same batches make the same office again.
//!
//! | module | what is in it |
//! |---|---|
//! | [`desk`] | the one that writes |
//! | [`handout`] | people: asking, refreshing, reporting; links, tickets, bundles |
//! | [`relays`] | relays: invites, enrolment, heartbeats |
//! | [`orders`] | what relays are told, and when |
//! | [`cracks`] | which ways pass where, by receipts
//! | [`blocks`] | what is blocked or gone, and what people's visits say of it |

mod blocks;
mod cracks;
mod desk;
mod handout;
mod orders;
mod relays;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use wire::derive::{Buckets, Epoch, FleetKey, Marker, Person, RelayId, RelayKey};
use wire::receipt::RelayTag;
use wire::signer::{PublicKey, Signer};

use crate::office::event::LONGEST_NAME;
use crate::office::views::{DoorView, PeopleView};
use crate::office::{DoorId, Event, Moment, Office, Outcome, Why};

pub use blocks::{EndpointView, Visit};
pub use desk::{Desk, Failed};
pub use handout::{Handout, Refresh};
pub use relays::RelayReport;

/// The key of a request, from the door where it was made.
pub type RequestKey = [u8; 16];

/// Tells the time, in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The epoch of all secrets.
const EPOCH: Epoch = Epoch(1);
/// How many changes can wait for the desk.
const QUEUE: usize = 8192;

/// What an organiser chooses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The numbers of the networks at home: a key used elsewhere was used abroad.
    pub home: Vec<u32>,
    /// In how many seconds relays are to be heard of, at the latest.
    pub heartbeat: u16,
    /// In how many seconds people are to ask again.
    pub refresh: u32,
    /// What all volunteers are told.
    pub words: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { home: Vec::new(), heartbeat: 10, refresh: 300, words: Vec::new() }
    }
}

/// Why somebody gets no answer, or another one than they hoped for.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The ticket is none, or its person was forgotten.
    #[error("this ticket is not good any more: ask again")]
    Ticket,
    /// What was said is none of what can be said.
    #[error("{0}")]
    Bad(&'static str),
    /// Nothing came of it.
    #[error(transparent)]
    Office(#[from] Why),
    /// A message of a relay's is not followed.
    #[error(transparent)]
    Relay(#[from] wire::fleet::Refused),
    /// A heartbeat with a number that was there before.
    #[error("this heartbeat was heard already")]
    Old,
    /// The desk has more to do than it can.
    #[error("the hub has too much to do; ask again in some seconds")]
    Busy,
    /// The journal cannot be written, or the hub is being stopped.
    #[error("the hub has stopped")]
    Stopped,
}

/// What one relay's part of the clerk's work needs again and again.
struct Keys {
    key: RelayKey,
    /// The ports of its slots.
    ports: Box<[u16]>,
    /// What its receipts name it.
    tag: RelayTag,
}

impl Keys {
    fn new(fleet: &FleetKey, id: RelayId) -> Self {
        let key = fleet.relay_key(&id);
        let ports = Buckets::new(&key, EPOCH).ports().into();
        let tag = RelayTag::of(&key.mask_key());
        Self { key, ports, tag }
    }
}

/// The office and what follows from the fleet key for it.
struct State {
    office: Office,
    keys: Vec<Arc<Keys>>,
    cracks: cracks::Cracks,
}

impl State {
    fn new(office: Office, fleet: &FleetKey, signer: PublicKey) -> Self {
        let mut cracks = cracks::Cracks::default();
        for receipt in office.receipts() {
            cracks.take(receipt, signer, office.now());
        }
        let mut state = Self { office, keys: Vec::new(), cracks };
        state.follow(fleet);
        state
    }

    /// Keys for relays that have joined since.
    fn follow(&mut self, fleet: &FleetKey) {
        let new = &self.office.relays()[self.keys.len()..];
        let keys: Vec<_> = new.iter().map(|relay| Arc::new(Keys::new(fleet, relay.id))).collect();
        self.keys.extend(keys);
    }
}

/// A change on its way to the desk.
struct Job {
    event: Event,
    /// Nobody waits where there is none.
    done: Option<oneshot::Sender<Outcome>>,
}

/// What the fleet key marks.
struct Marks {
    people: Marker,
    tickets: Marker,
    requests: Marker,
    versions: Marker,
    doors: Marker,
    invites: Marker,
    checks: Marker,
    bundles: Marker,
}

impl Marks {
    fn new(fleet: &FleetKey) -> Self {
        Self {
            people: fleet.marker("person"),
            tickets: fleet.marker("ticket"),
            requests: fleet.marker("request"),
            versions: fleet.marker("version"),
            doors: fleet.marker("door"),
            invites: fleet.marker("invite"),
            checks: fleet.marker("check"),
            bundles: fleet.marker("bundle"),
        }
    }
}

struct Shared {
    state: RwLock<State>,
    queue: mpsc::Sender<Job>,
    stop: tokio::sync::Notify,
    fleet: FleetKey,
    signer: Signer,
    marks: Marks,
    settings: Settings,
    clock: Clock,
    /// What is known of relays that are heard of, by their places; gone with the process.
    heard: Mutex<HashMap<u16, Arc<relays::Heard>>>,
    visits: blocks::Visits,
    brought: cracks::Brought,
}

/// Everybody's way to the office. Clones lead to the same one.
#[derive(Clone)]
pub struct Clerk(Arc<Shared>);

impl Clerk {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment((self.0.clock)())
    }

    /// Makes something happen; what became of it, once it cannot be lost any more.
    async fn happens(&self, event: Event) -> Result<Outcome, Refused> {
        let (done, outcome) = oneshot::channel();
        let job = Job { event, done: Some(done) };
        self.0.queue.send(job).await.map_err(|_| Refused::Stopped)?;
        match outcome.await.map_err(|_| Refused::Stopped)? {
            Outcome::Refused(why) => Err(why.into()),
            outcome => Ok(outcome),
        }
    }

    /// The same where nobody waits. It is left out when there is much else to do.
    fn mentions(&self, event: Event) {
        let _ = self.0.queue.try_send(Job { event, done: None });
    }

    /// Who signs this fleet's orders and bundles.
    #[must_use]
    pub fn signer(&self) -> PublicKey {
        self.0.signer.public()
    }

    /// Lets time pass at the office, as the desk does every ten seconds.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub async fn tick(&self) -> Result<(), Refused> {
        self.happens(Event::Tick).await.map(drop)
    }

    /// Writes a snapshot and ends the desk: what comes after that is refused.
    pub fn stop(&self) {
        self.0.stop.notify_one();
    }

    /// Makes a door, or gives it another token: the old one ends. The token is shown here alone.
    ///
    /// # Errors
    /// When the name is none, or there are too many doors.
    pub async fn door(&self, name: &str) -> Result<String, Refused> {
        let name = named(name)?;
        if name.is_empty() {
            return Err(Refused::Bad("a door needs a name"));
        }
        let secret: [u8; 16] = wire::random();
        let token = self.0.marks.doors.tag(&secret);
        self.happens(Event::Door { name, token }).await?;
        Ok(data_encoding::BASE64URL_NOPAD.encode(&secret))
    }

    /// The door that has this token.
    #[must_use]
    pub fn door_of(&self, token: &str) -> Option<DoorId> {
        let secret: [u8; 16] = decoded(token)?;
        self.state().office.door_of(self.0.marks.doors.tag(&secret))
    }

    /// The door of this name.
    #[must_use]
    pub fn door_named(&self, name: &str) -> Option<DoorId> {
        self.doors().into_iter().find(|door| door.name == name).map(|door| door.id)
    }

    /// All doors.
    #[must_use]
    pub fn doors(&self) -> Vec<DoorView> {
        self.state().office.door_views()
    }

    /// How many people there are.
    #[must_use]
    pub fn people(&self) -> PeopleView {
        self.state().office.people_view()
    }

    /// The number of whoever is called so at a door.
    fn person(&self, office: &Office, door: DoorId, id: &[u8]) -> Person {
        // No name has a byte 0 in it.
        let channel = office.door_name(door).unwrap_or_default();
        Person(self.0.marks.people.mark(&[channel.as_bytes(), &[0], id].concat()))
    }
}

/// What somebody or something is called.
fn named(name: &str) -> Result<String, Refused> {
    if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Refused::Bad("a name has at most 200 bytes, on one line"));
    }
    Ok(name.to_owned())
}

fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}
