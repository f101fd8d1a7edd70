//! What an app does first: it shakes hands in a link's form and asks Telegram a question that only a
//! datacentre answers. So an answer proves the whole way.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::derive::Secret;
use wire::mtproto::message::{self, MessageId};
use wire::mtproto::obfuscated::{Dial, Tag};
use wire::mtproto::{DcId, ProxySecret, ServerName, faketls, frame};
use wire::tls::answer::{self, Answer, Unlike};
use wire::tls::hello::RANDOM;
use wire::tls::record::{self, Unframer};

use super::way::{NoWay, Way};

/// How long an answer may take. A relay leaves an address that says nothing after three seconds.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long connecting and asking may take together.
const MOST_TIME: Duration = Duration::from_secs(15);
/// More is not read.
const MOST: usize = 64 << 10;

/// An answer from a datacentre.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// How many seconds its clock is ahead of this server's.
    pub ahead: i64,
    /// How long everything took.
    pub took: Duration,
}

/// Why there was none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    NoWay(NoWay),
    /// Somebody answers, but nobody who knows the key.
    Stranger,
    /// Nothing came back.
    Silence,
    /// The connection was ended.
    Closed,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWay(why) => why.fmt(f),
            Self::Stranger => f.write_str("answered by somebody who does not know the key"),
            Self::Silence => f.write_str("connected, and nothing comes back"),
            Self::Closed => f.write_str("connected, and closed at once"),
        }
    }
}

/// Goes to Telegram's datacentre, by the relay at `at` if there is a secret, else `at` is it.
pub(crate) async fn visit(
    way: &Way,
    at: SocketAddr,
    secret: Option<&ProxySecret>,
    dc: DcId,
) -> Result<Heard, Failure> {
    let start = Instant::now();
    let mut stream = way.connect(at).await.map_err(Failure::NoWay)?;
    let left = MOST_TIME.saturating_sub(start.elapsed()).min(PATIENCE);
    let asking = ask(&mut stream, secret, dc);
    let answer = timeout(left, asking).await.unwrap_or(Err(Failure::Silence))?;
    let theirs = i64::try_from(answer.unix_seconds()).unwrap_or(i64::MAX);
    let ours = i64::try_from(now().as_secs()).unwrap_or(i64::MAX);
    Ok(Heard { ahead: theirs - ours, took: start.elapsed() })
}

fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// The hello of an app with an 'ee' link, as of now.
pub(crate) fn hello(name: &ServerName, key: &Secret) -> Vec<u8> {
    faketls::client_hello(name, key, u32::try_from(now().as_secs()).unwrap_or(0))
}

async fn ask(
    stream: &mut TcpStream,
    secret: Option<&ProxySecret>,
    dc: DcId,
) -> Result<MessageId, Failure> {
    let tag = match secret {
        None | Some(ProxySecret::Plain(_)) => Tag::Intermediate,
        Some(ProxySecret::Padded(_) | ProxySecret::FakeTls(..)) => Tag::Padded,
    };
    let Dial { flight, mut to_server, mut from_server } =
        Dial::new(tag, dc, secret.map(ProxySecret::key).as_ref());
    let nonce = message::nonce();
    let question = message::req_pq_multi(MessageId::of_client(now()), nonce);
    let mut asked = frame::put(tag, &question, 7);
    to_server.apply(&mut asked);
    let mut said = [&flight[..], &asked].concat();

    let mut records = None;
    if let Some(ProxySecret::FakeTls(key, name)) = secret {
        let hello = hello(name, key);
        say(stream, &hello).await?;
        let mut theirs = Vec::new();
        let length = loop {
            match faketls::flight_length(&theirs) {
                Ok(Some(length)) => break length,
                Ok(None) => more(stream, &mut theirs).await?,
                Err(faketls::NoFlight) => return Err(Failure::Stranger),
            }
        };
        let random = hello[RANDOM].first_chunk().ok_or(Failure::Stranger)?;
        // Nothing follows the flight before we have spoken.
        if length != theirs.len() || !faketls::flight_is_valid(&theirs, random, key) {
            return Err(Failure::Stranger);
        }
        said = [&record::CHANGE[..], &record::header(said.len()), &said].concat();
        records = Some(Unframer::default());
    }
    say(stream, &said).await?;

    let (mut raw, mut heard) = (Vec::new(), Vec::new());
    loop {
        if let Some(found) = frame::first(tag, &heard).map_err(|_| Failure::Stranger)? {
            return message::res_pq(&heard[found], nonce).ok_or(Failure::Stranger);
        }
        raw.clear();
        more(stream, &mut raw).await?;
        if let Some(unframer) = &mut records {
            let payload = unframer.strip(&mut raw).map_err(|_| Failure::Stranger)?;
            raw.truncate(payload);
        }
        from_server.apply(&mut raw);
        heard.extend_from_slice(&raw);
        if heard.len() > MOST {
            return Err(Failure::Stranger);
        }
    }
}

/// What a TLS server answers to this hello, as far as it is not encrypted.
pub(crate) async fn greet(
    way: &Way,
    at: SocketAddr,
    hello: &[u8],
) -> Result<Result<Answer, Unlike>, Failure> {
    let mut stream = way.connect(at).await.map_err(Failure::NoWay)?;
    let talk = async {
        say(&mut stream, hello).await?;
        let mut heard = Vec::new();
        loop {
            if let Some(answer) = answer::hello(&heard).transpose() {
                return Ok(answer);
            }
            more(&mut stream, &mut heard).await?;
        }
    };
    timeout(PATIENCE, talk).await.unwrap_or(Err(Failure::Silence))
}

async fn say(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(|_| Failure::Closed)
}

/// Reads once, to the end of what is there.
async fn more(stream: &mut TcpStream, into: &mut Vec<u8>) -> Result<(), Failure> {
    match stream.read_buf(into).await {
        Ok(0) | Err(_) => Err(Failure::Closed),
        Ok(_) if into.len() > MOST => Err(Failure::Stranger),
        Ok(_) => Ok(()),
    }
}
