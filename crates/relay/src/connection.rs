//! The life of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use wire::classify::{Shape, classify};
use wire::derive::{KeyId, Secret};
use wire::mtproto::faketls::{self, ClientTime};
use wire::mtproto::obfuscated::{self, Opened, Tag};
use wire::tally::{Cell, Protocol};
use wire::tls::hello::ClientHello;
use wire::tls::record::Unframer;

use crate::arrival::Arrival;
use crate::keyring::Entry;
use crate::replay::Mark;
use crate::search::{Hints, Lock, Look};
use crate::tally::Counter;
use crate::{Notice, Shared, decoy, knock, patience, pump};

/// The longest hello on which keys are tried, in bytes: twice what any app sends. A trial takes as long
/// as its hello.
const LONGEST_HELLO: usize = 4096;
/// How far an app's clock may be off, in seconds, either way.
const SKEW: i64 = 600;
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
    let mut arrival = Arrival::new(&shared, stream, peer, dialled.port());
    let guest = match identify(&mut arrival).await {
        Caller::Guest(guest) => guest,
        Caller::Stranger => {
            shared.counters.count(Counter::Strangers);
            return decoy::entertain(arrival).await;
        }
        Caller::Lost => return,
    };
    let key = guest.key;
    let meter = shared.tally.open(guest.cell(dialled.port()), arrival.source);
    drop(arrival.place);
    // A task of its own, on the list from the start. What comes before the pump is boxed, because a
    // future keeps the size of all that it ever did and of all that it was given.
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
    /// Anybody else. Nothing was sent to them.
    Stranger,
    /// Somebody with a key who was answered and then went away, or whose bytes were tampered with:
    /// for them, a decoy would come too late.
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
        match classify(&arrival.first) {
            Shape::NeedMore => {
                if arrival.more().await.is_err() {
                    return Caller::Stranger;
                }
            }
            Shape::Nobody => return Caller::Stranger,
            Shape::Obfuscated(flight) => {
                let flight = *flight;
                return obfuscated(arrival, &flight).await.map_or(Caller::Stranger, Caller::guest);
            }
            Shape::Hello(record) if record.len() > LONGEST_HELLO => return Caller::Stranger,
            Shape::Hello(record) => {
                let record = record.to_vec();
                let Some(hello) = ClientHello::read(&record) else { return Caller::Stranger };
                let Some(Entry { id, secret }) = whose_hello(arrival, &hello).await else {
                    return Caller::Stranger;
                };
                let rest = arrival.first[record.len()..].to_vec();
                let guest = fake_tls(arrival, &hello, id, secret, rest).await;
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
    let Entry { id: key, secret } = whose(arrival, None, lock).await?;
    let opened = obfuscated::open(flight, Some(&secret))?;
    let early = arrival.first[obfuscated::LENGTH..].to_vec();
    let is_new = is_new(arrival.shared, mark(&flight[8..24]));
    is_new.then_some(Guest { key, opened, dress: None, early })
}

async fn whose_hello(arrival: &mut Arrival<'_>, hello: &ClientHello<'_>) -> Option<Entry> {
    let lock = Lock::Hello(faketls::Trial::new(hello)?);
    let found = whose(arrival, hello.server_name, lock).await?;
    let time = faketls::open(hello, &found.secret)?;
    let shared = arrival.shared;
    let is_good = is_fresh(shared, time) && is_new(shared, mark(&hello.random[..16]));
    is_good.then_some(found)
}

/// Whose key opens this?
async fn whose(arrival: &mut Arrival<'_>, server_name: Option<&str>, lock: Lock) -> Option<Entry> {
    let Arrival { shared, source, port, ref stream, .. } = *arrival;
    let source_port = stream.peer_addr().map_or(0, |peer| peer.port());
    let hints = Hints { source, source_port, port, server_name };
    match shared.finder.look(&hints, lock) {
        Look::Found(key) => Some(key),
        Look::Nobody => None,
        Look::Waits(wait) => patience::wait(arrival, wait).await,
    }
}

/// Whether a flight that a key opens was not seen before.
fn is_new(shared: &Shared, mark: Mark) -> bool {
    let is_new = shared.replays.is_new(mark);
    if !is_new {
        shared.counters.count(Counter::Replays);
    }
    is_new
}

/// Whether an app's clock is near enough to ours that its hello is not an old one.
fn is_fresh(shared: &Shared, time: ClientTime) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seconds = time.ahead_of(now);
    let refused = seconds.abs() > SKEW;
    if seconds.abs() > NOTABLE_SKEW {
        shared.notices.say(Notice::ClockSkew { seconds, refused });
    }
    !refused
}

fn mark(random: &[u8]) -> Mark {
    random.try_into().expect("16 bytes were asked for")
}

/// Answers an authenticated hello, and reads what its sender wants from the records after it.
async fn fake_tls(
    arrival: &Arrival<'_>,
    hello: &ClientHello<'_>,
    key: KeyId,
    secret: Secret,
    mut wire: Vec<u8>,
) -> Option<Guest> {
    let Arrival { shared, stream, .. } = arrival;
    let until = Instant::now() + shared.limits.first_flight;
    // A certificate's signature, and so the record that hides it, varies by a byte or two.
    let certificate = shared.certificate + usize::from(hello.random[0] % 3);
    let flight = faketls::server_flight(hello, &secret, certificate);
    timeout_at(until, pump::write_all(stream, &flight)).await.ok()?.ok()?;

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
