//! Carries people's traffic: who are you, may you, dial, pump.
//!
//! A connection's way is one function, [`connection`]'s `serve`:
//!
//! ```text
//! port -> first bytes (bounded) -> classify -> whose key? -> knock -> pump -> tally
//!                      |              \-> nobody's: the decoy, whatever was sent, on every port alike
//!                      \-> a bundle's question: its answer, and a climb
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | `connection` | the story above |
//! | `arrival` | a connection until it is known whose it is: its first bytes, bounded in size and time |
//! | `search` | whose key opens this? among 100,000 |
//! | `keyring` | the keys, and where hints lead |
//! | `sources` | what is remembered of an address, in memory alone: keys lately seen, trials used up |
//! | `queue`, `waiting` | the trial of all keys, where nothing hints at one: whose turn, and what one meets meanwhile |
//! | `waits` | how long that takes |
//! | `measure` | the same without a connection, for benchmarks |
//! | `replay` | first flights that were seen before |
//! | `patience` | how long the rest of a first flight is waited for |
//! | `course` | what can change while it runs |
//! | `crowd` | how many there are at the same time, in all and from one source |
//! | `decoy`, `mask` | what everybody else meets, and what fake TLS has to look like |
//! | `knock`, `dial`, `race` | the datacentre, by whichever of its addresses answers |
//! | `datagrams` | whose is it, where there are no connections |
//! | `echo` | questions of bundles' holders, who prove that a port of ours is reached |
//! | `house` | a website of the relay's own, and what people with a key find behind it |
//! | `web` | SOCKS5 and HTTP proxies, on a port of their own |
//! | `egress` | where browsers and other apps are taken, and where nobody is |
//! | `inside` | the door to the relay's hub, for people who reach nothing else |
//! | `fleet` | what that hub says, and what is counted for it |
//! | `pump` | bytes from one side to the other |
//! | `tally` | what is counted: connections and bytes, people, and what happens |
//! | `live` | who is connected now, so that a revoked key ends at once and a stop can wait |
//! | `networks` | whose an address is: the number of an autonomous system |
//! | `notices` | what the volunteer should know, at most once a minute |
//! | `clock` | the time of day |
//! | `generations` | a map that forgets |

#![forbid(unsafe_code)]

mod arrival;
mod clock;
mod connection;
mod course;
mod crowd;
mod datagrams;
mod decoy;
mod dial;
mod echo;
mod egress;
mod fleet;
mod generations;
mod house;
mod inside;
mod keyring;
mod knock;
mod live;
mod mask;
mod measure;
mod names;
mod networks;
mod notices;
mod patience;
mod pump;
mod queue;
mod race;
mod replay;
mod search;
mod sources;
mod tally;
mod waiting;
mod waits;
mod web;

use std::net::{IpAddr, SocketAddr, TcpListener as BoundListener};
use std::path::PathBuf;
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use wire::derive::{Epoch, KeyId, RelayKey};
use wire::echo::BundleId;
use wire::mtproto::Datacentre;
use wire::receipt::Witness;
use wire::tally::{Cell, Day};
use wire::webproxy::WebAddress;

use course::Course;
pub use course::CourseSettings;
use crowd::Crowd;
pub use datagrams::{Datagrams, Flow};
use dial::Dialer;
use echo::Echoes;
pub use egress::{BadEgressPorts, Egress, EgressPorts};
use egress::{Gate, NoWay};
pub use fleet::{Census, Fleet};
use house::Bridge;
pub use house::{Answering, Desk, House, NoDesk, refused};
use keyring::Keyring;
pub use keyring::{ALWAYS_TRIED, Keys};
use live::Live;
pub use mask::{BadMask, Mask};
pub use names::{Names, NoAddress};
pub use networks::{BadNetworks, Networks};
use notices::Notices;
pub use notices::{Notice, NoticeReceiver};
use patience::Patiences;
pub use replay::PREFIX as SEEN;
use replay::Replays;
use search::Finder;
use sources::Source;
pub use tally::{Counter, Gauge, Tallied, Totals};
use tally::{Counters, Meter, Tally};
pub use waits::{Waited, Waits};

/// What a volunteer can set.
#[derive(Clone, Default)]
pub struct Settings {
    /// What can be changed while it runs too.
    pub course: CourseSettings,
    /// A website of its own, if it has one.
    pub house: Option<House>,
    /// Where to write down which first flights were seen, in files whose names begin with [`SEEN`];
    /// without it, replays are recognised until the relay ends.
    pub folder: Option<PathBuf>,
    /// How much, how many, how long.
    pub limits: Limits,
}

/// Bounds on what anyone can take up.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time. The next ones wait in the kernel until one ends.
    pub connections: usize,
    /// Connections that have not shown a key yet at the same time; for the next one, the one that has
    /// taken longest is treated as if it were too slow. Without a mask, as many more are drained.
    pub arrivals: usize,
    /// The same, from one address (IPv4) or one /64 (IPv6), behind which thousands of people may be. From
    /// one /48 (IPv6) as many, or a quarter of all if that is more; this goes for strangers too.
    pub arrivals_per_source: usize,
    /// Connections that are carried to the mask host at the same time; more are closed at once. And as
    /// many without a key at the port that speaks in clear; for the next one, the one that has been
    /// there longest is closed.
    pub strangers: usize,
    /// The same, from one source.
    pub strangers_per_source: usize,
    /// How long a connection may take to show its key, and again to say what it wants.
    pub first_flight: Duration,
    /// Without a mask: when a connection without a key is closed, counted from its start.
    pub drain: Duration,
    /// With a mask: how long a connection without a key may last, and how many bytes it may carry
    /// each way.
    pub mask_time: Duration,
    /// See [`Limits::mask_time`].
    pub mask_bytes: u64,
    /// Questions of one bundle within ten minutes that are answered. A loud search asks once on each
    /// port, by TCP and by UDP.
    pub questions_per_bundle: usize,
    /// Questions of all bundles within ten minutes.
    pub questions: usize,
    /// Climbs of one bundle at the same time.
    pub climbs_per_bundle: usize,
    /// Climbs of all bundles at the same time. One takes about 16 KiB.
    pub climbs: usize,
    /// How long a climb goes on without a word. One asks whether its way still lives after a minute.
    pub climb_idle: Duration,
    /// How long connections may go on after the relay was told to stop.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 5_000,
            arrivals: 1_250,
            arrivals_per_source: 1_024,
            strangers: 1_000,
            strangers_per_source: 64,
            first_flight: Duration::from_secs(10),
            drain: Duration::from_secs(60),
            mask_time: Duration::from_secs(600),
            mask_bytes: 64 << 20,
            questions_per_bundle: 150_000,
            questions: 1_000_000,
            climbs_per_bundle: 64,
            climbs: 512,
            climb_idle: Duration::from_secs(120),
            farewell: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Bounds for a process that may have this many files open on a machine with this much memory,
    /// in bytes. A connection takes two files, and two more while much flows through it, which it
    /// does for few at a time; and about 32 KiB, most of it the kernel's.
    #[must_use]
    pub fn for_machine(files: u64, memory: u64) -> Self {
        let connections = (files.saturating_sub(100) / 3).min(memory / (32 << 10)).max(50);
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        let strangers = (connections / 5).min(1_000);
        // With those that are drained, never more than half: the rest is for people with a key.
        Self { connections, arrivals: connections / 4, strangers, ..Self::default() }
    }
}

/// A relay at work.
#[derive(Clone)]
pub struct Relay(Arc<Shared>);

/// What all connections share.
pub(crate) struct Shared {
    key: RelayKey,
    beginning: Once,
    finder: Arc<Finder>,
    limits: Limits,
    house: Option<House>,
    bridge: Bridge,
    course: ArcSwap<Course>,
    dialer: Dialer,
    names: Arc<Names>,
    logins: web::Logins,
    askers: house::Askers,
    replays: Replays,
    echoes: Echoes,
    arrivals: Crowd,
    /// Those whom the mask host entertains.
    strangers: Crowd,
    /// Those who are drained, where there is no mask.
    drained: Crowd,
    /// Those without a key, so far, at the port that speaks in clear.
    callers: Crowd,
    live: Live,
    room: Arc<Semaphore>,
    notices: Notices,
    tally: Tally,
    /// What a hub wants to know.
    counting: fleet::Counting,
    counters: Arc<Counters>,
    patiences: Patiences,
}

impl Shared {
    /// Counts a connection of somebody with a key; what flows through it is to be counted by what comes
    /// back.
    fn meter(&self, cell: Cell, source: Source) -> Arc<Meter> {
        let course = self.course.load();
        if let Some(fleet) = &course.fleet {
            let network = course.network_number(IpAddr::from(source.octets()));
            self.counting.count(fleet, &cell, network);
        }
        self.tally.open(cell, source)
    }

    fn has_mask(&self) -> bool {
        self.course.load().mask.is_some()
    }

    /// Whether the mask host hears what somebody says before it is known whose it is. Where there is a
    /// website in this process, it is that one's unless the mask host is asked for by name.
    fn asks_the_mask_along(&self) -> bool {
        self.house.is_none() && self.has_mask()
    }

    fn mask(&self) -> Option<Mask> {
        self.course.load().mask.clone()
    }

    fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.course.load().gate)
    }

    /// Where to dial for a datacentre.
    fn endpoints(&self, datacentre: Datacentre) -> Vec<SocketAddr> {
        self.course.load().endpoints(datacentre)
    }

    /// Counts that somebody was not taken where they wanted, and tells the volunteer what they can
    /// do something about.
    fn note_no_way(&self, reason: &NoWay) {
        match reason {
            NoWay::NoNames => self.notices.say(Notice::NoNames),
            NoWay::Forbidden(_) => self.counters.count(Counter::EgressRefused),
            _ => {}
        }
    }

    /// Starts what a key's connection goes on with, as a task of its own, unless the key was revoked
    /// since it was shown.
    fn start(&self, key: KeyId, connection: impl Future<Output = ()> + Send + 'static) {
        self.live.start(key, connection);
        let keyring = self.finder.keyring.load();
        if !keyring.has(key) {
            self.live.end_all_but(&keyring);
        }
    }
}

impl Shared {
    fn at_the_door(&self) -> u64 {
        (self.arrivals.count() + self.callers.count()) as u64
    }

    /// Starts what goes on beside the connections, with the first listener.
    fn begin(self: &Arc<Self>) {
        self.beginning.call_once(|| {
            tokio::spawn(flush(Arc::downgrade(self)));
            self.study();
        });
    }

    /// Gets to know the mask host, for as long as it is this one.
    fn study(self: &Arc<Self>) {
        let course = self.course.load_full();
        if course.hello_name.is_some() {
            tokio::spawn(mask::study::go_on(
                Arc::downgrade(self),
                Arc::downgrade(&course.likeness),
            ));
        }
    }

    /// Flushes what was written down, and looks at the clock, on a thread that may wait for the disk.
    async fn flush(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let flushed = tokio::task::spawn_blocking(move || {
            shared.echoes.refresh();
            shared.replays.flush()
        });
        let flushed = flushed.await;
        if let Ok(Err(error)) = flushed {
            self.notices.say(Notice::ForgetsReplays(error.to_string()));
        }
    }
}

impl Relay {
    /// A relay without keys; [`Relay::set_keys`] gives it some. What it has to tell comes out of the
    /// receiver.
    #[must_use]
    pub fn new(key: &RelayKey, epoch: Epoch, settings: Settings) -> (Self, NoticeReceiver) {
        let counters = Arc::<Counters>::default();
        let (notices, receiver) = Notices::new(Arc::clone(&counters));
        let names = Arc::new(Names::default());
        let course = Course::new(settings.course, (key, epoch), &names, settings.house.as_ref());
        let limits = settings.limits;
        let web_host = settings.house.as_ref().and_then(|house| house.web_host.clone());
        let web_address = web_host.map(|host| WebAddress { host, path: None });
        let keyring = Keyring::new(key, epoch).at(web_address);
        let shared = Shared {
            key: key.clone(),
            finder: Arc::new(Finder::new(keyring, Arc::clone(&counters))),
            bridge: Bridge::new(limits.connections),
            beginning: Once::new(),
            house: settings.house,
            course: ArcSwap::from_pointee(course),
            dialer: Dialer::default(),
            names,
            logins: web::Logins::default(),
            askers: house::Askers::default(),
            echoes: Echoes::new(&limits),
            replays: Replays::open(key, settings.folder.as_deref(), &notices),
            arrivals: Crowd::new(limits.arrivals, limits.arrivals_per_source),
            callers: Crowd::new(limits.strangers, limits.strangers_per_source),
            strangers: Crowd::new(limits.strangers, limits.strangers_per_source),
            drained: Crowd::new(limits.arrivals, limits.arrivals_per_source),
            live: Live::default(),
            room: Arc::new(Semaphore::new(limits.connections)),
            patiences: Patiences::default(),
            limits,
            notices,
            tally: Tally::default(),
            counting: fleet::Counting::default(),
            counters,
        };
        (Self(Arc::new(shared)), receiver)
    }

    /// From now on these keys are valid and no others; connections of other keys end at once.
    ///
    /// Takes about a second for 100,000 new keys and some milliseconds for one more; whoever comes meanwhile
    /// does not notice.
    pub fn set_keys(&self, keys: Keys<'_>) {
        let shared = &self.0;
        let keyring = Arc::new(shared.finder.keyring.load().with(keys));
        shared.finder.keyring.store(Arc::clone(&keyring));
        shared.live.end_all_but(&keyring);
    }

    /// From now on, questions of the echo are answered for these bundles and no others; what goes on
    /// for others ends at its next step.
    ///
    /// 100,000 of them take a second or two; whoever comes meanwhile does not notice.
    pub fn set_bundles(&self, bundles: &[BundleId]) {
        self.0.echoes.set(&self.0.key, bundles);
    }

    /// From now on, receipts are signed so. Without it, there are none.
    pub fn set_witness(&self, witness: Witness) {
        self.0.echoes.witness.store(Some(Arc::new(witness)));
    }

    /// Who waits for the trial of all keys, because nothing hints at theirs, and how long.
    #[must_use]
    pub fn waits(&self) -> Waits {
        self.0.finder.waits()
    }

    /// From now on, these settings hold; connections that are open go on.
    ///
    /// # Panics
    /// Outside of a runtime, once there is a listener.
    pub fn change(&self, settings: CourseSettings) {
        let epoch = self.0.finder.keyring.load().epoch();
        let house = self.0.house.as_ref();
        let mut course = Course::new(settings, (&self.0.key, epoch), &self.0.names, house);
        let is_known = course.learn_from(&self.0.course.load());
        self.0.course.store(Arc::new(course));
        if !is_known && self.0.beginning.is_completed() {
            self.0.study();
        }
    }

    /// Serves whoever comes to a listener, on whichever port of the machine they came.
    ///
    /// # Errors
    /// When the listener cannot be used.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn serve(&self, listener: BoundListener) -> std::io::Result<Door> {
        let listener = TcpListener::from_std(listener)?;
        pump::tune(&listener);
        self.0.begin();
        let accepting = accept(Arc::clone(&self.0), listener, connection::serve);
        Ok(Door(tokio::spawn(accepting).abort_handle()))
    }

    /// Serves SOCKS5 and HTTP to whoever comes to a listener, in clear.
    ///
    /// # Errors
    /// When the listener cannot be used.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn serve_web(&self, listener: BoundListener) -> std::io::Result<Door> {
        let listener = TcpListener::from_std(listener)?;
        pump::tune(&listener);
        let accepting = accept(Arc::clone(&self.0), listener, web::serve);
        Ok(Door(tokio::spawn(accepting).abort_handle()))
    }

    /// Takes what was counted since the last time. To be called every few seconds: the day of what
    /// is counted is the day on which it is taken.
    ///
    /// People are told apart by their address (IPv4) or /64 (IPv6), so all behind one count as one,
    /// and one who moves counts again. Their number is an estimate, off by 1.6 % as a rule; it starts
    /// anew each day and at each start, because what it rests on is in memory alone.
    #[must_use]
    pub fn take_tally(&self, today: Day) -> Tallied {
        let Shared { tally, counters, .. } = &*self.0;
        Tallied { cells: tally.take(), people: tally.take_people(today), counters: counters.take() }
    }

    /// Takes who came since the last time, as the hub of a relay that has one wants to know it.
    #[must_use]
    pub fn take_census(&self) -> Census {
        self.0.counting.take()
    }

    /// Takes back what the hub did not hear: it comes out again the next time.
    pub fn put_back_census(&self, census: &Census) {
        self.0.counting.put_back(census);
    }

    /// How many of Telegram's five main datacentres accept a connection now, of how many.
    pub async fn reach_telegram(&self) -> (u8, u8) {
        let mut attempts = tokio::task::JoinSet::new();
        for id in 1..=5 {
            let endpoints = self.0.endpoints(Datacentre::Main(id));
            attempts.spawn(async move { race::run(endpoints).await.winner.is_some() });
        }
        let (mut reached, mut all) = (0, 0);
        while let Some(attempt) = attempts.join_next().await {
            reached += u8::from(attempt.is_ok_and(|is_reached| is_reached));
            all += 1;
        }
        (reached, all)
    }

    /// Takes back what could not be written: it comes out again the next time.
    pub fn put_back(&self, tallied: &Tallied) {
        self.0.tally.put_back(&tallied.cells);
        self.0.counters.put_back(&tallied.counters);
    }

    /// Everything since the start, and what there is now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let shared = &self.0;
        let gauge = |name, help, value| Gauge { name, help, value };
        let strangers = (shared.strangers.count() + shared.drained.count()) as u64;
        let mut gauges = vec![
            gauge("people_today", "Addresses people came from today.", shared.tally.people()),
            gauge("at_the_door", "Connections that may still show a key.", shared.at_the_door()),
            gauge("strangers_now", "Strangers at the decoy.", strangers),
        ];
        if shared.house.as_ref().is_some_and(|house| house.web_host.is_some()) {
            let sessions = shared.bridge.count() as u64;
            gauges.push(gauge("web_proxy_sessions", "Apps at Telegram's WEB proxy.", sessions));
        }
        gauges.extend(self.waits().gauges());
        Totals { counters: shared.counters.all(), gauges, ..shared.tally.totals() }
    }

    /// Lets the connections go on for [`Limits::farewell`] and ends what is left; tells how many those
    /// were. Close the doors first.
    pub async fn farewell(&self) -> usize {
        let cut = self.0.live.drain(self.0.limits.farewell).await;
        self.0.flush().await;
        cut
    }
}

/// Flushes what was written down, for as long as the relay is there.
async fn flush(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(replay::FLUSH).await;
        let Some(shared) = shared.upgrade() else { return };
        shared.flush().await;
    }
}

/// A listener at work. Dropped, it accepts nobody any more; who is connected goes on.
#[derive(Debug)]
pub struct Door(AbortHandle);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long accepting pauses when the system has no more descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Gives every connection that comes to `serve`, as a task of its own.
async fn accept<F>(
    shared: Arc<Shared>,
    listener: TcpListener,
    serve: impl Fn(Arc<Shared>, TcpStream, SocketAddr, OwnedSemaphorePermit) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Ok(room) = Arc::clone(&shared.room).acquire_owned().await else { return };
                tokio::spawn(serve(Arc::clone(&shared), stream, peer, room));
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                shared.notices.say(Notice::CannotAccept(error.to_string()));
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Whether accepting failed because that one peer went away, and not because of us.
fn is_the_peers(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionReset)
}
