//! Asking the mask host, as one of Telegram's apps would, how it answers a hello; or the website in this
//! process, where there is no mask host.

use std::ptr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use front::NoRooms;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use wire::mtproto::faketls::Look;
use wire::tls::answer::{self, Answer, Unlike};
use wire::tls::hello::Group;
use wire::tls::offer;
use wire::tls::record::HEADER;

use super::likeness::{KINDS, Likeness, Manner, Pace};
use crate::course::Course;
use crate::{Notice, Shared, pump};

/// How often it is asked the same, since certificates' signatures vary by a byte or two.
const TIMES: usize = 4;
/// The pause between two questions.
const BETWEEN: Duration = Duration::from_millis(700);
/// How long all that is known is taken for true.
const AGAIN: Duration = Duration::from_secs(4 * 3600);
/// How long until it is asked again when it did not answer; twice as long each time after that.
const SOON: Duration = Duration::from_secs(30);
const LATER: Duration = Duration::from_secs(3600);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long an answer may be, in bytes.
const MOST: usize = 64 << 10;
/// After how long a silence an answer is over.
const SILENCE: Duration = Duration::from_millis(400);
/// From where on a silence within an answer is one of its own, and not the machine's.
const PAUSE: Duration = Duration::from_millis(3);
/// How many of those are imitated, and of each how much: people wait for it.
const PAUSES: usize = 4;
const LONGEST: Duration = Duration::from_millis(250);

/// All of that for a website in this process, which costs nothing to ask: its certificate may be a new
/// one, and what it takes is less than a timer knows.
const AGAIN_HERE: Duration = Duration::from_secs(60);
/// How much of a conversation with it may be under way, in bytes.
const UNDER_WAY: usize = 64 << 10;

/// Asks for as long as the relay is there and this what it knows of its mask host.
pub(crate) async fn go_on(shared: Weak<Shared>, likeness: Weak<Likeness>) {
    let mut patience = SOON;
    loop {
        let Some(relay) = shared.upgrade() else { return };
        let course = relay.course.load_full();
        if !ptr::eq(Arc::as_ptr(&course.likeness), likeness.as_ptr()) {
            return;
        }
        let answered = round(&relay, &course).await;
        let again = if course.mask.is_some() { AGAIN } else { AGAIN_HERE };
        drop((relay, course));
        let wait = if answered { again } else { patience };
        patience = if answered { SOON } else { (patience * 2).min(LATER) };
        // A quarter more or less, so that it is no clockwork.
        let [jitter] = wire::random::<1>();
        sleep(wait * (192 + u32::from(jitter) / 2) / 256).await;
    }
}

/// Asks for every kind of hello; whether all went well.
async fn round(shared: &Shared, course: &Course) -> bool {
    let mut answered = true;
    for kind in KINDS {
        let mut manners = Vec::new();
        for _ in 0..TIMES {
            match timeout(PATIENCE, ask(shared, course, kind)).await.unwrap_or(Err(Trouble::Silent))
            {
                Ok((manner, pace)) => {
                    if course.mask.is_some() {
                        course.likeness.note(pace);
                    }
                    manners.push(manner);
                }
                Err(Trouble::Silent) => {
                    shared.notices.say(Notice::MaskUnreachable);
                    answered = false;
                    break;
                }
                Err(Trouble::Unlike(why)) => {
                    shared.notices.say(Notice::MaskUnlike(why));
                    course.likeness.learn(kind, Vec::new());
                    break;
                }
            }
            sleep(BETWEEN).await;
        }
        if !manners.is_empty() {
            course.likeness.learn(kind, manners);
        }
    }
    answered
}

enum Trouble {
    /// It cannot be reached, or says nothing.
    Silent,
    /// It answers something else.
    Unlike(Unlike),
}

async fn ask(shared: &Shared, course: &Course, kind: Group) -> Result<(Manner, Pace), Trouble> {
    let name = course.hello_name.as_deref().ok_or(Trouble::Silent)?;
    let hello = offer::record(name, kind);
    let started = Instant::now();
    match (&course.mask, &shared.house) {
        (Some(mask), _) => {
            let addresses = mask.addresses(&shared.names).await.map_err(|_| Trouble::Silent)?;
            let (stream, _) = shared.dialer.dial(addresses).await.ok_or(Trouble::Silent)?;
            pump::tune(&stream);
            let connect = started.elapsed();
            hear(stream, &hello, connect).await
        }
        (None, Some(house)) => {
            let (ours, theirs) = tokio::io::duplex(UNDER_WAY);
            let visit = house.front.serve(theirs, Vec::new(), Arc::new(NoRooms));
            tokio::select! {
                heard = hear(ours, &hello, Duration::ZERO) => heard,
                // It has hung up: what it said is still heard.
                () = async { visit.await; std::future::pending().await } => Err(Trouble::Silent),
            }
        }
        (None, None) => Err(Trouble::Silent),
    }
}

/// Says a hello and hears the whole answer.
async fn hear(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    hello: &[u8],
    connect: Duration,
) -> Result<(Manner, Pace), Trouble> {
    let asked = Instant::now();
    stream.write_all(hello).await.map_err(|_| Trouble::Silent)?;

    let (mut flight, mut pauses) = (Vec::new(), Vec::new());
    let mut pace = None;
    let mut last = asked;
    let answer = loop {
        let answer = answer::read(&flight).map_err(Trouble::Unlike)?;
        let silence = if answer.is_some() { SILENCE } else { PATIENCE };
        let length = flight.len();
        let read = timeout(silence, stream.read_buf(&mut flight)).await;
        match (read, answer) {
            (Ok(Ok(1..)), _) if flight.len() <= MOST => {}
            // Whatever ends it, it was whole.
            (_, Some(answer)) => break answer,
            (_, None) => return Err(Trouble::Silent),
        }
        let now = Instant::now();
        let pause = now - last;
        last = now;
        if pace.is_none() {
            pace = Some(Pace { connect, answer: pause });
        } else if pause >= PAUSE && pauses.len() < PAUSES {
            pauses.push((length, pause.min(LONGEST)));
        }
    };
    let pace = pace.ok_or(Trouble::Silent)?;
    Ok((Manner { look: look(&answer), pauses }, pace))
}

fn look(answer: &Answer) -> Look {
    let Answer { cipher, group, versions_first, ref encrypted } = *answer;
    let encrypted = encrypted.iter().map(|payload| HEADER + payload).sum();
    Look { cipher, group, versions_first, encrypted }
}
