//! One connection of the user, with blocking calls: nothing between it and the kernel.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use lab::relay::Form;
use lab::{Error, Result, client};
use wire::ctr::Ctr;
use wire::mtproto::obfuscated::{Dial, Tag};
use wire::mtproto::{DcId, ProxyLink, ProxySecret, faketls};
use wire::tls::{hello::RANDOM, record, record::Unframer};

use super::message::{self, ANSWER, Argument, CHECKED, PIECE};

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest record body that the apps send.
const BODY: usize = 2878;

/// Where to, and with which secret.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    at: SocketAddr,
    /// None: straight to the datacentre.
    secret: Option<ProxySecret>,
    link: String,
}

impl Target {
    pub(crate) fn link(text: &str) -> Result<Self> {
        let bad = |why: &dyn ToString| Error::Unexpected(format!("{text}: {}", why.to_string()));
        let link: ProxyLink = text.parse().map_err(|error| bad(&error))?;
        let ip = link.server.parse().map_err(|error: std::net::AddrParseError| bad(&error))?;
        let at = SocketAddr::new(ip, link.port.get());
        Ok(Self { at, secret: Some(link.secret), link: text.to_owned() })
    }

    /// How its traffic is dressed; `None` without a proxy.
    pub(crate) fn form(&self) -> Option<Form> {
        self.secret.as_ref().map(|secret| match secret {
            ProxySecret::Plain(_) => Form::Plain,
            ProxySecret::Padded(_) => Form::Padded,
            ProxySecret::FakeTls(..) => Form::FakeTls,
        })
    }

    pub(crate) fn straight_to(at: SocketAddr) -> Self {
        Self { at, secret: None, link: String::new() }
    }
}

/// An open connection that has been answered.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    incoming: Ctr,
    outgoing: Ctr,
    /// Takes the records off, where there are any.
    records: Option<Unframer>,
}

impl Connection {
    /// Connects, shakes hands, pings and has the answer checked. As the apps do, it sends its first
    /// flight and its first message together.
    pub(crate) fn establish(target: &Target) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&target.at, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut opening = Vec::new();
        let mut records = None;
        if let Some(ProxySecret::FakeTls(key, _)) = &target.secret {
            let hello = client::through(&target.link)?.opening();
            stream.write_all(&hello)?;
            let flight = server_flight(&mut stream)?;
            let random = hello[RANDOM].first_chunk().expect("32 bytes");
            if !faketls::flight_is_valid(&flight, random, key) {
                return Err(Error::Unexpected("it does not know the secret".to_owned()));
            }
            opening.extend([0x14, 3, 3, 0, 1, 1]);
            records = Some(Unframer::default());
        }
        let tag = match &target.secret {
            Some(ProxySecret::Padded(_) | ProxySecret::FakeTls(..)) => Tag::Padded,
            Some(ProxySecret::Plain(_)) | None => Tag::Intermediate,
        };
        let key = target.secret.as_ref().map(ProxySecret::key);
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

/// Reads exactly the three records of a server's flight.
fn server_flight(stream: &mut TcpStream) -> Result<Vec<u8>> {
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
