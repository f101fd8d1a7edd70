//! One connection of the user, with blocking calls: nothing between it and the kernel.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use lab::{Error, Result, client};
use wire::ctr::Ctr;
use wire::mtproto::obfuscated::{Dial, Tag};
use wire::mtproto::{DcId, ProxySecret, faketls};
use wire::tls::{hello::RANDOM, record, record::Unframer};

use super::http;
use super::http2::Tunnel;
use super::message::{self, ANSWER, Argument, CHECKED, PIECE};
use super::stream::Stream;
use super::target::{self, Entry, Target};
use super::web::Web;

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest record body that the apps send.
const BODY: usize = 2878;

/// An open connection that has been answered.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    incoming: Ctr,
    outgoing: Ctr,
    /// Takes the records off, where there are any.
    records: Option<Unframer>,
}

impl Connection {
    /// Connects, shakes hands, pings and has the answer checked. As the apps do, it sends its first
    /// flight and its first message together.
    pub(crate) fn establish(target: &Target) -> Result<Self> {
        let mut stream = enter(target)?;
        let mut opening = Vec::new();
        let mut records = None;
        if let Entry::Telegram { secret: ProxySecret::FakeTls(key, _), link } = &target.entry {
            let hello = client::through(link)?.opening();
            stream.write_all(&hello)?;
            let flight = server_flight(&mut stream)?;
            let random = hello[RANDOM].first_chunk().expect("32 bytes");
            if !faketls::flight_is_valid(&flight, random, key) {
                return Err(Error::Unexpected("it does not know the secret".to_owned()));
            }
            opening.extend([0x14, 3, 3, 0, 1, 1]);
            records = Some(Unframer::default());
        }
        let tag = match target.secret() {
            Some(ProxySecret::Padded(_) | ProxySecret::FakeTls(..)) => Tag::Padded,
            Some(ProxySecret::Plain(_)) | None => Tag::Intermediate,
        };
        let key = target.secret().map(ProxySecret::key);
        let Dial { flight, to_server, from_server } = Dial::new(tag, DcId(2), key.as_ref());
        let mut connection = Self { stream, incoming: from_server, outgoing: to_server, records };
        let mut nonce = Argument::default();
        aws_lc_rs::rand::fill(&mut nonce).expect("the system gives random bytes");
        let mut ping = message::request(message::PING, nonce);
        connection.outgoing.apply(&mut ping);
        opening.extend(connection.dressed(&[&flight[..], &ping].concat()));
        connection.stream.write_all(&opening)?;
        connection.answered(nonce)?;
        Ok(connection)
    }

    /// Has so many bytes sent to it. The first of them are checked, all are counted.
    pub(crate) fn download(&mut self, bytes: u64) -> Result {
        self.ask(message::SEND, bytes)?;
        let mut buffer = vec![0; PIECE];
        let mut had = 0;
        while had < bytes {
            let got = self.receive(&mut buffer).map_err(|error| {
                Error::Unexpected(format!("{error}, after {} of {} MiB", had >> 20, bytes >> 20))
            })?;
            let check = usize::try_from((CHECKED as u64).saturating_sub(had)).unwrap_or(CHECKED);
            let check = &mut buffer[..got.min(check)];
            self.incoming.apply(check);
            if check.iter().any(|&byte| byte != 0) {
                return Err(Error::Unexpected("other bytes came".to_owned()));
            }
            had += got as u64;
        }
        Ok(())
    }

    /// Has so many bytes sent to it, and reads none of them.
    pub(crate) fn stall(&mut self, bytes: u64) -> Result {
        self.ask(message::SEND, bytes)
    }

    /// Sends so many bytes and waits until the datacentre has them. After that, the connection is
    /// of no more use: most of the bytes were never encrypted.
    pub(crate) fn upload(mut self, bytes: u64) -> Result {
        self.ask(message::TAKE, bytes)?;
        let mut zeros = vec![0; CHECKED];
        self.outgoing.apply(&mut zeros);
        let zeros = self.dressed(&zeros);
        self.stream.write_all(&zeros)?;
        let noise = super::noise();
        let dressed = self.dressed(&noise);
        let mut left = bytes.saturating_sub(CHECKED as u64);
        while left >= noise.len() as u64 {
            self.stream.write_all(&dressed)?;
            left -= noise.len() as u64;
        }
        let rest = &noise[..usize::try_from(left).expect("less than a piece")];
        let rest = self.dressed(rest);
        self.stream.write_all(&rest)?;
        self.answered(message::amount(bytes))
    }

    fn ask(&mut self, number: u32, bytes: u64) -> Result {
        let mut request = message::request(number, message::amount(bytes));
        self.outgoing.apply(&mut request);
        let request = self.dressed(&request);
        Ok(self.stream.write_all(&request)?)
    }

    fn answered(&mut self, argument: Argument) -> Result {
        let (mut answer, mut have) = ([0; ANSWER], 0);
        while have < ANSWER {
            // Records have headers: what is read is more than what is left of it.
            let mut buffer = [0; ANSWER + record::HEADER];
            let room = (ANSWER - have).min(buffer.len());
            let got = self.receive(&mut buffer[..room])?;
            answer[have..have + got].copy_from_slice(&buffer[..got]);
            have += got;
        }
        self.incoming.apply(&mut answer);
        if answer != message::answer(argument) {
            return Err(Error::Unexpected("another answer".to_owned()));
        }
        Ok(())
    }

    /// Reads something, and takes the records off.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let got = match self.stream.read(buffer) {
            Ok(0) => return Err(Error::Unexpected("the connection was closed".to_owned())),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Error::Unexpected(format!(
                    "nothing came for {} s",
                    PATIENCE.as_secs()
                )));
            }
            Err(error) => return Err(error.into()),
        };
        let Some(records) = &mut self.records else { return Ok(got) };
        records.strip(&mut buffer[..got]).map_err(|error| Error::Unexpected(error.to_string()))
    }

    fn dressed(&self, bytes: &[u8]) -> Vec<u8> {
        if self.records.is_none() {
            return bytes.to_vec();
        }
        bytes
            .chunks(BODY)
            .flat_map(|body| [&record::header(body.len())[..], body].concat())
            .collect()
    }
}

/// Connects, and says what is said to the proxy before anything else.
fn enter(target: &Target) -> Result<Stream> {
    let stream = reach(target)?;
    let mut stream = match (&target.tls, &target.entry) {
        (Some(tls), Entry::Http2 { login, to }) => {
            let tunnel = Tunnel::open(stream, tls, login.as_ref(), *to, PATIENCE)?;
            return Ok(Stream::Http2(Box::new(tunnel)));
        }
        (Some(tls), Entry::Web { capability, .. }) => {
            let web = Web::open(tls.over(stream)?, capability)?;
            return Ok(Stream::Web(Box::new(web)));
        }
        (Some(tls), _) => Stream::Tls(Box::new(tls.over(stream)?)),
        (None, _) => Stream::Tcp(stream),
    };
    match &target.entry {
        Entry::Socks5 { login, to } => target::socks5(&mut stream, login.as_ref(), *to)?,
        Entry::Connect { login, to } => http::connect(&mut stream, login.as_ref(), *to)?,
        Entry::Nothing | Entry::Telegram { .. } | Entry::Http2 { .. } | Entry::Web { .. } => {}
    }
    Ok(stream)
}

fn reach(target: &Target) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&target.at, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Connects, says nothing but that it has nothing to say, and waits until the other side has seen it.
pub(super) fn look_in(target: &Target) -> Result {
    let mut stream = reach(target)?;
    stream.shutdown(Shutdown::Write)?;
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(Error::Unexpected("something was said to nobody".to_owned())),
    }
}

/// Reads exactly the three records of a server's flight.
fn server_flight(stream: &mut Stream) -> Result<Vec<u8>> {
    let mut flight = Vec::new();
    for _ in 0..3 {
        let start = flight.len();
        flight.resize(start + record::HEADER, 0);
        stream.read_exact(&mut flight[start..])?;
        let length = u16::from_be_bytes([flight[start + 3], flight[start + 4]]);
        flight.resize(start + record::HEADER + usize::from(length), 0);
        stream.read_exact(&mut flight[start + record::HEADER..])?;
    }
    Ok(flight)
}
