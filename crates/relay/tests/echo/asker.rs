//! Somebody with a bundle.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime};

use wire::derive::RelayKey;
use wire::echo::climb::PIECES;
use wire::echo::{
    Answer, Asker, BundleId, Climb, Dress, Kind, Near, Piece, Question, Shape, Transport, Wanted,
    Way,
};

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn now() -> u32 {
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    u32::try_from(since).expect("before 2106")
}

/// What a bundle says of one relay.
pub struct Endpoint {
    pub at: SocketAddr,
    pub asker: Asker,
    /// What its questions name as the network that they come from.
    pub near: Option<Near>,
}

impl Endpoint {
    pub fn new(at: SocketAddr, key: &RelayKey, bundle: BundleId) -> Self {
        let asker = Asker::new(&key.echo_key(bundle), &key.mask_key());
        Self { at, asker, near: None }
    }

    /// A question, and how it is dressed.
    pub fn question(&self, transport: Transport, shape: Shape, time: u32) -> (Question, Vec<u8>) {
        let wanted = Wanted { transport, shape, relay: self.at, time, near: self.near };
        let question = self.asker.ask(&wanted, wire::random());
        (question, self.dress(transport, shape).question(&question))
    }

    pub fn dress(&self, transport: Transport, shape: Shape) -> Dress {
        self.asker.dress(transport, shape, "www.example.org")
    }

    /// Asks on a connection of its own.
    pub fn ask(&self, shape: Shape) -> io::Result<Reached> {
        let (question, dressed) = self.question(Transport::Tcp, shape, now());
        self.say(shape, question, &[&dressed])
    }

    /// The same in these pieces.
    pub fn say(&self, shape: Shape, question: Question, pieces: &[&[u8]]) -> io::Result<Reached> {
        let mut stream = connect(self.at)?;
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            stream.write_all(piece)?;
        }
        let mut came = Vec::new();
        let dress = self.dress(Transport::Tcp, shape);
        let sealed = loop {
            let read = dress.read_answer(&came);
            if let Some((sealed, used)) = read.map_err(io::Error::other)? {
                came.drain(..used);
                break sealed;
            }
            read_some(&mut stream, &mut came)?;
        };
        let answer = self.asker.read(&question, &sealed).ok_or(io::ErrorKind::InvalidData)?;
        let opening = dress.opening(Way::Up, now());
        Ok(Reached { dress, stream, climb: self.asker.climb(&question), answer, came, opening })
    }
}

/// A connection on which a question was answered.
pub struct Reached {
    dress: Dress,
    pub stream: TcpStream,
    climb: Climb,
    pub answer: Answer,
    came: Vec<u8>,
    /// What goes before the first piece.
    opening: Vec<u8>,
}

impl Reached {
    pub fn send(&mut self, kind: Kind, number: u16, received: u16) -> io::Result<()> {
        self.send_piece(&Piece { kind, number, received, body: Vec::new() })
    }

    /// Asks for a receipt, having received so many pieces.
    pub fn receipt(&mut self, told: &[u8], received: u16) -> io::Result<Vec<u8>> {
        self.send_piece(&Piece { kind: Kind::Receipt, number: 0, received, body: told.to_vec() })?;
        Ok(self.receive()?.body)
    }

    fn send_piece(&mut self, piece: &Piece) -> io::Result<()> {
        let sealed = self.climb.seal(piece);
        let mut said = std::mem::take(&mut self.opening);
        said.extend(self.dress.piece(Way::Up, &sealed, &[]));
        self.stream.write_all(&said)
    }

    pub fn receive(&mut self) -> io::Result<Piece> {
        loop {
            let read = self.dress.read_piece(Way::Down, &self.came);
            if let Some((sealed, used)) = read.map_err(io::Error::other)? {
                self.came.drain(..used);
                return self.climb.open(&sealed).ok_or(io::ErrorKind::InvalidData.into());
            }
            read_some(&mut self.stream, &mut self.came)?;
        }
    }

    /// Sends `up` pieces of load and reads all of the relay's: what it says to have received, each time.
    pub fn climb(&mut self, up: u16) -> io::Result<Vec<u16>> {
        for number in 0..up {
            self.send(Kind::Load, number, 0)?;
        }
        let mut received = Vec::new();
        for number in 0..PIECES {
            let piece = self.receive()?;
            assert_eq!((piece.kind, piece.number), (Kind::Load, number));
            received.push(piece.received);
        }
        Ok(received)
    }
}

pub fn connect(at: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn read_some(stream: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => {
            into.extend_from_slice(&buffer[..length]);
            Ok(())
        }
    }
}

/// What a stranger hears who says this, until the end or until nothing more comes.
pub fn heard(at: SocketAddr, said: &[u8], patience: Duration) -> Vec<u8> {
    let mut stream = connect(at).expect("it listens");
    stream.set_read_timeout(Some(patience)).expect("set");
    stream.write_all(said).expect("it reads");
    let mut heard = Vec::new();
    while read_some(&mut stream, &mut heard).is_ok() {}
    heard
}

/// Somebody who asks by datagrams, from one port.
pub struct ByDatagrams {
    pub socket: UdpSocket,
}

impl ByDatagrams {
    pub fn new(at: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect(at).expect("a route");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Self { socket }
    }

    /// What is said to a datagram; nothing, if nothing is within a while.
    pub fn say(&self, datagram: &[u8], patience: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(patience)).expect("set");
        self.socket.send(datagram).expect("sent");
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).ok()?;
        assert!(length <= datagram.len(), "{length} bytes to {}", datagram.len());
        Some(buffer[..length].to_vec())
    }

    /// Asks, and tells what may follow.
    pub fn ask(&self, endpoint: &Endpoint, shape: Shape) -> Option<(Answer, Rope)> {
        let dress = endpoint.dress(Transport::Udp, shape);
        let (question, dressed) = endpoint.question(Transport::Udp, shape, now());
        let came = self.say(&dressed, PATIENCE)?;
        let (sealed, _) = dress.read_answer(&came).ok()??;
        let answer = endpoint.asker.read(&question, &sealed)?;
        let opening = dress.opening(Way::Up, now());
        if !opening.is_empty() {
            self.socket.send(&opening).expect("sent");
        }
        Some((answer, Rope { dress, climb: endpoint.asker.climb(&question) }))
    }

    /// Sends a piece; what is said to it, if anything is within a while.
    pub fn piece(
        &self,
        rope: &Rope,
        (kind, number): (Kind, u16),
        patience: Duration,
    ) -> Option<Piece> {
        let piece = Piece { kind, number, received: PIECES, body: Vec::new() };
        let came = self.say(&rope.dress.piece(Way::Up, &rope.climb.seal(&piece), &[]), patience)?;
        rope.climb.open(&rope.dress.read_piece(Way::Down, &came).ok()??.0)
    }
}

/// What follows an answer by datagrams.
pub struct Rope {
    dress: Dress,
    climb: Climb,
}
