//! The same bytes on both sides: moved by the kernel, never seen by us.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{SpliceFFlags, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use self::pipe::{Pipe, Size};
use super::{copy, finish, readable, writable};

mod pipe;

/// Who has room again so soon is fast: at 50 MB/s a large pipe is emptied in it.
const PROMPT: Duration = Duration::from_millis(20);

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

/// How much went through since the other side last kept us waiting. A large pipe spares most of the
/// calls, but only with who takes as much at once: for a slow reader it would fill up and stay so.
/// What fits into the socket's own buffer, at most 4 MiB as systems come, says nothing about the
/// reader.
#[derive(Default)]
struct Stretch(usize);

impl Stretch {
    const LONG: usize = 4 << 20;

    fn size(&self) -> Size {
        if self.0 < Self::LONG { Size::Usual } else { Size::Large }
    }

    fn learn(&mut self, taken: usize, promptly: bool) {
        self.0 = if promptly { (self.0 + taken).min(Self::LONG) } else { 0 };
    }
}

/// One future for both, because one within another would be given everything twice.
async fn shifts(
    from: &TcpStream,
    to: &TcpStream,
    mut most: u64,
    carried: &AtomicU64,
    and_end: bool,
) -> io::Result<()> {
    let mut stretch = Stretch::default();
    while most > 0 {
        readable(from).await?;
        let Ok(pipe) = Pipe::take(stretch.size()) else {
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
        let chunk = usize::try_from(most).unwrap_or(usize::MAX).min(Size::Large.bytes());
        match from.try_io(Interest::READABLE, || shift(from, &pipe.write, chunk)) {
            Ok(0) => {
                pipe.give_back();
                break;
            }
            Ok(taken) => {
                most -= taken as u64;
                let promptly = drain(&pipe, to, taken).await?;
                stretch.learn(taken, promptly);
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

/// Empties the pipe; tells whether the other side took everything without keeping us waiting.
async fn drain(pipe: &Pipe, to: &TcpStream, mut left: usize) -> io::Result<bool> {
    let mut full_since = None;
    while left > 0 {
        match to.try_io(Interest::WRITABLE, || shift(&pipe.read, to, left)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(moved) => left -= moved,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                full_since.get_or_insert_with(Instant::now);
                writable(to).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(full_since.is_none_or(|since| since.elapsed() < PROMPT))
}

fn shift(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, length, flags)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_keeps_up_for_long_is_served_from_a_large_pipe() {
        let mut stretch = Stretch::default();
        let piece = Size::Usual.bytes();
        for _ in 1..Stretch::LONG / piece {
            stretch.learn(piece, true);
            assert_eq!(stretch.size(), Size::Usual);
        }
        stretch.learn(piece, true);
        assert_eq!(stretch.size(), Size::Large);
        stretch.learn(Size::Large.bytes(), false);
        assert_eq!(stretch.size(), Size::Usual);
    }
}
