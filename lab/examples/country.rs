//! Brings a country up and prints what passes from each home to a server abroad.
//!
//! ```text
//! sudo -E cargo run -p lab --example country
//! ```

use std::io::{ErrorKind, Write, stdout};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use lab::censor::Delay;
use lab::world::shutdowns;
use lab::{Host, Lab, Nat, Provider, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long somebody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than any curtain lets through.
const LONG: usize = 64 << 10;
/// TLS' first record, as far as the third byte of its length and what kind of message is in it.
const SERVER_HELLO: &[u8] = &[22, 3, 3, 0, 1, 2];

fn main() -> Result {
    let lab = Lab::new()?;
    let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
    for port in [53, 179, 443] {
        repeat(&server, port)?;
    }

    // Who lives where, and what their provider does.
    let free = Provider::on(&lab, "free").ipv6().start()?;
    let landline = Provider::on(&lab, "landline").ipv6().start()?;
    let mobile = Provider::on(&lab, "mobile").carrier_nat(Nat::carrier()).start()?;
    let cable = Provider::on(&lab, "cable").start()?;
    // The world is 50 ms away and back.
    let away = || Delay::of(Duration::from_millis(25));
    let _shutdowns = [
        shutdowns::january_2022().piece(away()).on(&landline)?,
        shutdowns::iran_2025().piece(away()).on(&mobile)?,
        shutdowns::russia_16k().piece(away()).on(&cable)?,
    ];
    let people = [
        ("nothing blocked", free.home("one")?.host("laptop")?),
        ("January 2022", landline.home("two")?.host("laptop")?),
        ("Iran 2025", mobile.home("three")?.host("tablet")?),
        ("Russia, 16 KB", cable.home("four")?.host("laptop")?),
    ];

    let mut out = stdout().lock();
    writeln!(out, "{:18}{}", "", people.each_ref().map(|(name, _)| format!("{name:18}")).concat())?;
    let v4 = |port| SocketAddr::new(server.v4(), port);
    let v6 = |port| SocketAddr::new(server.v6(), port);
    let rows: [(&str, SocketAddr, Question); 7] = [
        ("TCP 443", v4(443), Question::Words(b"salem")),
        ("TCP 443, TLS", v4(443), Question::Words(SERVER_HELLO)),
        ("TCP 179", v4(179), Question::Words(b"salem")),
        ("TCP 179, 64 KiB", v4(179), Question::Long),
        ("TCP 179, IPv6", v6(179), Question::Words(b"salem")),
        ("UDP 53", v4(53), Question::Datagram),
        ("UDP 443", v4(443), Question::Datagram),
    ];
    for (name, at, question) in rows {
        write!(out, "{name:18}")?;
        for (_, host) in &people {
            write!(out, "{:18}", ask(host, at, question)?)?;
            out.flush()?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What somebody says.
#[derive(Clone, Copy)]
enum Question {
    Words(&'static [u8]),
    Long,
    Datagram,
}

/// What comes of it, in a word.
fn ask(host: &Host, at: SocketAddr, question: Question) -> Result<String> {
    host.run(async move || {
        let come = match question {
            Question::Datagram => return Ok(datagram(at).await.to_owned()),
            Question::Words(words) => stream(at, words.to_vec()).await,
            Question::Long => stream(at, vec![0; LONG]).await,
        };
        Ok(come.unwrap_or_else(|error| error.to_string()))
    })
}

async fn stream(at: SocketAddr, words: Vec<u8>) -> Result<String> {
    let Ok(connected) = timeout(PATIENCE, TcpStream::connect(at)).await else {
        return Ok("vanishes".to_owned());
    };
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::NetworkUnreachable => {
            return Ok("no way".to_owned());
        }
        Err(_) => return Ok("refused".to_owned()),
    };
    let length = words.len();
    let (mut from, mut to) = stream.into_split();
    let said = tokio::spawn(async move { to.write_all(&words).await });
    let (mut heard, mut buffer) = (0, vec![0; 1 << 16]);
    while heard < length {
        match timeout(PATIENCE, from.read(&mut buffer)).await {
            Ok(Ok(read @ 1..)) => heard += read,
            Ok(_) => break,
            Err(_) if heard == 0 => return Ok("accepted, mute".to_owned()),
            Err(_) => return Ok(format!("freezes at {} KB", heard >> 10)),
        }
    }
    said.abort();
    Ok(if heard == length { "passes" } else { "broken off" }.to_owned())
}

async fn datagram(at: SocketAddr) -> &'static str {
    let asked = async {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect(at).await?;
        socket.send(b"salem").await?;
        socket.recv(&mut [0; 16]).await
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => "passes",
        Ok(Err(_)) => "refused",
        Err(_) => "vanishes",
    }
}

/// Says whatever it hears at a port again.
fn repeat(host: &Host, port: u16) -> Result {
    let connections = (Ipv6Addr::UNSPECIFIED, port).into();
    lab::echo::repeat(host, connections, (Ipv4Addr::UNSPECIFIED, port).into())
}
