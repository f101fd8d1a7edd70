//! Connections and datagrams, and what comes of them.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::{Host, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Knock {
    /// It was told this.
    Said(String),
    Refused,
    Silent,
}

pub(crate) async fn knock(at: SocketAddr) -> Knock {
    let attempt = async {
        let mut stream = TcpStream::connect(at).await?;
        let mut said = String::new();
        BufReader::new(&mut stream).read_line(&mut said).await?;
        // No connection that has ended is left to either side.
        stream.set_zero_linger()?;
        std::io::Result::Ok(said.trim().to_owned())
    };
    match timeout(Duration::from_secs(5), attempt).await {
        Ok(Ok(said)) => Knock::Said(said),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Knock::Refused,
        _ => Knock::Silent,
    }
}

pub(crate) fn knock_from(host: &Host, at: SocketAddr) -> Result<Knock> {
    host.run(async move || Ok(knock(at).await))
}

pub(crate) fn here(at: SocketAddr) -> Knock {
    Knock::Said(at.to_string())
}

/// What came of a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    /// It was told this, from this port.
    Said(String, u16),
    /// ICMP: nobody is there.
    Refused,
    Silent,
}

pub(crate) fn ask(socket: &UdpSocket, at: SocketAddr) -> Reply {
    let mut buffer = [0; 200];
    if socket.send_to(b"?", at).is_err() {
        return Reply::Refused;
    }
    match socket.recv_from(&mut buffer) {
        Ok((length, from)) => {
            Reply::Said(String::from_utf8_lossy(&buffer[..length]).into_owned(), from.port())
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Reply::Refused,
        Err(_) => Reply::Silent,
    }
}

/// Asks from a socket that takes answers from that port alone, and hears of refusals.
pub(crate) fn ask_from(host: &Host, at: SocketAddr) -> Result<Reply> {
    host.run(async move || {
        let any: IpAddr = if at.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.connect(at)?;
        let mut buffer = [0; 200];
        socket.send(b"?")?;
        Ok(match socket.recv(&mut buffer) {
            Ok(length) => {
                Reply::Said(String::from_utf8_lossy(&buffer[..length]).into_owned(), at.port())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Reply::Refused,
            Err(_) => Reply::Silent,
        })
    })
}

pub(crate) fn answered(at: SocketAddr) -> Reply {
    Reply::Said(at.to_string(), at.port())
}

/// Which of these ports of `address` do not say what they are, and how they differ.
pub(crate) async fn sweep(address: IpAddr, ports: Vec<u16>) -> BTreeSet<u16> {
    let todo = Arc::new(Mutex::new(ports));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let todo = todo.clone();
        workers.spawn(async move {
            let mut others = BTreeSet::new();
            loop {
                let Some(port) = todo.lock().expect("no panic").pop() else { return others };
                let at = SocketAddr::new(address, port);
                if knock(at).await != here(at) {
                    others.insert(port);
                }
            }
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}
