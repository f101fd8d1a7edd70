//! How an engine hears what to ask, and tells what came of it.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

use crate::probe::{Bell, News, Outcome, Teller};

/// An engine's mail, in both directions.
pub(crate) struct Mail<T> {
    pub(crate) asks: Receiver<Vec<T>>,
    /// It rings when there is something to ask, or nobody left who could.
    pub(crate) bell: Bell,
    pub(crate) teller: Teller,
}

impl<T> Mail<T> {
    /// What is new to ask, waited for where there is nothing else to do; whether anybody is left who
    /// could ask.
    pub(crate) fn take(&self, waiting: &mut VecDeque<T>, is_idle: bool) -> bool {
        if is_idle && waiting.is_empty() {
            match self.asks.recv() {
                Ok(asks) => waiting.extend(asks),
                Err(_) => return false,
            }
        }
        loop {
            match self.asks.try_recv() {
                Ok(asks) => waiting.extend(asks),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Tells what was done since the last time, if anything was; whether anybody is left who listens.
    pub(crate) fn tell(&self, done: &mut Vec<Outcome>) -> bool {
        done.is_empty() || self.teller.send(News::Outcomes(std::mem::take(done))).is_ok()
    }

    /// Sleeps until something comes in by one of these sockets, the bell rings, or it has been so long:
    /// a minute at most, to the next whole millisecond.
    ///
    /// # Errors
    /// When the machine takes the sockets away.
    pub(crate) fn sleep<'a>(
        &self,
        sockets: impl Iterator<Item = &'a Socket>,
        sleep: Duration,
    ) -> nix::Result<()> {
        let mut fds = vec![PollFd::new(self.bell.fd().as_fd(), PollFlags::POLLIN)];
        fds.extend(sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        let ms = u64::try_from(sleep.as_micros().div_ceil(1000)).unwrap_or(u64::MAX).min(60_000);
        let sleep = PollTimeout::try_from(Duration::from_millis(ms)).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, sleep) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        self.bell.hush();
        Ok(())
    }
}
