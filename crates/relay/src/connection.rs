//! The life of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use wire::classify::{Shape, classify};
use wire::derive::{KeyId, Secret};
use wire::mtproto::Datacentre;
use wire::mtproto::faketls::{self, ClientTime};
use wire::mtproto::obfuscated::{self, Opened, Tag};
use wire::tally::{Cell, Protocol};
use wire::tls::hello::{ClientHello, RANDOM};
use wire::tls::record::Unframer;

use crate::arrival::{Arrival, NoMore};
use crate::clock::unix_seconds;
use crate::echo::{self, Asked};
use crate::keyring::Entry;
use crate::mask::likeness::{Manner, Pace};
use crate::search::{Found, Hints, Lock, Look};
use crate::tally::Counter;
use crate::{Notice, Shared, decoy, inside, knock, pump, waiting};

/// The longest hello on which keys are tried, in bytes: twice what any app sends. A trial takes as long
/// as its hello.
const LONGEST_HELLO: usize = 4096;
/// How far an app's clock may be off, in seconds, either way.
pub(crate) const SKEW: i64 = 600;
/// How late a timer is on average, which goes by whole milliseconds.
const TIMER: Duration = Duration::from_micros(700);
/// From where on a difference is worth a word to the volunteer, in seconds.
const NOTABLE_SKEW: i64 = 60;

/// Serves one connection from its first byte on: finds out whose it is and starts its pump, or
/// leaves it to the decoy. Nothing is sent before a key is shown.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    room: OwnedSemaphorePermit,
) {
    // What was dialled: one listener may have all ports.
    let Ok(dialled) = stream.local_addr() else { return };
    let mut arrival = Arrival::new(&shared, stream, peer, dialled);
    let guest = match identify(&mut arrival).await {
        Caller::Guest(guest) => guest,
        Caller::Asker(asked) => return Box::pin(echo::tcp::answer(arrival, *asked)).await,
        Caller::Stranger => {
            if let Some(house) = shared.house.as_ref().filter(|house| house.is_for(&arrival)) {
                return Box::pin(house.receive(&shared, arrival, room)).await;
            }
            shared.counters.count(Counter::Strangers);
            return decoy::entertain(arrival).await;
        }
        Caller::Lost => return,
    };
    let key = guest.key;
    let meter = shared.meter(guest.cell(dialled.port()), arrival.source);
    drop(arrival.place);
    // A task of its own, on the list from the start. What comes before the pump is boxed, because a
    // future keeps the size of all that it ever did and of all that it was given.
    if guest.opened.dc.datacentre() == Datacentre::Hub {
        let opening = Box::pin(inside::open(Arc::clone(&shared), arrival.stream, guest, meter));
        return shared.start(key, async move {
            if let Some(mut way) = opening.await {
                Box::pin(way.run()).await;
            }
            drop(room);
        });
    }
    let knocking = Box::pin(knock::knock(Arc::clone(&shared), arrival.stream, guest, meter));
    shared.start(key, async move {
        let telegram = knocking.await;
        if let Some(mut telegram) = telegram {
            telegram.run().await;
        }
        drop(room);
    });
}

/// Who is at the door.
enum Caller {
    /// Somebody with a key.
    Guest(Box<Guest>),
    /// Somebody with a bundle, who wants to know whether this port of ours is reached.
    Asker(Box<Asked>),
    /// Anybody else. Nothing was sent to them.
    Stranger,
    /// Somebody who went away; or somebody with a key who was answered, and whose bytes were tampered
    /// with: for them, a decoy would come too late.
    Lost,
}

/// Somebody who has shown a key and said what they want.
pub(crate) struct Guest {
    pub key: KeyId,
    pub opened: Opened,
    /// Fake TLS, if they wear it.
    pub dress: Option<Unframer>,
    /// What they sent after their first flight, without records and still encrypted.
    pub early: Vec<u8>,
}

impl Guest {
    /// Where their traffic is counted.
    fn cell(&self, port: u16) -> Cell {
        let protocol = match (&self.dress, self.opened.tag) {
            (Some(_), _) => Protocol::TelegramFakeTls,
            (None, Tag::Padded) => Protocol::TelegramPadded,
            (None, Tag::Abridged | Tag::Intermediate) => Protocol::TelegramPlain,
        };
        let datacentre = Some(self.opened.dc.datacentre());
        Cell { key: Some(self.key), port, protocol, datacentre }
    }
}

/// Reads the first flight and judges it.
async fn identify(arrival: &mut Arrival<'_>) -> Caller {
    loop {
        if let Some(asked) = echo::asked_on(arrival) {
            return Caller::Asker(Box::new(asked));
        }
        let shape = match classify(&arrival.first) {
            Shape::Nobody | Shape::Obfuscated(_) if echo::may_become(arrival) => Shape::NeedMore,
            shape => shape,
        };
        match shape {
            Shape::NeedMore => match arrival.more().await {
                Ok(()) => {}
                Err(NoMore::Enough) => return Caller::Stranger,
                Err(NoMore::Gone) => return Caller::Lost,
            },
            Shape::Nobody => return Caller::Stranger,
            Shape::Obfuscated(flight) => {
                let flight = *flight;
                return obfuscated(arrival, &flight).await.map_or(Caller::Stranger, Caller::guest);
            }
            Shape::Hello(record) if record.len() > LONGEST_HELLO => return Caller::Stranger,
            Shape::Hello(record) => {
                let record = record.to_vec();
                let Some(found) = whose_hello(arrival, &record).await else {
                    return Caller::Stranger;
                };
                let Entry { id, secret } = found.entry;
                arrival.was_let_in(found);
                let guest = fake_tls(arrival, record.len(), id, secret).await;
                return guest.map_or(Caller::Lost, Caller::guest);
            }
        }
    }
}

impl Caller {
    fn guest(guest: Guest) -> Self {
        Self::Guest(Box::new(guest))
    }
}

async fn obfuscated(arrival: &mut Arrival<'_>, flight: &[u8; obfuscated::LENGTH]) -> Option<Guest> {
    let lock = Lock::Flight(obfuscated::Trial::new(flight));
    let found = whose(arrival, None, lock).await?;
    let Entry { id: key, secret } = found.entry;
    let opened = obfuscated::open(flight, Some(&secret))?;
    if !is_new_flight(arrival.shared, flight) {
        // A recording is noise, and waits as long as noise does.
        let mut noise = *flight;
        noise[8] ^= 1;
        whose(arrival, None, Lock::Flight(obfuscated::Trial::new(&noise))).await;
        return None;
    }
    arrival.was_let_in(found);
    let early = arrival.first[obfuscated::LENGTH..].to_vec();
    Some(Guest { key, opened, dress: None, early })
}

async fn whose_hello(arrival: &mut Arrival<'_>, record: &[u8]) -> Option<Found> {
    let hello = ClientHello::read(record)?;
    let lock = Lock::Hello(faketls::Trial::new(&hello)?);
    let found = whose(arrival, hello.server_name, lock).await?;
    if is_new_hello(arrival.shared, &hello, &found.entry.secret) {
        return Some(found);
    }
    let mut noise = record.to_vec();
    noise[RANDOM.start] ^= 1;
    let noise = ClientHello::read(&noise)?;
    whose(arrival, noise.server_name, Lock::Hello(faketls::Trial::new(&noise)?)).await;
    None
}

/// Whose key opens this?
async fn whose(arrival: &mut Arrival<'_>, server_name: Option<&str>, lock: Lock) -> Option<Found> {
    let Arrival { shared, source, source_port, port, .. } = *arrival;
    let hints = Hints { source, source_port, port, server_name };
    match shared.finder.look(&hints, lock) {
        Look::Found(key) => Some(key),
        Look::Nobody => None,
        Look::Waits(wait) if shared.house.as_ref().is_some_and(|house| house.is_for(arrival)) => {
            waiting::look_on(arrival, wait);
            None
        }
        Look::Waits(wait) => waiting::wait(arrival, wait).await,
    }
}

/// Whether these first bytes, of somebody who is a stranger by now, are a key's that is found at once,
/// and new.
pub(crate) fn opens(shared: &Shared, hints: &Hints<'_>, first: &[u8]) -> bool {
    let found = match classify(first) {
        Shape::Obfuscated(flight) => {
            shared.finder.at_once(hints, &mut Lock::Flight(obfuscated::Trial::new(flight)))
        }
        Shape::Hello(record) if record.len() <= LONGEST_HELLO => {
            let Some(hello) = ClientHello::read(record) else { return false };
            let Some(trial) = faketls::Trial::new(&hello) else { return false };
            let hints = Hints { server_name: hello.server_name, ..*hints };
            shared.finder.at_once(&hints, &mut Lock::Hello(trial))
        }
        Shape::Hello(_) | Shape::NeedMore | Shape::Nobody => None,
    };
    let found = found.filter(|found| is_new(shared, first, &found.entry.secret));
    if let Some(found) = found {
        shared.finder.welcome(hints.source, hints.source_port, found);
    }
    found.is_some()
}

/// Whether these first bytes, which this secret opens, were not seen before.
pub(crate) fn is_new(shared: &Shared, first: &[u8], secret: &Secret) -> bool {
    match classify(first) {
        Shape::Obfuscated(flight) => is_new_flight(shared, flight),
        Shape::Hello(record) => {
            ClientHello::read(record).is_some_and(|hello| is_new_hello(shared, &hello, secret))
        }
        Shape::NeedMore | Shape::Nobody => false,
    }
}

/// Not all keys were tried on these first bytes: whoever says them again is nobody.
pub(crate) fn leave_unjudged(shared: &Shared, first: &[u8]) {
    match classify(first) {
        Shape::Obfuscated(flight) => shared.replays.leave_unjudged(&flight[8..24]),
        Shape::Hello(record) => {
            if let Some(hello) = ClientHello::read(record) {
                shared.replays.leave_unjudged(&hello.random[..16]);
            }
        }
        Shape::NeedMore | Shape::Nobody => {}
    }
}

/// Whether a flight that a key opens was not seen before.
fn is_new_flight(shared: &Shared, flight: &[u8; obfuscated::LENGTH]) -> bool {
    note(shared, shared.replays.is_new_flight(&flight[8..24], &shared.notices))
}

/// The same for a hello, which has a time in it too.
fn is_new_hello(shared: &Shared, hello: &ClientHello<'_>, secret: &Secret) -> bool {
    faketls::open(hello, secret).is_some_and(|time| is_fresh(shared, time))
        && note(shared, shared.replays.is_new_hello(&hello.random[..16], &shared.notices))
}

/// Counts a flight that a key opens if it is not new.
fn note(shared: &Shared, is_new: bool) -> bool {
    if !is_new {
        shared.counters.count(Counter::Replays);
    }
    is_new
}

/// Whether an app's clock is near enough to ours that its hello is not an old one.
fn is_fresh(shared: &Shared, time: ClientTime) -> bool {
    let seconds = time.ahead_of(unix_seconds());
    let refused = seconds.abs() > SKEW;
    if seconds.abs() > NOTABLE_SKEW {
        shared.notices.say(Notice::ClockSkew { seconds, refused });
    }
    !refused
}

/// Answers an authenticated hello, of so many bytes, and reads what its sender wants from the records
/// after it.
async fn fake_tls(
    arrival: &mut Arrival<'_>,
    length: usize,
    key: KeyId,
    secret: Secret,
) -> Option<Guest> {
    let Arrival { shared, stream, first, accepted, heard, .. } = arrival;
    let (record, rest) = first.split_at(length);
    let came = (*accepted, *heard);
    answer(shared, stream, &ClientHello::read(record)?, &secret, came).await?;

    let until = Instant::now() + shared.limits.first_flight;
    let mut wire = rest.to_vec();
    let mut unframer = Unframer::default();
    let mut payload = Vec::new();
    loop {
        let length = unframer.strip(&mut wire).ok()?;
        payload.extend_from_slice(&wire[..length]);
        if let Some((flight, early)) = payload.split_first_chunk() {
            let opened = obfuscated::open(flight, Some(&secret))?;
            return Some(Guest { key, opened, dress: Some(unframer), early: early.to_vec() });
        }
        wire.clear();
        timeout_at(until, pump::read_some(stream, &mut wire)).await.ok()?.ok()?;
    }
}

/// Says to a hello what the mask host would say, when it would say it: whoever sent it was accepted at
/// the first of these times, and its last byte came at the second.
async fn answer(
    shared: &Shared,
    stream: &TcpStream,
    hello: &ClientHello<'_>,
    secret: &Secret,
    (accepted, heard): (Instant, Instant),
) -> Option<()> {
    let likeness = Arc::clone(&shared.course.load().likeness);
    let Manner { look, pauses } = likeness.manner(hello);
    let flight = faketls::server_flight(hello, secret, &look);
    if let Some(Pace { connect, answer }) = likeness.pace() {
        // A forwarder connects as soon as somebody is there, and passes the hello on after that.
        let due = (accepted + connect).max(heard) + answer;
        if due > Instant::now() + TIMER {
            sleep_until(due - TIMER).await;
        }
    }
    let until = Instant::now() + shared.limits.first_flight;
    let mut said = 0;
    for (at, pause) in pauses {
        let at = at.clamp(said, flight.len());
        timeout_at(until, pump::write_all(stream, &flight[said..at])).await.ok()?.ok()?;
        sleep(pause).await;
        said = at;
    }
    timeout_at(until, pump::write_all(stream, &flight[said..])).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Source;
    use crate::{Keys, Relay, Settings};
    use std::net::{IpAddr, Ipv4Addr};
    use tokio::io::AsyncWriteExt;
    use wire::derive::{Epoch, FleetKey, Form, RelayId};
    use wire::mtproto::DcId;
    use wire::mtproto::obfuscated::Dial;

    async fn until(what: impl Fn() -> bool) {
        while !what() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn who_brings_a_key_is_trusted_further_and_a_recording_of_it_is_noise_like_any_other() {
        let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([2; 16]));
        let (relay, _notices) = Relay::new(&key, Epoch(1), Settings::default());
        let ids: Vec<KeyId> = (0..1_000u64).map(|id| KeyId(id.to_be_bytes())).collect();
        relay.set_keys(Keys { telegram: &ids, ..Keys::default() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("an address");
        let _door = relay.serve(listener).expect("a listener");

        let shared = &relay.0;
        let budget = || shared.finder.budget(Source::from(IpAddr::from(Ipv4Addr::LOCALHOST)));
        let before = budget();
        let secret = key.secret(Form::Telegram, ids[7], Epoch(1));
        let flight = Dial::new(Tag::Padded, DcId(2), Some(&secret)).flight;
        let mut person = TcpStream::connect(address).await.expect("it listens");
        person.write_all(&flight).await.expect("it reads");
        until(|| budget() > before).await;

        let trusted = budget();
        let mut recording = TcpStream::connect(address).await.expect("it listens");
        recording.write_all(&flight).await.expect("it reads");
        until(|| shared.counters.all().contains(&(Counter::Replays, 1))).await;
        // All keys were tried on it, as on noise.
        until(|| shared.counters.all().contains(&(Counter::NotFound, 1))).await;
        assert!(budget() < trusted);
    }

    #[tokio::test]
    async fn a_flight_that_no_key_was_found_for_in_time_is_a_recording_the_next_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = vec!["relay.example.org".parse().expect("a name")];
        let identity = front::Identity::SelfSigned(names.clone());
        let settings = front::Settings::new(folder.path().to_owned(), identity);
        let (front, _notices) = front::Front::open(settings).expect("a front");
        let house = crate::House { front, names, web_host: None, desk: Arc::new(crate::NoDesk) };
        for house in [None, Some(house)] {
            let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([2; 16]));
            let settings = Settings { house, ..Settings::default() };
            let (relay, _notices) = Relay::new(&key, Epoch(1), settings);
            let ids: Vec<KeyId> = (0..1_000u64).map(|id| KeyId(id.to_be_bytes())).collect();
            let (ours, others) = ids.split_at(1);
            relay.set_keys(Keys { telegram: others, ..Keys::default() });
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.set_nonblocking(true).expect("set");
            let address = listener.local_addr().expect("an address");
            let _door = relay.serve(listener).expect("a listener");
            let secret = key.secret(Form::Telegram, ours[0], Epoch(1));
            let shared = &relay.0;
            let say = async |flight: &[u8]| {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                stream.write_all(flight).await.expect("it reads");
                stream
            };
            let flight = || Dial::new(Tag::Padded, DcId(2), Some(&secret)).flight;
            let recorded = flight();
            let _person = say(&recorded).await;
            until(|| shared.counters.all().contains(&(Counter::NotFound, 1))).await;
            // Of so few keys all are tried at once, as where a hint leads to this one.
            relay.set_keys(Keys { telegram: ours, ..Keys::default() });
            let _scanner = say(&recorded).await;
            until(|| shared.counters.all().contains(&(Counter::Replays, 1))).await;
            let _person = say(&flight()).await;
            until(|| !shared.tally.take().is_empty()).await;
        }
    }
}
