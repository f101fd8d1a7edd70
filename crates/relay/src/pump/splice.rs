//! The same bytes on both sides: moved by the kernel, never seen by us.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{OFlag, SpliceFFlags, splice};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{copy, finish, readable, writable};

/// The most that is asked of one call; a pipe of the usual 16 pages takes less.
const CHUNK: usize = 256 << 10;
/// How many idle pipes a thread keeps for the next connections.
const SPARE: usize = 16;

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

thread_local! {
    static SPARE_PIPES: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

impl Pipe {
    fn take() -> io::Result<Self> {
        if let Some(pipe) = SPARE_PIPES.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Self { read, write })
    }

    /// For the next connection. Only an empty pipe may be given back.
    fn give_back(self) {
        SPARE_PIPES.with_borrow_mut(|spare| {
            if spare.len() < SPARE {
                spare.push(self);
            }
        });
    }
}

/// Moves all bytes that come from one side to the other, until the end, which is passed on, or until
/// `most` bytes have gone. Adds to `carried` what the other side has taken.
pub(super) fn all(
    from: &TcpStream,
    to: &TcpStream,
    most: u64,
    carried: &AtomicU64,
) -> impl Future<Output = io::Result<()>> {
    shifts(from, to, most, carried, true)
}

/// Moves at most `most` bytes, and says nothing of the end.
pub(super) fn some(
    from: &TcpStream,
    to: &TcpStream,
    most: u64,
    carried: &AtomicU64,
) -> impl Future<Output = io::Result<()>> {
    shifts(from, to, most, carried, false)
}

/// One future for both, because one within another would be given everything twice.
async fn shifts(
    from: &TcpStream,
    to: &TcpStream,
    mut most: u64,
    carried: &AtomicU64,
    and_end: bool,
) -> io::Result<()> {
    while most > 0 {
        readable(from).await?;
        let Ok(pipe) = Pipe::take() else {
            // Out of descriptors: slower, but it goes on.
            match copy::once(from, to, most).await? {
                0 => break,
                moved => {
                    most -= moved;
                    carried.fetch_add(moved, Ordering::Relaxed);
                }
            }
            continue;
        };
        let chunk = CHUNK.min(usize::try_from(most).unwrap_or(CHUNK));
        match from.try_io(Interest::READABLE, || shift(from, &pipe.write, chunk)) {
            Ok(0) => {
                pipe.give_back();
                break;
            }
            Ok(taken) => {
                most -= taken as u64;
                drain(&pipe, to, taken).await?;
                carried.fetch_add(taken as u64, Ordering::Relaxed);
                pipe.give_back();
            }
            // The pipe is empty, so it is the socket that has nothing.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pipe.give_back(),
            Err(error) => return Err(error),
        }
    }
    if and_end { finish(to) } else { Ok(()) }
}

async fn drain(pipe: &Pipe, to: &TcpStream, mut left: usize) -> io::Result<()> {
    while left > 0 {
        match to.try_io(Interest::WRITABLE, || shift(&pipe.read, to, left)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(moved) => left -= moved,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => writable(to).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn shift(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, length, flags)?)
}
