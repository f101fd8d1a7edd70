//! A long way of an ordinary width.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc as blocking;
use std::time::Duration;

use lab::{Error, Host, Result, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// How long bytes take, each way.
pub(crate) const DELAY: Duration = Duration::from_millis(100);
/// How many bytes a second go each way, each connection for itself: 100 Mbit/s.
pub(crate) const RATE: f64 = 12.5e6;

const PIECE: usize = 16 << 10;
/// How many pieces may be on their way: more than there is room for in the delay.
const PIECES: usize = 256;
/// How long somebody who had nothing to say may be faster than that afterwards: as long as timers
/// may be late.
const SLACK: Duration = Duration::from_millis(20);

/// A port of a host from which connections lead on, as if it were far. Dropped, it ends with all its
/// connections.
#[derive(Debug)]
pub(crate) struct Path {
    at: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    task: Option<Task<()>>,
}

impl Path {
    pub(crate) fn open(host: &Host, to: SocketAddr) -> Result<Self> {
        let ip = host.v4();
        let (end, ended) = oneshot::channel();
        let (ready, wait) = blocking::channel();
        let task = host.start(async move || {
            let listener = TcpListener::bind((ip, 0)).await?;
            let _ = ready.send(listener.local_addr()?);
            tokio::select! {
                _ = ended => Ok(()),
                failed = serve(listener, to) => failed,
            }
        })?;
        let none = |_| Error::Unexpected("no long way".to_owned());
        let at = wait.recv().map_err(none)?;
        Ok(Self { at, end: Some(end), task: Some(task) })
    }

    pub(crate) const fn begins_at(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.task.take().map(Task::join);
    }
}

async fn serve(listener: TcpListener, to: SocketAddr) -> Result {
    loop {
        let (near, _) = listener.accept().await?;
        tokio::spawn(async move {
            near.set_nodelay(true)?;
            let far = TcpStream::connect(to).await?;
            far.set_nodelay(true)?;
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            for (from, to) in [(from_near, to_far), (from_far, to_near)] {
                let (in_at, out_at) = mpsc::channel(PIECES);
                tokio::spawn(go_in(from, in_at));
                tokio::spawn(come_out(to, out_at));
            }
            io::Result::Ok(())
        });
    }
}

/// Bytes, and when they arrive.
type Piece = (Instant, Vec<u8>);

async fn go_in(mut from: OwnedReadHalf, way: mpsc::Sender<Piece>) -> io::Result<()> {
    let mut free_at = Instant::now();
    loop {
        let mut piece = vec![0; PIECE];
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        piece.truncate(read);
        let now = Instant::now();
        free_at = free_at.max(now - SLACK) + Duration::from_secs_f64(read as f64 / RATE);
        sleep_until(free_at).await;
        if way.send((free_at.max(now) + DELAY, piece)).await.is_err() {
            return Ok(());
        }
    }
}

async fn come_out(mut to: OwnedWriteHalf, mut way: mpsc::Receiver<Piece>) -> io::Result<()> {
    while let Some((at, piece)) = way.recv().await {
        sleep_until(at).await;
        to.write_all(&piece).await?;
    }
    to.shutdown().await
}
