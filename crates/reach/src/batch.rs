//! Many packets by one call of the system.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use socket2::Socket;

/// How many packets one call sends or receives.
pub(crate) const BATCH: usize = 64;
/// As long as one may be that comes, in bytes.
const LONGEST: usize = 1500;

/// How many of them went out.
pub(crate) fn send_all(socket: &Socket, batch: &[(SocketAddr, &[u8])]) -> usize {
    let slices: Vec<[IoSlice<'_>; 1]> =
        batch.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
    let addresses: Vec<Option<SockaddrStorage>> =
        batch.iter().map(|(to, _)| Some((*to).into())).collect();
    let mut sent = 0;
    let mut patience = 50;
    while sent < batch.len() {
        let mut headers = MultiHeaders::preallocate(batch.len() - sent, None);
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
        match sendmmsg(fd, &mut headers, &slices[sent..], &addresses[sent..], [], flags) {
            Ok(results) => sent += results.count(),
            Err(nix::Error::EINTR) => {}
            // The card is busy. It is not for long, or something is wrong.
            Err(nix::Error::EAGAIN | nix::Error::ENOBUFS) if patience > 0 => {
                patience -= 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            // An old word of a router's about another datagram.
            Err(nix::Error::ECONNREFUSED) if patience > 0 => patience -= 1,
            Err(_) => return sent,
        }
    }
    sent
}

/// What one call received.
pub(crate) struct Incoming {
    buffers: Vec<[u8; LONGEST]>,
    came: Vec<(SocketAddr, usize, usize)>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { buffers: vec![[0; LONGEST]; BATCH], came: Vec::new() }
    }
}

impl Incoming {
    /// How many came.
    pub(crate) fn receive(&mut self, socket: &Socket) -> usize {
        self.came.clear();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let mut count = 0;
        if let Ok(results) = recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None) {
            for (at, message) in results.enumerate() {
                count += 1;
                if let Some(from) = message.address.and_then(|it| address(&it)) {
                    self.came.push((from, at, message.bytes));
                }
            }
        }
        count
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.came.iter().map(|(from, at, length)| (*from, &self.buffers[*at][..*length]))
    }
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = from.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    let v6 = from.as_sockaddr_in6()?;
    Some(SocketAddr::new(v6.ip().into(), v6.port()))
}
