//! A flood of first flights that no key opens, and people among it: from any address of this machine.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use socket2::{Domain, SockAddr, Socket, Type};
use wire::tls::hello::RANDOM;

use crate::client;
use crate::error::Result;

/// How many connections of a flood stay open: the relay has read what they said when they end.
const OPEN: usize = 512;

/// Somebody's `ee` link to www.example.org.
const LINK: &str = "tg://proxy?server=192.0.2.1&port=443&secret=ee00000000000000000000000000000000\
    7777772e6578616d706c652e6f7267";

/// A flood that goes on until it is dropped.
#[derive(Debug)]
pub struct Flood {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    source: Option<JoinHandle<()>>,
}

impl Flood {
    /// Sends so many first flights a second from one address to these endpoints in turn: by turns 64
    /// random bytes, and the hello of an app with a random proof.
    ///
    /// # Errors
    /// Never, as long as the client understands a link.
    pub fn start(from: IpAddr, to: Vec<SocketAddr>, rate: u32) -> Result<Self> {
        let mut hello = client::through(LINK)?.opening();
        let (is_over, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&sent));
        let source = thread::spawn(move || {
            let mut open = VecDeque::with_capacity(OPEN);
            let start = Instant::now();
            for (turn, to) in (0u32..).zip(to.iter().cycle()) {
                let due = start + Duration::from_secs(1) / rate * turn;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let mut noise = [0; 64];
                rand::fill(&mut noise).expect("the system gives random bytes");
                // What this begins like, others speak.
                noise[0] = 0x55;
                hello[RANDOM].copy_from_slice(&noise[..32]);
                let said = if turn % 2 == 0 { &noise[..] } else { &hello };
                // Whoever is not let in sends nothing.
                if let Ok(stream) =
                    connect(from, *to).and_then(|mut s| s.write_all(said).map(|()| s))
                {
                    count.fetch_add(1, Ordering::Relaxed);
                    open.push_back(stream);
                }
                if open.len() >= OPEN {
                    open.pop_front();
                }
            }
        });
        Ok(Self { is_over, sent, source: Some(source) })
    }

    /// How many first flights were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(source) = self.source.take() {
            // It has ended or it has panicked: there is nothing to be done about that here.
            let _ = source.join();
        }
    }
}

/// Connects from an address, says something and waits for the first byte of an answer; how long that
/// took, from the first packet on.
///
/// # Errors
/// When there is no connection or no answer within `patience`.
pub fn visit(
    from: IpAddr,
    to: SocketAddr,
    opening: &[u8],
    patience: Duration,
) -> io::Result<Duration> {
    let start = Instant::now();
    let mut stream = connect(from, to)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(opening)?;
    stream.read_exact(&mut [0])?;
    Ok(start.elapsed())
}

/// A connection that leaves nothing behind when it is closed: a flood would use up all ports.
fn connect(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.bind(&SockAddr::from(SocketAddr::from((from, 0))))?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}
