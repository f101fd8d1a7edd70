//! Somebody inside, a server in the world that repeats what it hears, and what one hears of the other.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

use lab::censor::{Censor, Piece};
use lab::{Error, Host, Lab, Network, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long somebody waits for an answer that should come.
const LONG: Duration = Duration::from_secs(10);
/// How long somebody waits to be sure of a silence.
const SHORT: Duration = Duration::from_millis(300);

/// A country with a phone in it, and the world with a server.
pub(crate) struct World {
    pub(crate) inside: Network,
    pub(crate) phone: Host,
    pub(crate) server: Host,
}

/// What came of asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// An answer.
    Answer(String),
    /// A connection was accepted, and then nothing was heard.
    Mute,
    /// Nobody accepted a connection, or answered a datagram.
    Nothing,
    /// The connection was refused, or broken off.
    Reset,
    /// The connection was ended without an answer.
    End,
}

impl Heard {
    pub(crate) fn says(what: &str) -> Self {
        Self::Answer(what.to_owned())
    }
}

impl World {
    pub(crate) fn new(lab: &Lab) -> Result<Self> {
        let inside = lab.network("inside")?;
        let phone = inside.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
        let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
        Ok(Self { inside, phone, server })
    }

    /// Puts one piece on the border.
    pub(crate) fn censor(&self, piece: impl Piece) -> Result<Censor> {
        Censor::on(&self.inside).piece(piece).start()
    }

    /// The server's two addresses, with this port, where it repeats what it hears.
    pub(crate) fn echo(&self, port: u16) -> Result<[SocketAddr; 2]> {
        echo(&self.server, port)?;
        Ok([self.server.v4(), self.server.v6()].map(|ip| SocketAddr::new(ip, port)))
    }

    /// What the phone hears of a server over TCP, if anything.
    pub(crate) fn tcp(&self, to: SocketAddr, words: &str) -> Result<Heard> {
        tcp(&self.phone, to, words.as_bytes().to_vec(), LONG)
    }

    /// The same, where nothing is expected.
    pub(crate) fn tcp_briefly(&self, to: SocketAddr, words: &str) -> Result<Heard> {
        tcp(&self.phone, to, words.as_bytes().to_vec(), SHORT)
    }

    /// What the phone hears of a server over UDP, if anything.
    pub(crate) fn udp(&self, to: SocketAddr, words: &str) -> Result<Heard> {
        udp(&self.phone, to, words, LONG)
    }

    /// The same, where nothing is expected.
    pub(crate) fn udp_briefly(&self, to: SocketAddr, words: &str) -> Result<Heard> {
        udp(&self.phone, to, words, SHORT)
    }
}

/// Repeats, at a port of a host, whatever is said there over TCP and UDP.
pub(crate) fn echo(host: &Host, port: u16) -> Result {
    let (ready, up) = mpsc::channel();
    let _ = host.start(async move || {
        let here = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let listener = TcpListener::bind(here).await?;
        let mut sockets = Vec::new();
        for any in [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()] {
            let socket = socket2::Socket::new(
                socket2::Domain::for_address(SocketAddr::new(any, port)),
                socket2::Type::DGRAM,
                None,
            )?;
            if any.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.set_nonblocking(true)?;
            socket.bind(&SocketAddr::new(any, port).into())?;
            sockets.push(UdpSocket::from_std(socket.into())?);
        }
        for socket in sockets {
            tokio::spawn(async move {
                let mut said = vec![0; 2000];
                while let Ok((length, from)) = socket.recv_from(&mut said).await {
                    let _ = socket.send_to(&said[..length], from).await;
                }
            });
        }
        ready.send(()).expect("the test waits");
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
        Ok(())
    })?;
    up.recv().expect("the server comes up");
    Ok(())
}

/// What a host hears when it says these words over TCP, in as many bytes.
pub(crate) fn tcp(
    host: &Host,
    to: SocketAddr,
    words: Vec<u8>,
    patience: Duration,
) -> Result<Heard> {
    let asked = host.run(async move || {
        let Ok(stream) = timeout(patience, TcpStream::connect(to)).await else {
            return Ok(Heard::Nothing);
        };
        let mut stream = stream?;
        stream.write_all(&words).await?;
        let mut said = vec![0; 4096];
        let Ok(read) = timeout(patience, stream.read(&mut said)).await else {
            return Ok(Heard::Mute);
        };
        Ok(match read? {
            0 => Heard::End,
            read => Heard::Answer(String::from_utf8_lossy(&said[..read]).into_owned()),
        })
    });
    match asked {
        Err(Error::Io { source, .. })
            if matches!(
                source.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
            ) =>
        {
            Ok(Heard::Reset)
        }
        asked => asked,
    }
}

fn udp(host: &Host, to: SocketAddr, words: &str, patience: Duration) -> Result<Heard> {
    let words = words.to_owned();
    host.run(async move || {
        let any = match to {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(to).await?;
        socket.send(words.as_bytes()).await?;
        let mut said = vec![0; 2000];
        Ok(match timeout(patience, socket.recv(&mut said)).await {
            Err(_) => Heard::Nothing,
            Ok(read) => Heard::Answer(String::from_utf8_lossy(&said[..read?]).into_owned()),
        })
    })
}
