//! A client of a relay that does what no app can be made to do: read slowly, write byte by byte,
//! ask for gigabytes, and come two hundred times at once. It takes the same links as the apps.

mod inside;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, rand};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use wire::mtproto::obfuscated::{Dial, Tag};
use wire::mtproto::{DcId, ProxyLink, ProxySecret, faketls, frame};
use wire::tls::hello::RANDOM;
use wire::tls::record::{CHANGE, Unframer};

pub use crate::channel::Pace;
use crate::channel::{Channel, write_at};
use crate::error::{Error, Result};
use crate::message::{self, Request};
use crate::pattern;

/// How much of the pattern goes into one message.
const PIECE: u64 = 32 * 1024;

/// A connection that is still to be made.
#[derive(Clone, Debug)]
pub struct Approach {
    server: SocketAddr,
    /// None towards a datacentre.
    secret: Option<ProxySecret>,
    dc: i16,
    tag: Tag,
    pace: Option<Pace>,
    now: u32,
}

/// Reads a link as a relay printed it.
///
/// # Errors
/// When it is none.
pub fn through(link: &str) -> Result<Approach> {
    let link: ProxyLink =
        link.parse().map_err(|error| Error::Unexpected(format!("{link}: {error}")))?;
    let server = link.server.trim_matches(['[', ']']);
    let server: IpAddr =
        server.parse().map_err(|error| Error::Unexpected(format!("{server}: {error}")))?;
    let tag = match link.secret {
        ProxySecret::Plain(_) => Tag::Intermediate,
        ProxySecret::Padded(_) | ProxySecret::FakeTls(..) => Tag::Padded,
    };
    Ok(Approach { tag, secret: Some(link.secret), ..straight_to((server, link.port.get()).into()) })
}

/// Goes to a datacentre without a relay, as apps do where nothing is blocked.
#[must_use]
pub fn straight_to(server: SocketAddr) -> Approach {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_secs());
    Approach {
        server,
        secret: None,
        dc: 2,
        tag: Tag::Abridged,
        pace: None,
        now: u32::try_from(now).unwrap_or(u32::MAX),
    }
}

impl Approach {
    /// Asks for another datacentre than the second.
    #[must_use]
    pub fn datacentre(self, dc: i16) -> Self {
        Self { dc, ..self }
    }

    /// Frames its messages in another way than the apps do with such a link.
    #[must_use]
    pub fn framed(self, tag: Tag) -> Self {
        Self { tag, ..self }
    }

    /// Hands everything that it sends to the network in pieces.
    #[must_use]
    pub fn in_pieces(self, bytes: usize, pause: Duration) -> Self {
        let pace = Some(Pace { bytes, pause });
        Self { pace, ..self }
    }

    /// Has a clock that is wrong by so many seconds.
    #[must_use]
    pub fn with_clock_off_by(self, seconds: i32) -> Self {
        let now = self.now.saturating_add_signed(seconds);
        Self { now, ..self }
    }

    /// What it would send first, ready to be sent by hand, and again: an `ee` link's hello, or the
    /// first flight and a ping.
    #[must_use]
    pub fn opening(&self) -> Vec<u8> {
        if let Some(ProxySecret::FakeTls(key, name)) = &self.secret {
            return faketls::client_hello(name, key, self.now);
        }
        let key = self.secret.as_ref().map(ProxySecret::key);
        let Dial { flight, mut to_server, .. } =
            Dial::new(Tag::Intermediate, DcId(self.dc), key.as_ref());
        let message = Request::Ping([7; 16]).to_message();
        let mut frame = frame::put(Tag::Intermediate, &message, 0);
        to_server.apply(&mut frame);
        [&flight[..], &frame].concat()
    }

    /// Connects and shakes hands. Except with an `ee` link, nothing tells a client whether it is
    /// welcome before its first message is answered.
    ///
    /// # Errors
    /// When the relay cannot be reached, or does not prove that it knows the secret.
    pub async fn connect(self) -> Result<Client> {
        let mut stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        let key = self.secret.as_ref().map(ProxySecret::key);
        let dial = Dial::new(self.tag, DcId(self.dc), key.as_ref());
        let mut records = None;
        if let Some(ProxySecret::FakeTls(key, name)) = &self.secret {
            let hello = faketls::client_hello(name, key, self.now);
            write_at(&mut stream, &hello, self.pace).await?;
            let flight = server_flight(&mut stream).await?;
            let random = hello[RANDOM].first_chunk().expect("32 bytes");
            if !faketls::flight_is_valid(&flight, random, key) {
                return Err(Error::Unexpected("it does not know the secret".to_owned()));
            }
            write_at(&mut stream, &CHANGE, self.pace).await?;
            records = Some(Unframer::default());
        }
        let mut channel = Channel::new(stream, self.tag, dial.from_server, dial.to_server);
        channel.records = records;
        channel.most_padding = 15;
        channel.pace = self.pace;
        channel.write(&dial.flight).await?;
        Ok(Client { channel, received: 0 })
    }
}

/// Reads exactly the three records of a server's flight.
async fn server_flight(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut flight = Vec::new();
    loop {
        let length = faketls::flight_length(&flight);
        match length.map_err(|error| Error::Unexpected(error.to_string()))? {
            Some(_) => return Ok(flight),
            // Byte by byte, since what comes after it is not for us.
            None => flight.push(stream.read_u8().await?),
        }
    }
}

/// A connection through a relay to a datacentre of the lab.
#[derive(Debug)]
pub struct Client {
    channel: Channel,
    /// How much of the pattern has come of what was asked for last.
    received: u64,
}

impl Client {
    /// Asks the datacentre whether it is there, and checks its answer.
    ///
    /// # Errors
    /// When another answer comes than the right one, or none.
    pub async fn ping(&mut self) -> Result {
        let mut nonce = [0; 16];
        rand::fill(&mut nonce).expect("the system gives random bytes");
        self.channel.send(&Request::Ping(nonce).to_message()).await?;
        let answer = self.answer().await?;
        if wire::mtproto::message::res_pq(&answer, nonce).is_none() {
            return Err(Error::Unexpected("another ping's answer".to_owned()));
        }
        Ok(())
    }

    /// Downloads so many bytes, a multiple of four, and checks each.
    ///
    /// # Errors
    /// When other bytes come, or too few.
    pub async fn download(&mut self, bytes: u64) -> Result {
        self.ask(bytes).await?;
        self.receive(bytes).await
    }

    /// Asks for so many bytes, a multiple of four, and does not read them yet.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn ask(&mut self, bytes: u64) -> Result {
        self.received = 0;
        self.channel.send(&Request::Send(bytes).to_message()).await
    }

    /// Reads so many of the bytes that it asked for, or a few more, and checks each.
    ///
    /// # Errors
    /// When other bytes come, or too few.
    pub async fn receive(&mut self, bytes: u64) -> Result {
        let until = self.received + bytes;
        while self.received < until {
            let frame = self.answer().await?;
            let body = message::unwrap(&frame)?;
            if !pattern::matches(self.received, body) {
                let wrong = format!("wrong bytes after {}", self.received);
                return Err(Error::Unexpected(wrong));
            }
            self.received += body.len() as u64;
        }
        Ok(())
    }

    /// Uploads so many bytes, a multiple of four, and has the datacentre confirm each.
    ///
    /// # Errors
    /// When the datacentre got other bytes, or too few.
    pub async fn upload(&mut self, bytes: u64) -> Result {
        self.channel.send(&Request::Count(bytes).to_message()).await?;
        let mut sum = digest::Context::new(&digest::SHA256);
        let mut body = Vec::new();
        let mut sent = 0;
        while sent < bytes {
            body.resize(usize::try_from(PIECE.min(bytes - sent)).expect("short"), 0);
            pattern::fill(sent, &mut body);
            sum.update(&body);
            self.channel.send(&message::wrap(&body)).await?;
            sent += body.len() as u64;
        }
        let due = [&bytes.to_le_bytes()[..], sum.finish().as_ref()].concat();
        let answer = self.answer().await?;
        if message::unwrap(&answer)? != due {
            return Err(Error::Unexpected("the datacentre got other bytes".to_owned()));
        }
        Ok(())
    }

    /// How many bytes it has sent to the datacentre and received from it so far, as the relay passes
    /// them on: frames, without the first flight and without what they wear on the way.
    #[must_use]
    pub fn carried(&self) -> (u64, u64) {
        (self.channel.sent, self.channel.received)
    }

    /// Waits until the other side ends the connection, in whatever way.
    ///
    /// # Errors
    /// When it says something instead.
    pub async fn ended(&mut self) -> Result {
        match self.channel.receive().await {
            Ok(None) | Err(Error::Io { .. }) => Ok(()),
            Ok(Some(frame)) => Err(Error::Unexpected(format!("{} bytes came", frame.len()))),
            Err(error) => Err(error),
        }
    }

    async fn answer(&mut self) -> Result<Vec<u8>> {
        let frame = self.channel.receive().await?;
        frame.ok_or_else(|| Error::Unexpected("the connection was closed".to_owned()))
    }
}
