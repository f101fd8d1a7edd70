//! A plain TCP forwarder: what a relay should look like to whoever has no key.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::error::{Doing, Error, Result};
use crate::host::{Host, Task};

/// A forwarder at work. Dropped, it ends with all its connections.
#[derive(Debug)]
pub struct Forwarder {
    end: Option<oneshot::Sender<()>>,
    task: Option<Task<()>>,
    at: SocketAddr,
}

impl Forwarder {
    /// Carries whoever comes to this port of a host to `to`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(host: &Host, port: u16, to: SocketAddr) -> Result<Self> {
        Self::far(host, port, to, Duration::ZERO)
    }

    /// The same, as if each way were longer by `delay`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn far(host: &Host, port: u16, to: SocketAddr, delay: Duration) -> Result<Self> {
        let at = SocketAddr::new(host.v4(), port);
        let (end, ended) = oneshot::channel();
        let (ready, wait) = std::sync::mpsc::channel();
        let task = host.start(async move || {
            let listener = TcpListener::bind(at).await?;
            let _ = ready.send(());
            tokio::select! {
                _ = ended => Ok(()),
                failed = serve(listener, to, delay) => failed,
            }
        })?;
        let none = || Error::Unexpected(format!("nothing listens on {at}"));
        wait.recv().map_err(|_| none())?;
        Ok(Self { end: Some(end), task: Some(task), at })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.task.take().map(Task::join);
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, delay: Duration) -> Result {
    loop {
        let (stream, _) = listener.accept().await.doing("accepting")?;
        tokio::spawn(carry(stream, to, delay));
    }
}

async fn carry(one: TcpStream, to: SocketAddr, delay: Duration) -> io::Result<()> {
    one.set_nodelay(true)?;
    let other = TcpStream::connect(to).await?;
    other.set_nodelay(true)?;
    let ((from_one, to_one), (from_other, to_other)) = (one.into_split(), other.into_split());
    let mut up = tokio::spawn(way(from_one, to_other, delay));
    let mut down = tokio::spawn(way(from_other, to_one, delay));
    // An end is passed on; a failure ends both sides with a reset.
    let failed = tokio::select! {
        ended = &mut up => matches!(ended, Ok(Err(_))),
        ended = &mut down => matches!(ended, Ok(Err(_))),
    };
    if failed {
        up.abort();
        down.abort();
    }
    Ok(())
}

async fn way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) -> io::Result<()> {
    let copy = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = from.read(&mut buffer).await?;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match read {
                0 => return Ok(()),
                read => to.write_all(&buffer[..read]).await?,
            }
        }
    };
    match copy.await {
        Ok(()) => to.shutdown().await,
        Err(error) => {
            let _ = from.as_ref().set_zero_linger();
            let _ = to.as_ref().set_zero_linger();
            Err(error)
        }
    }
}
