//! Datagrams, on whichever port they come: whose is it? Who has no key hears nothing, and nobody hears
//! more than they said.

use std::io;
use std::net::{SocketAddr, UdpSocket as BoundSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::{Door, Relay, Shared, echo};

/// How long a datagram may be that is anybody's, in bytes.
const LONGEST: usize = wire::echo::dress::LONGEST;
/// How many are heard before others have their turn.
const TURN: u32 = 64;
/// Of what share of a core those are heard that are nobody's: a half.
const SHARE: u32 = 2;
/// How far ahead of that they may be.
const AHEAD: Duration = Duration::from_millis(10);

/// Who sent a datagram, and where to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// The sender.
    pub from: SocketAddr,
    /// The address and port of ours that it was sent to.
    pub to: SocketAddr,
}

/// Where datagrams come in, and from where answers leave by the address and port that was asked.
pub trait Datagrams: Send + Sync + 'static {
    /// The socket to wait on. It does not block.
    fn socket(&self) -> &BoundSocket;

    /// The next datagram, cut to the length of the buffer: how many bytes, and who sent it where.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is none now, and whatever the system reports.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Flow)>;

    /// Answers the sender of a flow.
    ///
    /// # Errors
    /// What the system reports; the answer is lost then, as any datagram may be.
    fn answer(&self, flow: &Flow, payload: &[u8]) -> io::Result<()>;
}

impl Relay {
    /// Hears the datagrams that come in there, and answers those that are somebody's with a key.
    ///
    /// # Errors
    /// When the socket cannot be waited on.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn serve_datagrams(&self, datagrams: impl Datagrams) -> io::Result<Door> {
        let socket = UdpSocket::from_std(datagrams.socket().try_clone()?)?;
        self.0.begin();
        let hearing = hear(Arc::clone(&self.0), datagrams, socket);
        Ok(Door(tokio::spawn(hearing).abort_handle()))
    }
}

/// What is said to a datagram, if anything.
pub(crate) fn answer(shared: &Shared, flow: &Flow, datagram: &[u8]) -> Option<Vec<u8>> {
    let answer = echo::udp::hear(shared, flow, datagram)?;
    // Whoever is named as the sender may be somebody else's victim.
    (answer.len() <= datagram.len()).then_some(answer)
}

async fn hear(shared: Arc<Shared>, datagrams: impl Datagrams, socket: UdpSocket) {
    let mut buffer = [0; LONGEST + 1];
    let mut free_at = Instant::now();
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        let (start, mut heard, mut nobodys) = (Instant::now(), 0, 0);
        while heard < TURN {
            let received = socket.try_io(Interest::READABLE, || datagrams.receive(&mut buffer));
            match received {
                Ok((length, flow)) => {
                    let whole = buffer.get(..length).filter(|whole| whole.len() <= LONGEST);
                    match whole.and_then(|datagram| answer(&shared, &flow, datagram)) {
                        // What the link does not take is lost, as it may be anywhere.
                        Some(answer) => drop(datagrams.answer(&flow, &answer)),
                        None => nobodys += 1,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Of one datagram; or of the system, and then it is not asked too often.
                Err(_) => nobodys += 1,
            }
            heard += 1;
        }
        // However many come that are nobody's, the kernel drops those that are too many.
        let end = Instant::now();
        let spent = (end - start) * nobodys / heard.max(1);
        free_at = free_at.max(end.checked_sub(AHEAD).unwrap_or(end)) + spent * SHARE;
        if free_at > end {
            tokio::time::sleep_until(free_at.into()).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}
