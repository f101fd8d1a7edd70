//! What everyone without a key meets, the same on every port and whatever they sent: the mask host
//! itself where there is one, and otherwise a server that listens and says nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wire::classify::{MAX_FIRST, Shape, classify};
use wire::tls::answer;
use wire::tls::hello::{ClientHello, Prefix, X25519, prefix};

use crate::arrival::Arrival;
use crate::connection::opens;
use crate::course::Course;
use crate::crowd::Place;
use crate::mask::Mask;
use crate::mask::likeness::Pace;
use crate::search::Hints;
use crate::sources::Source;
use crate::{Notice, Shared, pump};

/// How long a server's hello is at most, in bytes: with a share of X25519MLKEM768 it has 1,200.
const LONGEST_ANSWER: usize = 2048;

/// Entertains a stranger until one side has had enough.
pub(crate) async fn entertain(arrival: Arrival<'_>) {
    if arrival.shared.has_mask() {
        return carry(arrival).await;
    }
    let Arrival { shared, source, accepted, stream, place, first, .. } = arrival;
    // Others may come to the door; a stranger has a place of another kind.
    drop((place, first));
    let Some(_place) = shared.drained.admit(source) else { return };
    // The same time after every start, so that nothing can be learnt from it.
    let _ = timeout_at(accepted + shared.limits.drain, swallow(&stream)).await;
}

/// Reads until the peer is done.
async fn swallow(stream: &TcpStream) {
    let mut sink = Vec::new();
    while pump::read_some(stream, &mut sink).await.is_ok() {
        // Nothing is kept while the stranger is silent.
        sink = Vec::new();
    }
}

/// From now on the caller talks with the mask host alone.
async fn carry(arrival: Arrival<'_>) {
    let Arrival { shared, source, source_port, port, dialled, .. } = arrival;
    let Arrival { stream, mut first, shadow, place, .. } = arrival;
    drop(place);
    let Some(mut shadow) = shadow.meet(shared, source, dialled).await else { return };
    let mask = &shadow.mask;
    let course = shared.course.load_full();
    let is_telling = is_telling(&first, &course);
    // It may have heard everything, and answered, while a key was looked for.
    let heard = if shadow.told < first.len() { Instant::now() } else { shadow.heard };
    let answered = shadow.answered;
    let (stream, told_so_far, connect) = (&stream, &mut shadow.told, shadow.connect);
    let flow = shared.counters.strangers();
    flow.add_up(first.len());
    let piece = first.len();
    if !first.is_empty()
        && prefix(&first) == Prefix::Impossible
        && classify(&first) == Shape::NeedMore
    {
        shared.patiences.lose(source);
    }
    let hints = Hints { source, source_port, port, server_name: None };
    let opening = async {
        tell(mask, &first, told_so_far).await?;
        // Perhaps it was half of a key's first flight, and the mask host has answered it. Then
        // nothing can be done any more; but next time its other half is waited for.
        while classify(&first) == Shape::NeedMore && first.len() < MAX_FIRST {
            let counted = first.len();
            match pump::read_some(stream, &mut first).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                read => read?,
            }
            flow.add_up(first.len() - counted);
            tell(mask, &first, told_so_far).await?;
            if classify(&first) != Shape::NeedMore && opens(shared, &hints, &first) {
                shared.patiences.learn(source, piece, first.len());
            }
        }
        first = Vec::new();
        Ok(())
    };
    let answering = async {
        mask.readable().await?;
        let answered = answered.unwrap_or_else(Instant::now);
        if is_telling
            && let Some(answer) = answered.checked_duration_since(heard)
            && answers_with_a_hello(mask).await
        {
            course.likeness.note(Pace { connect, answer });
        }
        Ok(())
    };
    let limits = &shared.limits;
    let talk = pump::forward(stream, mask, opening, answering, limits.mask_bytes, flow);
    let _ = timeout(limits.mask_time, talk).await;
}

/// Whether the mask host has as much to do for this hello as for an app's: who could have it answer
/// others sooner would make fake TLS quicker than the website.
fn is_telling(first: &[u8], course: &Course) -> bool {
    let Shape::Hello(record) = classify(first) else { return false };
    let Some(hello) = ClientHello::read(record) else { return false };
    let is_named = |mask: &Mask| {
        mask.server_name().is_none() || hello.server_name.is_some_and(|name| mask.is_named(name))
    };
    !hello.resumes && hello.share(X25519).is_some() && course.mask.as_ref().is_some_and(is_named)
}

/// Whether what has come from the mask host begins with a hello of TLS 1.3: no alert, and no wish for
/// another hello.
async fn answers_with_a_hello(mask: &TcpStream) -> bool {
    let mut head = vec![0; LONGEST_ANSWER];
    let length = mask.peek(&mut head).await.unwrap_or(0);
    matches!(answer::hello(&head[..length]), Ok(Some(_)))
}

/// How far the mask host has been asked along.
pub(crate) enum Shadow<'a> {
    /// Not at all.
    NotYet,
    /// It is being called.
    Calling(Pin<Box<dyn Future<Output = Option<Listener>> + Send + 'a>>),
    /// It listens.
    There(Listener),
    /// It is not there, or there was no place.
    Nobody,
}

/// The mask host, listening to what a caller says.
pub(crate) struct Listener {
    mask: TcpStream,
    /// How long it took to get there.
    connect: Duration,
    /// How many of the caller's bytes it has heard.
    told: usize,
    /// When it had heard the last of them.
    heard: Instant,
    /// When it was seen to answer.
    answered: Option<Instant>,
    _place: Place,
}

impl<'a> Shadow<'a> {
    /// Has the mask host listen to `first`; done when it has answered or has had enough, and that
    /// counts. May be broken off, and called again with more.
    pub(crate) async fn listen(&mut self, caller: Caller<'a>, first: &[u8], timing: Timing) {
        wait_until(timing.from).await;
        if let Self::NotYet = self {
            *self = Self::Calling(Box::pin(caller.call()));
        }
        if let Self::Calling(call) = self {
            *self = call.await.map_or(Self::Nobody, Self::There);
        }
        let Self::There(listener) = self else { return std::future::pending().await };
        let is_more = listener.told < first.len();
        // An error is an answer too: the caller will see it.
        if tell(&listener.mask, first, &mut listener.told).await.is_ok() {
            if is_more {
                listener.heard = Instant::now();
            }
            let _ = listener.mask.readable().await;
        }
        let answered = *listener.answered.get_or_insert_with(Instant::now);
        wait_until(timing.counts.min(answered + timing.held)).await;
    }

    async fn meet(
        self,
        shared: &'a Shared,
        source: Source,
        dialled: SocketAddr,
    ) -> Option<Listener> {
        match self {
            Self::NotYet => Caller { shared, source, dialled }.call().await,
            Self::Calling(call) => call.await,
            Self::There(listener) => Some(listener),
            Self::Nobody => None,
        }
    }
}

/// When the mask host has its say.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// From when on it hears what was said.
    pub from: Instant,
    /// From when on its answer counts,
    pub counts: Instant,
    /// or so long after it has come: whoever goes on byte by byte does not wait for it longer.
    pub held: Duration,
}

/// On whose behalf the mask host is called.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub shared: &'a Shared,
    pub source: Source,
    /// The address that was dialled.
    pub dialled: SocketAddr,
}

impl Caller<'_> {
    /// Connects to the mask host. Where there are too many strangers, the next one meets a closed
    /// door: the mask host must not become anybody's victim.
    async fn call(self) -> Option<Listener> {
        let Self { shared, source, dialled } = self;
        let place = shared.strangers.admit(source)?;
        let addresses = shared.mask()?.addresses(&shared.names).await;
        let started = Instant::now();
        let mask = match addresses {
            Ok(addresses) => shared.dialer.dial(addresses).await,
            Err(_) => None,
        };
        let Some((mask, _)) = mask else {
            shared.notices.say(Notice::MaskUnreachable);
            return None;
        };
        if leads_back(dialled, &mask) {
            shared.notices.say(Notice::MaskIsThisRelay);
            return None;
        }
        pump::tune(&mask);
        let (connect, heard) = (started.elapsed(), Instant::now());
        Some(Listener { mask, connect, told: 0, heard, answered: None, _place: place })
    }
}

/// Waits, unless that time has come; a timer would round it up.
async fn wait_until(time: Instant) {
    if time > Instant::now() {
        sleep_until(time).await;
    }
}

/// Passes on what the caller has said since the last time. May be broken off and called again.
async fn tell(mask: &TcpStream, first: &[u8], told: &mut usize) -> io::Result<()> {
    while *told < first.len() {
        *told += pump::write_some(mask, &first[*told..]).await?;
    }
    Ok(())
}

/// Whether the mask host is this machine, on the very port that the caller came to.
fn leads_back(dialled: SocketAddr, mask: &TcpStream) -> bool {
    match (mask.local_addr(), mask.peer_addr()) {
        (Ok(from), Ok(to)) => from.ip() == to.ip() && to.port() == dialled.port(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CourseSettings, Keys, Relay, Settings};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use wire::derive::{Epoch, FleetKey, KeyId, RelayId};
    use wire::tls::offer;

    /// How long the website takes.
    const TAKES: Duration = Duration::from_millis(80);
    /// A server's hello: X25519, TLS 1.3.
    const ANSWER: &[u8] = &[
        0x16, 3, 3, 0, 63, 2, 0, 0, 59, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
        5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 0, 0x13, 1, 0, 0, 0x13, 0, 0x2b, 0, 2, 3, 4, 0,
        0x33, 0, 9, 0, 0x1d, 0, 5, 1, 2, 3, 4, 5,
    ];

    async fn relay(keys: u64) -> (Relay, SocketAddr) {
        relay_before(ANSWER, keys).await
    }

    /// A relay with so many keys before a website that takes its time.
    async fn relay_before(answer: &'static [u8], keys: u64) -> (Relay, SocketAddr) {
        let site = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mask = site.local_addr().expect("an address").to_string().parse().expect("a mask");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = site.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    tokio::time::sleep(TAKES).await;
                    let _ = stream.write_all(answer).await;
                    let _ = stream.read(&mut [0; 4096]).await;
                });
            }
        });
        let course = CourseSettings { mask: Some(mask), ..CourseSettings::default() };
        let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([2; 16]));
        let settings = Settings { course, ..Settings::default() };
        let (relay, _notices) = Relay::new(&key, Epoch(1), settings);
        let ids: Vec<KeyId> = (0..keys).map(|id| KeyId(id.to_be_bytes())).collect();
        relay.set_keys(Keys { telegram: &ids, ..Keys::default() });
        let door = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        door.set_nonblocking(true).expect("set");
        let address = door.local_addr().expect("an address");
        // It stays open.
        std::mem::forget(relay.serve(door).expect("a listener"));
        (relay, address)
    }

    #[tokio::test]
    async fn strangers_teach_the_websites_pace_also_when_it_was_asked_during_a_search() {
        for keys in [1, 5_000] {
            let (relay, address) = relay(keys).await;
            let mut stranger = TcpStream::connect(address).await.expect("it listens");
            let hello = offer::record("example.org", X25519);
            stranger.write_all(&hello).await.expect("it reads");
            let mut heard = [0; ANSWER.len()];
            stranger.read_exact(&mut heard).await.expect("an answer");
            assert_eq!(heard, ANSWER);
            let pace = relay.0.course.load().likeness.pace().expect("it was noted");
            assert!(pace.answer >= TAKES, "{keys} keys: {pace:?}");
        }
    }

    /// The same hello from somebody who was there before.
    fn resuming(hello: &[u8]) -> Vec<u8> {
        let number = |at: usize| usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
        let ciphers = 44 + usize::from(hello[43]);
        let compression = ciphers + 2 + number(ciphers);
        let extensions = compression + 1 + usize::from(hello[compression]);
        let mut resuming = [hello, &[0, 0x29, 0, 0]].concat();
        for at in [3, 7, extensions] {
            let longer = u16::try_from(number(at) + 4).expect("short");
            resuming[at..at + 2].copy_from_slice(&longer.to_be_bytes());
        }
        resuming
    }

    #[tokio::test]
    async fn no_hello_that_is_answered_sooner_than_an_apps_teaches_the_pace() {
        let hello = offer::record("example.org", X25519);
        let mut without_share = hello.clone();
        let share = hello.windows(4).position(|four| four == [0, 0x1d, 0, 32]).expect("a share");
        without_share[share + 1] = 0x17;
        let refusal: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];
        // TLS 1.2 has none of these extensions.
        let old: &[u8] = &const {
            let mut old = [0; 47];
            old.copy_from_slice(ANSWER.split_at(47).0);
            (old[4], old[8]) = (42, 38);
            old
        };
        for (answer, hello) in [
            (refusal, hello.clone()),
            (old, hello.clone()),
            (ANSWER, resuming(&hello)),
            (ANSWER, without_share),
        ] {
            let (relay, address) = relay_before(answer, 1).await;
            let mut stranger = TcpStream::connect(address).await.expect("it listens");
            stranger.write_all(&hello).await.expect("it reads");
            let mut heard = vec![0; answer.len()];
            stranger.read_exact(&mut heard).await.expect("an answer");
            assert_eq!(relay.0.course.load().likeness.pace(), None, "{hello:?}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn a_stranger_in_pieces_waits_for_nothing_and_is_not_counted_as_waiting() {
        let (relay, address) = relay(5_000).await;
        let mut stranger = TcpStream::connect(address).await.expect("it listens");
        stranger.write_all(&[7; 10]).await.expect("it reads");
        let mut heard = [0; ANSWER.len()];
        stranger.read_exact(&mut heard).await.expect("an answer");
        // The rest comes when the website has the stranger.
        stranger.write_all(&[7; 90]).await.expect("it reads");
        stranger.read_to_end(&mut Vec::new()).await.expect("the end");
        let waits = relay.waits();
        let gave_up = relay.0.finder.this_minute().gave_up.count;
        assert_eq!((waits.waiting, gave_up), (0, 0));
    }

    #[tokio::test]
    async fn who_goes_on_byte_by_byte_does_not_put_the_answer_off() {
        let (_relay, address) = relay(1).await;
        let mut stranger = TcpStream::connect(address).await.expect("it listens");
        let mut said = 0;
        // After 64 bytes, whatever they are, nothing is waited for.
        while said < 60 {
            stranger.write_all(&[7]).await.expect("it reads");
            said += 1;
            if timeout(Duration::from_millis(10), stranger.readable()).await.is_ok() {
                break;
            }
        }
        assert!(said < 40, "the answer came after {said} bytes");
    }
}
