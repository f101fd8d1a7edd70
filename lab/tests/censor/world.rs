//! Somebody inside, a server in the world, and what one hears of the other.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use lab::censor::{Censor, Piece};
use lab::{Error, Host, Lab, Network, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long somebody waits for an answer that should come.
pub(crate) const LONG: Duration = Duration::from_secs(10);
/// How long somebody waits to be sure of a silence.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

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

    /// Repeats, at a port of the server, whatever is said there; where that is, in both families.
    pub(crate) fn echo(&self, port: u16) -> Result<[SocketAddr; 2]> {
        let _ = serve(&self.server, port, None)?;
        Ok([self.server.v4(), self.server.v6()].map(|ip| SocketAddr::new(ip, port)))
    }

    /// What the phone hears of a server over TCP, if anything.
    pub(crate) fn tcp(&self, to: SocketAddr, words: impl AsRef<[u8]>) -> Result<Heard> {
        tcp(&self.phone, to, words.as_ref(), LONG, LONG)
    }

    /// The same, where somebody should accept and nothing is expected then.
    pub(crate) fn tcp_half(&self, to: SocketAddr, words: impl AsRef<[u8]>) -> Result<Heard> {
        tcp(&self.phone, to, words.as_ref(), LONG, SHORT)
    }

    /// The same, where nobody should accept.
    pub(crate) fn tcp_briefly(&self, to: SocketAddr, words: impl AsRef<[u8]>) -> Result<Heard> {
        tcp(&self.phone, to, words.as_ref(), SHORT, SHORT)
    }

    /// What the phone hears of a server over UDP, if anything.
    pub(crate) fn udp(&self, to: SocketAddr, words: impl AsRef<[u8]>) -> Result<Heard> {
        udp(&self.phone, to, words.as_ref(), LONG)
    }

    /// The same, where nothing is expected.
    pub(crate) fn udp_briefly(&self, to: SocketAddr, words: impl AsRef<[u8]>) -> Result<Heard> {
        udp(&self.phone, to, words.as_ref(), SHORT)
    }

    /// How many answers come to so many datagrams, each of 1,000 bytes, all sent at once, where so
    /// many are expected.
    pub(crate) fn volley(&self, to: SocketAddr, count: usize, expected: usize) -> Result<usize> {
        self.phone.run(async move || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
            socket.connect(to).await?;
            for _ in 0..count {
                socket.send(&[0; 1000]).await?;
            }
            let (mut answers, mut said) = (0, [0; 2000]);
            let patience = |answers| if answers < expected { LONG } else { SHORT };
            while let Ok(read) = timeout(patience(answers), socket.recv(&mut said)).await {
                read?;
                answers += 1;
            }
            Ok(answers)
        })
    }

    /// How many bytes come back when so many are sent over one connection, where at least so many are
    /// expected.
    pub(crate) fn returned(&self, to: SocketAddr, count: usize, expected: usize) -> Result<usize> {
        self.phone.run(async move || {
            let (mut from, mut to) = TcpStream::connect(to).await?.into_split();
            tokio::spawn(async move {
                let _ = to.write_all(&vec![0; count]).await;
                std::future::pending::<()>().await;
            });
            let (mut returned, mut said) = (0, vec![0; 1 << 16]);
            let patience = |returned| if returned < expected { LONG } else { SHORT };
            while returned < count
                && let Ok(read) = timeout(patience(returned), from.read(&mut said)).await
            {
                returned += read?;
            }
            Ok(returned)
        })
    }
}

/// What a server hears first on each connection, or how that ended.
pub(crate) type Ear = Receiver<Result<Vec<u8>, ErrorKind>>;

/// Answers, at a port of a host and over TCP and UDP, whatever is said with the same words, or with
/// these.
pub(crate) fn serve(host: &Host, port: u16, answer: Option<&'static str>) -> Result<Ear> {
    let (heard, ear) = mpsc::channel();
    let (ready, up) = mpsc::channel();
    let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    let _ = host.start(async move || {
        for ip in any {
            let socket = udp_socket(SocketAddr::new(ip, port))?;
            tokio::spawn(async move {
                let mut said = vec![0; 2000];
                while let Ok((length, from)) = socket.recv_from(&mut said).await {
                    let words = answer.map_or(&said[..length], str::as_bytes);
                    let _ = socket.send_to(words, from).await;
                }
            });
        }
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await?;
        ready.send(()).expect("the test waits");
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(listen(stream, answer, heard.clone()));
        }
        Ok(())
    })?;
    up.recv().expect("the server comes up");
    Ok(ear)
}

async fn listen(
    mut stream: TcpStream,
    answer: Option<&str>,
    heard: Sender<Result<Vec<u8>, ErrorKind>>,
) {
    let mut said = vec![0; 1 << 16];
    let mut is_first = true;
    loop {
        let read = stream.read(&mut said).await;
        if std::mem::take(&mut is_first) {
            let words = read.as_ref().map(|&read| said[..read].to_vec());
            let _ = heard.send(words.map_err(std::io::Error::kind));
        }
        let Ok(read @ 1..) = read else { return };
        let words = answer.map_or(&said[..read], str::as_bytes);
        if stream.write_all(words).await.is_err() {
            return;
        }
    }
}

/// A socket that has its port in one family alone.
fn udp_socket(at: SocketAddr) -> Result<UdpSocket> {
    let domain = socket2::Domain::for_address(at);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    Ok(UdpSocket::from_std(socket.into())?)
}

/// What a host hears when it says these words over TCP; with none, when it only connects.
pub(crate) fn tcp(
    host: &Host,
    to: SocketAddr,
    words: &[u8],
    accepting: Duration,
    answering: Duration,
) -> Result<Heard> {
    let words = words.to_vec();
    let asked = host.run(async move || {
        let Ok(stream) = timeout(accepting, TcpStream::connect(to)).await else {
            return Ok(Heard::Nothing);
        };
        let mut stream = stream?;
        stream.write_all(&words).await?;
        let mut said = vec![0; 1 << 16];
        let Ok(read) = timeout(answering, stream.read(&mut said)).await else {
            return Ok(Heard::Mute);
        };
        Ok(match read? {
            0 => Heard::End,
            read => Heard::Answer(String::from_utf8_lossy(&said[..read]).into_owned()),
        })
    });
    let is_reset =
        |kind| [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset].contains(&kind);
    match asked {
        Err(Error::Io { source, .. }) if is_reset(source.kind()) => Ok(Heard::Reset),
        asked => asked,
    }
}

fn udp(host: &Host, to: SocketAddr, words: &[u8], patience: Duration) -> Result<Heard> {
    let words = words.to_vec();
    host.run(async move || {
        let any = match to {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(to).await?;
        socket.send(&words).await?;
        let mut said = vec![0; 2000];
        Ok(match timeout(patience, socket.recv(&mut said)).await {
            Err(_) => Heard::Nothing,
            Ok(read) => Heard::Answer(String::from_utf8_lossy(&said[..read?]).into_owned()),
        })
    })
}
