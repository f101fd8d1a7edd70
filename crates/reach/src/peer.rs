//! A relay for tests, made of nothing but `wire`: it answers echoes as a relay does, or as a box on
//! the way would have it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use wire::bundle::{Datagrams, Endpoint, Ports};
use wire::echo::climb::PIECES;
use wire::echo::{
    Answer, BundleId, Climb, Dress, EchoKey, Found, Kind, MaskKey, Piece, Shape, Table, Transport,
    Way, dress,
};

const ECHO: EchoKey = EchoKey([3; 16]);
const MASK: MaskKey = MaskKey([4; 8]);

/// What is met at a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    Honest,
    /// Accepts, and says nothing.
    Mute,
    /// Says this to everybody.
    Page,
    /// Says what it hears.
    Repeat,
    /// Leads to the relay's other port.
    Rewritten(u16),
    /// Lets so many pieces pass down, or up.
    FrozenDown(u16),
    FrozenUp(u16),
    /// Lets pieces pass down this slowly.
    Slow(Duration),
    /// Ends after so many pieces down.
    Reset(u16),
    /// Lets so many bytes of an answer pass.
    Cut(usize),
    /// Lets only this shape pass.
    Only(Shape),
}

fn now() -> u32 {
    let unix = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    u32::try_from(unix).expect("before 2106")
}

fn table() -> Table {
    Table::new(&MASK, [(BundleId([1; 16]), ECHO)], now())
}

/// What a bundle says of it.
pub(crate) fn endpoint(ip: IpAddr, ports: &[u16]) -> Endpoint {
    let ports: Vec<_> = ports.iter().filter_map(|port| NonZeroU16::new(*port)).collect();
    let ports = if ports.is_empty() { Ports::All } else { Ports::List(ports) };
    let (v4, v6) = match ip {
        IpAddr::V4(v4) => (Some(v4), None),
        IpAddr::V6(v6) => (None, Some(v6)),
    };
    let datagrams = Datagrams::Everywhere;
    Endpoint { v4, v6, ports, datagrams, echo_key: ECHO, mask_key: MASK, secret: None }
}

pub(crate) fn serve(at: SocketAddr, transport: Transport, manner: Manner) {
    match transport {
        Transport::Tcp => serve_tcp(at, manner),
        Transport::Udp => serve_udp(at, manner),
    }
}

fn serve_tcp(at: SocketAddr, manner: Manner) {
    let listener = TcpListener::bind(at).expect("a free port");
    let table = Arc::new(table());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let table = Arc::clone(&table);
            let Ok(stream) = stream else { return };
            thread::spawn(move || connection(&stream, &table, manner));
        }
    });
}

fn connection(stream: &TcpStream, table: &Table, manner: Manner) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = stream;
    let mut came = Vec::new();
    let mut buffer = [0; 4096];
    let mut reader = stream;
    let mut read = |came: &mut Vec<u8>| -> Option<()> {
        let length = reader.read(&mut buffer).ok().filter(|length| *length > 0)?;
        came.extend_from_slice(&buffer[..length]);
        Some(())
    };
    let from = stream.peer_addr().ok()?.ip();
    let is_near = |found: Found| found.may_come_from(from);
    let (shape, question, used) = loop {
        read(&mut came)?;
        match manner {
            Manner::Mute => continue,
            Manner::Page => return stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").ok(),
            Manner::Repeat => {
                stream.write_all(&came).ok()?;
                came.clear();
                continue;
            }
            _ => {}
        }
        match dress::find(Transport::Tcp, &came) {
            Some(found) if table.open(&found.1, now()).is_some_and(is_near) => break found,
            _ => {}
        }
    };
    if let Manner::Only(only) = manner
        && only != shape
    {
        thread::sleep(Duration::from_secs(20));
        return None;
    }
    let found = table.open(&question, now())?;
    let mut relay = stream.local_addr().ok()?;
    if let Manner::Rewritten(port) = manner {
        relay.set_port(port);
    }
    let asker = stream.peer_addr().ok()?;
    let answer = found.answer(&Answer { relay, asker, time: now(), reserved: [0; 8] });
    let dress = found.dress();
    while came.len() < used + dress.rest_of(&question) {
        read(&mut came)?;
    }
    let mut said = dress.answer(&came, &answer, now());
    if let Manner::Cut(most) = manner {
        // Of text, the shorter answers fit.
        while said.len() <= most && shape != Shape::Random {
            said = dress.answer(&came, &answer, now());
        }
        said.truncate(most);
    }
    stream.write_all(&said).ok()?;
    came.drain(..used + dress.rest_of(&question));
    let mut opening = Some(dress.opening(Way::Down, now()));
    let climb = found.climb();
    let (mut received, mut sent) = (0, 0);
    let mut say = |mut stream: &TcpStream, kind, number, received| {
        let piece = climb.seal(&Piece { kind, number, received, body: Vec::new() });
        let mut said = opening.take().unwrap_or_default();
        said.extend(dress.piece(Way::Down, &piece, &[]));
        stream.write_all(&said).ok()
    };
    stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    let mut silent = 0;
    loop {
        let came_now = read(&mut came);
        silent = if came_now.is_some() { 0 } else { silent + 1 };
        while let Ok(Some((sealed, used))) = dress.read_piece(Way::Up, &came) {
            came.drain(..used);
            let piece = climb.open(&sealed)?;
            if let Manner::FrozenUp(most) = manner
                && received >= most
            {
                continue;
            }
            match piece.kind {
                Kind::Load => received += 1,
                kind => say(stream, kind, piece.number, received)?,
            }
        }
        while received > 0
            && (sent + 1 < PIECES || (sent < PIECES && (received == PIECES || silent == 5)))
        {
            match manner {
                Manner::FrozenDown(most) if sent >= most => {
                    thread::sleep(Duration::from_secs(20));
                    return None;
                }
                Manner::Reset(most) if sent >= most => {
                    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).ok()?;
                    return None;
                }
                Manner::Slow(pause) => thread::sleep(pause),
                _ => {}
            }
            say(stream, Kind::Load, sent, received)?;
            sent += 1;
        }
        if silent > 500 {
            return None;
        }
    }
}

fn serve_udp(at: SocketAddr, manner: Manner) {
    let socket = UdpSocket::bind(at).expect("a free port");
    let table = table();
    thread::spawn(move || {
        let mut climbs: Vec<(SocketAddr, Climb, Dress, u16)> = Vec::new();
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let came = &buffer[..length];
            match manner {
                Manner::Mute => continue,
                Manner::Repeat => {
                    let _ = socket.send_to(came, from);
                    continue;
                }
                _ => {}
            }
            if let Some((shape, question, _)) = dress::find(Transport::Udp, came)
                && !matches!(manner, Manner::Only(only) if only != shape)
                && let Some(found) = table.open(&question, now())
                && found.may_come_from(from.ip())
            {
                let mut relay = at;
                if let Manner::Rewritten(port) = manner {
                    relay.set_port(port);
                }
                let answer = Answer { relay, asker: from, time: now(), reserved: [0; 8] };
                let answer = found.answer(&answer);
                let dressed = found.dress().answer(came, &answer, now());
                let _ = socket.send_to(&dressed, from);
                climbs.push((from, found.climb(), found.dress(), 0));
                continue;
            }
            for (_, climb, dress, received) in climbs.iter_mut().filter(|it| it.0 == from) {
                let read = dress.read_piece(Way::Up, came);
                let Ok(Some((sealed, _))) = read else { continue };
                let Some(piece) = climb.open(&sealed) else { continue };
                *received += u16::from(piece.kind == Kind::Load);
                if let Manner::FrozenDown(most) = manner
                    && *received > most
                {
                    continue;
                }
                let reply = Piece { received: *received, body: Vec::new(), ..piece };
                let sealed = climb.seal(&reply);
                let dressed = dress.piece(Way::Down, &sealed, came);
                let _ = socket.send_to(&dressed, from);
            }
        }
    });
}
