//! A line on which every piece takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

#[derive(Default)]
pub struct Line {
    pub delay: Duration,
    /// How much comes down on it now.
    pub now: AtomicUsize,
    /// The most that ever did.
    pub most: AtomicUsize,
}

impl Line {
    /// Both ends of a stream, and this line between them.
    pub fn lead<S>(self: &Arc<Self>, stream: S) -> DuplexStream
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (ours, theirs) = duplex(64 << 20);
        let (reader, writer) = split(stream);
        let (back, forth) = split(theirs);
        tokio::spawn(Arc::clone(self).carry(reader, forth, true));
        tokio::spawn(Arc::clone(self).carry(back, writer, false));
        ours
    }

    async fn carry(
        self: Arc<Self>,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin + Send + 'static,
        is_down: bool,
    ) {
        let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let line = Arc::clone(&self);
        tokio::spawn(async move {
            while let Some((at, bytes)) = receiver.recv().await {
                sleep_until(at).await;
                if is_down {
                    line.now.fetch_sub(bytes.len(), Ordering::Relaxed);
                }
                if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                    return;
                }
            }
            let _ = to.shutdown().await;
        });
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            if is_down {
                let now = self.now.fetch_add(read, Ordering::Relaxed) + read;
                self.most.fetch_max(now, Ordering::Relaxed);
            }
            if sender.send((Instant::now() + self.delay, bytes[..read].to_vec())).is_err() {
                return;
            }
        }
    }
}
