//! Bytes that change on the way, through a buffer that belongs to the thread.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;
use wire::tls::record;

use super::{finish, readable, write_all};

/// A record at its largest, with its header.
const RECORD: usize = record::HEADER + record::MAX_PAYLOAD;
/// How many records the buffer holds: 256 KiB and their headers.
const RECORDS: usize = 16;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; RECORDS * RECORD]);
}

/// Lends this thread's buffer: more than 256 KiB, with anything in it.
pub(crate) fn with_buffer<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| work(buffer))
}

/// How much is read at a time, in records: twice as much after each time that all of it was there
/// and was taken at once, and one again when something was left over. So a fast reader is served in
/// large pieces, and what is kept for a slow one is small: 16 KiB, and once up to 256 KiB when a fast
/// one becomes slow.
struct Appetite(usize);

impl Appetite {
    const fn small() -> Self {
        Self(1)
    }

    fn learn(&mut self, filled: bool, left_over: bool) {
        if left_over {
            self.0 = 1;
        } else if filled {
            self.0 = (self.0 * 2).min(RECORDS);
        }
    }
}

/// What came of one turn.
enum Turn {
    /// Everything went through; whether the buffer was full.
    Done { filled: bool, payload: usize },
    /// This much the other side did not take.
    Left { rest: Vec<u8>, payload: usize },
    /// There was nothing to read after all.
    Nothing,
    /// The side that is read has ended.
    End,
}

/// Moves bytes after `change` has had them: it changes them in place and tells how many it left.
/// Adds to `carried` what the other side has taken.
pub(super) fn transformed(
    from: &TcpStream,
    to: &TcpStream,
    carried: &AtomicU64,
    mut change: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> impl Future<Output = io::Result<()>> {
    turns(from, to, carried, move |buffer, appetite| {
        let piece = &mut buffer[..appetite * RECORD];
        let read = from.try_read(piece)?;
        let length = change(&mut piece[..read])?;
        Ok(Piece { read, filled: read == piece.len(), length, payload: length })
    })
}

/// Moves bytes into application-data records, after `change` has had each one's. They are read with a
/// gap before each 16 KiB, so that the headers find their place without anything being moved. Adds to `carried` what the other side
/// has taken, headers excepted.
pub(super) fn in_records(
    from: &TcpStream,
    to: &TcpStream,
    carried: &AtomicU64,
    mut change: impl FnMut(&mut [u8]),
) -> impl Future<Output = io::Result<()>> {
    turns(from, to, carried, move |buffer, appetite| {
        let read = {
            let mut records = buffer.chunks_exact_mut(RECORD);
            let mut gapped: [IoSliceMut<'_>; RECORDS] = std::array::from_fn(|_| {
                IoSliceMut::new(&mut records.next().expect("one each")[record::HEADER..])
            });
            from.try_read_vectored(&mut gapped[..appetite])?
        };
        let mut left = read;
        let mut length = 0;
        while left > 0 {
            let payload = left.min(record::MAX_PAYLOAD);
            buffer[length..length + record::HEADER].copy_from_slice(&record::header(payload));
            length += record::HEADER;
            change(&mut buffer[length..length + payload]);
            length += payload;
            left -= payload;
        }
        let filled = read == appetite * record::MAX_PAYLOAD;
        Ok(Piece { read, filled, length, payload: read })
    })
}

/// Moves what is there, at most `most` bytes and not much at a time; tells how much, 0 at the end.
pub(super) async fn once(from: &TcpStream, to: &TcpStream, most: u64) -> io::Result<u64> {
    let most = usize::try_from(most).unwrap_or(RECORD).min(RECORD);
    loop {
        readable(from).await?;
        let mut read = 0;
        let turn = BUFFER.with_borrow_mut(|buffer| {
            turn(buffer, to, |buffer| {
                read = from.try_read(&mut buffer[..most])?;
                Ok(Piece { read, filled: false, length: read, payload: read })
            })
        })?;
        match turn {
            Turn::Nothing => continue,
            Turn::Left { rest, .. } => write_all(to, &rest).await?,
            Turn::Done { .. } | Turn::End => {}
        }
        return Ok(read as u64);
    }
}

/// What was read into the buffer, and how much of the buffer is to be written.
struct Piece {
    read: usize,
    filled: bool,
    length: usize,
    /// How much of that is what the two sides say to each other.
    payload: usize,
}

async fn turns(
    from: &TcpStream,
    to: &TcpStream,
    carried: &AtomicU64,
    mut fill: impl FnMut(&mut [u8], usize) -> io::Result<Piece>,
) -> io::Result<()> {
    let mut appetite = Appetite::small();
    loop {
        readable(from).await?;
        let turn = BUFFER.with_borrow_mut(|buffer| turn(buffer, to, |b| fill(b, appetite.0)))?;
        match turn {
            Turn::Done { filled, payload } => {
                appetite.learn(filled, false);
                carried.fetch_add(payload as u64, Ordering::Relaxed);
            }
            Turn::Left { rest, payload } => {
                appetite.learn(false, true);
                write_all(to, &rest).await?;
                carried.fetch_add(payload as u64, Ordering::Relaxed);
            }
            Turn::Nothing => {}
            Turn::End => return finish(to),
        }
    }
}

fn turn(
    buffer: &mut [u8],
    to: &TcpStream,
    fill: impl FnOnce(&mut [u8]) -> io::Result<Piece>,
) -> io::Result<Turn> {
    let piece = match fill(buffer) {
        Ok(Piece { read: 0, .. }) => return Ok(Turn::End),
        Ok(piece) => piece,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Nothing),
        Err(error) => return Err(error),
    };
    let bytes = &buffer[..piece.length];
    let written = match to.try_write(bytes) {
        Ok(written) => written,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    match &bytes[written..] {
        [] => Ok(Turn::Done { filled: piece.filled, payload: piece.payload }),
        rest => Ok(Turn::Left { rest: rest.to_vec(), payload: piece.payload }),
    }
}
