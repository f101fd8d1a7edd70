//! What scanners and passers-by say, and what they see.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wire::echo::{Asker, EchoKey, MaskKey, Shape, Transport};
use wire::tls::hello::{X25519, X25519_MLKEM768};
use wire::tls::offer;

/// Longer than a website's patience in these tests, shorter than any limit of a relay's own.
const MOMENT: Duration = Duration::from_millis(2500);

/// What is said on one connection.
#[derive(Clone, Debug)]
pub struct Probe {
    pub name: String,
    said: Vec<Vec<u8>>,
    /// Between two pieces.
    pause: Duration,
    /// Whether the sender then says that it is done.
    ends: bool,
}

impl Probe {
    pub fn new(name: impl Into<String>, said: &[u8]) -> Self {
        let said = vec![said.to_vec()];
        Self { name: name.into(), said, pause: Duration::ZERO, ends: false }
    }

    fn done(mut self) -> Self {
        self.name += ", and that is all";
        self.ends = true;
        self
    }

    fn slowly(mut self, piece: usize, pause: Duration) -> Self {
        self.name += &format!(", {piece} at a time, {pause:?} between");
        self.said = self.said.concat().chunks(piece).map(<[u8]>::to_vec).collect();
        self.pause = pause;
        self
    }
}

/// Bytes that mean nothing, and are not the same twice.
pub fn garbage(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| wire::random::<8>()).collect();
    bytes.truncate(length);
    // Not a TLS record by chance: that is another probe.
    if bytes.first() == Some(&0x16) {
        bytes[0] = 0x61;
    }
    bytes
}

/// The corpus, for a website of this name.
pub fn all(name: &str) -> Vec<Probe> {
    let mut probes: Vec<Probe> = (1..=300)
        .map(|length| Probe::new(format!("{length} random bytes"), &garbage(length)))
        .collect();
    let new = offer::record(name, X25519_MLKEM768);
    let old = offer::record(name, X25519);
    let mut wrong_version = old.clone();
    wrong_version[1] = 9;
    let mut no_hello = old.clone();
    no_hello[5] = 3;
    let hellos: Vec<(String, Vec<u8>)> = vec![
        ("a hello of today".into(), new.clone()),
        ("an older hello".into(), old.clone()),
        ("another name".into(), offer::record("telegram.example", X25519_MLKEM768)),
        ("another name, older".into(), offer::record("x.y", X25519)),
        ("a hello and more".into(), [&old[..], &garbage(200)].concat()),
        ("a hello of no version".into(), wrong_version),
        ("no hello in a record".into(), no_hello),
        (
            "curl's hello".into(),
            include_bytes!("../../../crates/wire/tests/flights/curl-tls").to_vec(),
        ),
        ("an alert".into(), vec![0x15, 3, 1, 0, 2, 2, 40]),
    ];
    let words: [&[u8]; 14] = [
        b"",
        b"G",
        b"GET",
        b"GET ",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: orchards.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: orcha",
        b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x05\x01\x00",
    ];
    let words =
        words.iter().map(|word| (format!("{:?}", String::from_utf8_lossy(word)), word.to_vec()));
    let cut = |cut: &usize| (format!("{cut} bytes of a hello"), new[..*cut].to_vec());
    let cuts = [1, 3, 5, 6, 9, 11, 43, 64, 100, 517, 1400, new.len() - 1];
    // As somebody asks who has a bundle of another relay; whole, and half of it.
    let question: [u8; 64] = garbage(64).try_into().expect("64 bytes");
    let asker = Asker::new(&EchoKey([3; 16]), &MaskKey([3; 8]));
    let asked = Shape::ALL.into_iter().flat_map(|shape| {
        let said = asker.dress(Transport::Tcp, shape, name).question(&question);
        let half = said[..said.len() * 3 / 4].to_vec();
        [(format!("a question, {shape}"), said), (format!("most of a question, {shape}"), half)]
    });
    let said = hellos.into_iter().chain(words).chain(cuts.iter().map(cut)).chain(asked);
    for (name, said) in said {
        let probe = Probe::new(name, &said);
        probes.extend([probe.clone(), probe.done()]);
    }
    // None of these is how long anybody waits: who speaks while the other side ends sees either end.
    let ms = Duration::from_millis;
    let slow = [
        Probe::new("garbage", &garbage(100)).slowly(1, ms(7)),
        Probe::new("garbage", &garbage(50)).slowly(1, ms(40)),
        Probe::new("garbage", &garbage(200)).slowly(63, ms(150)),
        Probe::new("a hello", &new).slowly(700, ms(20)),
        Probe::new("a hello", &old).slowly(100, ms(100)),
        Probe::new("a request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").slowly(3, ms(45)),
    ];
    probes.extend(slow.clone());
    probes.extend(slow.map(Probe::done));
    probes
}

/// What somebody saw.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    pub bytes: Vec<u8>,
    /// How it ended, within a moment after the last word.
    end: End,
    /// Whether it may have ended while somebody was still speaking: then either end is as good.
    spoke_on: bool,
    /// How many words it takes, after an orderly end, until nobody takes any more.
    deaf: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Orderly,
    Broken,
    None,
}

impl Seen {
    /// Whether nobody could tell the two apart: what differs every time is left out.
    pub fn is_like(&self, other: &Self) -> bool {
        let text = |seen: &Self| {
            let lines = String::from_utf8_lossy(&seen.bytes).into_owned();
            lines
                .lines()
                .filter(|line| !line.to_lowercase().starts_with("date:"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let (ours, theirs) = (records(&self.bytes), records(&other.bytes));
        let same = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => {
                ours.len() == theirs.len()
                    && ours.iter().zip(theirs).all(|(ours, theirs)| {
                        // A signature may be a byte or two longer than another.
                        ours.0 == theirs.0 && ours.1.abs_diff(theirs.1) <= 3
                    })
            }
            _ => text(self) == text(other),
        };
        let ends = |seen: &Self| {
            if seen.spoke_on && seen.end == End::Broken { End::Orderly } else { seen.end }
        };
        same && ends(self) == ends(other) && (self.spoke_on || self.deaf == other.deaf)
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = match records(&self.bytes) {
            Some(records) => format!("{records:02x?}"),
            None => format!("{:?}", String::from_utf8_lossy(&self.bytes)),
        };
        write!(f, "{bytes} {:?}, deaf after {}", self.end, self.deaf)
    }
}

/// The kinds of TLS records and their lengths, if it is nothing but records.
fn records(mut bytes: &[u8]) -> Option<Vec<(u8, usize)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (&[kind, 3, _, high, low], rest) = bytes.split_first_chunk()? else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        bytes = rest.get(length..)?;
        found.push((kind, length));
    }
    (!found.is_empty()).then_some(found)
}

/// How many strangers may come from one address at a time, and a few less.
const AT_ONCE: usize = 48;

/// What comes of each probe at this address, in the order in which they are.
pub async fn seen(at: SocketAddr, probes: &[Probe]) -> Result<Vec<Seen>> {
    let mut all = Vec::new();
    for some in probes.chunks(AT_ONCE) {
        let probing = some.iter().map(|one| tokio::spawn(probe(at, one.clone())));
        for one in probing.collect::<Vec<_>>() {
            all.push(one.await.expect("a probe does not panic")?);
        }
    }
    Ok(all)
}

/// Says it all, and tells what was seen.
async fn probe(at: SocketAddr, probe: Probe) -> Result<Seen> {
    let Probe { said, pause, ends, .. } = probe;
    let spoke_on = said.len() > 1;
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let (mut from, mut to) = stream.into_split();
    let mut speaking = tokio::spawn(async move {
        let last = said.len().saturating_sub(1);
        for (place, piece) in said.iter().enumerate() {
            // Somebody who hangs up in the middle is one of the things to see.
            if to.write_all(piece).await.is_err() {
                break;
            }
            if place < last {
                sleep(pause).await;
            }
        }
        if ends {
            let _ = to.shutdown().await;
        }
        to
    });
    let mut bytes = Vec::new();
    let listening = async {
        let mut buffer = [0; 4096];
        loop {
            match from.read(&mut buffer).await {
                Ok(0) => return End::Orderly,
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                Err(_) => return End::Broken,
            }
        }
    };
    tokio::pin!(listening);
    let mut end = None;
    let mut to = tokio::select! {
        ended = &mut listening => { end = Some(ended); (&mut speaking).await.expect("no panic") }
        to = &mut speaking => to.expect("no panic"),
    };
    let end = match end {
        Some(end) => end,
        None => timeout(MOMENT, listening).await.unwrap_or(End::None),
    };
    let mut deaf = 0;
    if end == End::Orderly && !ends {
        loop {
            sleep(Duration::from_millis(150)).await;
            if deaf == 4 || to.write_all(b"?").await.is_err() {
                break;
            }
            deaf += 1;
        }
    }
    Ok(Seen { bytes, end, spoke_on, deaf })
}

/// How long it takes from the call until the first byte of an answer.
#[allow(dead_code)]
pub async fn first_byte(at: SocketAddr, said: &[u8]) -> Result<Duration> {
    let started = Instant::now();
    let mut stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    stream.write_all(said).await?;
    match timeout(MOMENT, stream.read(&mut [0])).await {
        Ok(Ok(_)) => Ok(started.elapsed()),
        other => Err(Error::Unexpected(format!("no answer: {other:?}"))),
    }
}
