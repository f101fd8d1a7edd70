//! Many packets by one call of the system.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{sock_extended_err, sockaddr_in6};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, recvmsg, sendmmsg,
};
use socket2::Socket;

/// How many packets one call sends or receives.
pub(crate) const BATCH: usize = 64;
/// How often a call is made again that failed by no fault of its own.
const PATIENCE: u32 = 50;
/// How many refusals are read at a time.
const MOST_REFUSALS: usize = 1024;
/// As long as one may be that comes, in bytes.
const LONGEST: usize = 1500;

/// How many of them went out.
pub(crate) fn send_all(socket: &Socket, batch: &[(SocketAddr, &[u8])]) -> usize {
    let slices: Vec<[IoSlice<'_>; 1]> =
        batch.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
    let addresses: Vec<Option<SockaddrStorage>> =
        batch.iter().map(|(to, _)| Some((*to).into())).collect();
    let mut sent = 0;
    let mut patience = PATIENCE;
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
            Err(error) if is_about_another(error) && patience > 0 => patience -= 1,
            Err(_) => return sent,
        }
    }
    sent
}

/// Whether it is a router's word about an earlier datagram, which the next call is told, whatever it is:
/// [`refusals`] has it too.
fn is_about_another(error: Errno) -> bool {
    let words = [
        Errno::ECONNREFUSED,
        Errno::EHOSTUNREACH,
        Errno::ENETUNREACH,
        Errno::EHOSTDOWN,
        Errno::ENONET,
        Errno::ENOPROTOOPT,
        Errno::EACCES,
        Errno::EPROTO,
        Errno::EMSGSIZE,
    ];
    words.contains(&error)
}

/// What routers, or somebody in their name, have said of datagrams that were sent (ICMP): to where, and
/// why not. The socket must have been told to keep it (`IP_RECVERR`).
pub(crate) fn refusals(socket: &Socket) -> Vec<(SocketAddr, Errno)> {
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let mut space = cmsg_space!(sock_extended_err, sockaddr_in6);
    let mut refusals = Vec::new();
    while refusals.len() < MOST_REFUSALS {
        let mut nothing: [IoSliceMut<'_>; 0] = [];
        let fd = socket.as_raw_fd();
        let Ok(said) = recvmsg::<SockaddrStorage>(fd, &mut nothing, Some(&mut space), flags) else {
            break;
        };
        let to = said.address.and_then(|it| address(&it));
        for word in said.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::Ipv4RecvErr(error, _)
            | ControlMessageOwned::Ipv6RecvErr(error, _) = word
                && let (Some(to), Ok(code)) = (to, error.ee_errno.try_into())
            {
                refusals.push((to, Errno::from_raw(code)));
            }
        }
    }
    refusals
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
        for _ in 0..PATIENCE {
            match self.try_receive(socket) {
                Ok(count) => return count,
                Err(error) if error == Errno::EINTR || is_about_another(error) => {}
                Err(_) => break,
            }
        }
        0
    }

    fn try_receive(&mut self, socket: &Socket) -> nix::Result<usize> {
        self.came.clear();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let mut count = 0;
        for (at, message) in recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None)?.enumerate()
        {
            count += 1;
            if let Some(from) = message.address.and_then(|it| address(&it)) {
                self.came.push((from, at, message.bytes));
            }
        }
        Ok(count)
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
