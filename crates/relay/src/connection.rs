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
use wire::mtproto::obfuscated::{self, Dial, Opened};
use wire::tls::hello::ClientHello;
use wire::tls::record::Unframer;

use crate::first::{First, read_some};
use crate::keyring::Hints;
use crate::replay::Mark;
use crate::sources::Source;
use crate::{Notice, Shared, decoy, pump};

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
    port: u16,
    room: OwnedSemaphorePermit,
) {
    pump::tune(&stream);
    let source = Source::from(peer.ip());
    let accepted = Instant::now();
    let mut first = First::default();
    let caller = first_flight(&shared, &stream, &mut first, source, port, accepted).await;
    let guest = match caller {
        Caller::Guest(guest) => *guest,
        Caller::Stranger => {
            return decoy::entertain(&shared, stream, first.into_bytes(), source, accepted).await;
        }
        Caller::Lost => return,
    };
    let Guest {
        key,
        mut opened,
        dress,
        mut early,
    } = guest;

    let datacentre = opened.dc.datacentre();
    let Some(upstream) = shared.dialer.dial(datacentre).await else {
        return shared.notices.say(Notice::Unreachable(datacentre));
    };
    pump::tune(&upstream);
    let Dial {
        flight,
        mut to_server,
        ..
    } = Dial::fast(&opened);
    opened.from_client.apply(&mut early);
    to_server.apply(&mut early);
    let beginning = [&flight[..], &early].concat();

    let telegram = pump::Telegram {
        client: stream,
        upstream,
        from_client: opened.from_client,
        to_server,
        dress,
    };
    // A task of its own, because this future keeps the size of all that it did before.
    shared.live.start(key, async move {
        telegram.run(beginning).await;
        drop(room);
    });
    if !shared.keyring.load().has(key) {
        // Revoked since it was found.
        shared.live.end_all_but(&shared.keyring.load());
    }
}

/// Who is at the door.
enum Caller {
    /// Somebody with a key.
    Guest(Box<Guest>),
    /// Anybody else. Nothing was sent to them.
    Stranger,
    /// Somebody with a key who was answered and then went away, or whose bytes were tampered with:
    /// to them, a decoy would come too late.
    Lost,
}

/// Somebody who has shown a key and said what they want.
struct Guest {
    key: KeyId,
    opened: Opened,
    /// Fake TLS, if they wear it.
    dress: Option<Unframer>,
    /// What they sent after their first flight, still encrypted.
    early: Vec<u8>,
}

/// Reads and judges the first flight. What was read stays in `first`, for the decoy.
async fn first_flight(
    shared: &Shared,
    stream: &TcpStream,
    first: &mut First,
    source: Source,
    port: u16,
    accepted: Instant,
) -> Caller {
    let until = accepted + shared.limits.first_flight;
    loop {
        match classify(first.bytes()) {
            Shape::NeedMore => {
                if first.more(stream, until).await.is_err() {
                    return Caller::Stranger;
                }
            }
            Shape::Nobody => return Caller::Stranger,
            Shape::Obfuscated(flight) => {
                let Some((key, opened)) = whose_flight(shared, flight, source, port) else {
                    return Caller::Stranger;
                };
                let early = first.bytes()[obfuscated::LENGTH..].to_vec();
                return Caller::Guest(Box::new(Guest {
                    key,
                    opened,
                    dress: None,
                    early,
                }));
            }
            Shape::Hello(record) => {
                let hello = ClientHello::read(record);
                let found = hello
                    .and_then(|hello| Some((hello, whose_hello(shared, &hello, source, port)?)));
                let Some((hello, (key, secret))) = found else {
                    return Caller::Stranger;
                };
                let rest = first.bytes()[record.len()..].to_vec();
                let guest = fake_tls(shared, stream, &hello, key, secret, rest).await;
                return guest.map_or(Caller::Lost, |guest| Caller::Guest(Box::new(guest)));
            }
        }
    }
}

fn whose_flight(
    shared: &Shared,
    flight: &[u8; obfuscated::LENGTH],
    source: Source,
    port: u16,
) -> Option<(KeyId, Opened)> {
    let keyring = shared.keyring.load();
    let hints = Hints {
        port,
        ..Hints::default()
    };
    let found = shared.sources.search(source, hints, |hints| {
        keyring.search(hints, |secret| obfuscated::open(flight, Some(secret)))
    })?;
    shared.replays.is_new(mark(&flight[8..24])).then_some(found)
}

fn whose_hello(
    shared: &Shared,
    hello: &ClientHello<'_>,
    source: Source,
    port: u16,
) -> Option<(KeyId, Secret)> {
    let keyring = shared.keyring.load();
    let hints = Hints {
        port,
        server_name: hello.server_name,
        ..Hints::default()
    };
    let (key, (secret, time)) = shared.sources.search(source, hints, |hints| {
        keyring.search(hints, |secret| {
            Some((*secret, faketls::open(hello, secret)?))
        })
    })?;
    let fresh = is_fresh(shared, time) && shared.replays.is_new(mark(&hello.random[..16]));
    fresh.then_some((key, secret))
}

/// Whether an app's clock is near enough to ours that its hello is not an old one.
fn is_fresh(shared: &Shared, time: ClientTime) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
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
    shared: &Shared,
    stream: &TcpStream,
    hello: &ClientHello<'_>,
    key: KeyId,
    secret: Secret,
    mut wire: Vec<u8>,
) -> Option<Guest> {
    let until = Instant::now() + shared.limits.first_flight;
    // A certificate's signature, and so the record that hides it, varies by a byte or two.
    let flight = faketls::server_flight(hello, &secret, shared.certificate + spread(hello.random));
    timeout_at(until, pump::write_all(stream, &flight))
        .await
        .ok()?
        .ok()?;

    let mut unframer = Unframer::default();
    let mut payload = Vec::new();
    loop {
        let length = unframer.strip(&mut wire).ok()?;
        payload.extend_from_slice(&wire[..length]);
        if let Some((flight, early)) = payload.split_first_chunk() {
            let opened = obfuscated::open(flight, Some(&secret))?;
            return Some(Guest {
                key,
                opened,
                dress: Some(unframer),
                early: early.to_vec(),
            });
        }
        wire.clear();
        timeout_at(until, read_some(stream, &mut wire))
            .await
            .ok()?
            .ok()?;
    }
}

fn spread(random: &[u8; 32]) -> usize {
    usize::from(random[0] % 3)
}
