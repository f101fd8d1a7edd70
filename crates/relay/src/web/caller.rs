//! Somebody at the port that speaks in clear, until it is known what they want.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wire::derive::KeyId;
use wire::socks5::{Login, Read};

use crate::crowd::Place;
use crate::sources::Source;
use crate::tally::Counter;
use crate::{Shared, pump};

/// How long somebody who was refused may take to read that.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much of what they still say is read meanwhile, so that our answer is not lost in a reset.
const LAST_WORDS: usize = 256 << 10;

pub(super) struct Caller<'a> {
    pub shared: &'a Shared,
    pub source: Source,
    pub peer: SocketAddr,
    /// `None` once somebody else has it.
    stream: Option<TcpStream>,
    /// What was read and not yet understood.
    heard: Vec<u8>,
    /// By when they must have said what they want.
    until: Instant,
    /// Among those without a key, until they have shown one.
    place: Option<Place>,
}

impl<'a> Caller<'a> {
    /// Where too many are without a key already, whoever has been there longest makes room.
    pub(super) fn new(shared: &'a Shared, stream: TcpStream, peer: SocketAddr) -> Self {
        let source = peer.ip().into();
        let place = Some(shared.callers.press_in(source));
        let until = Instant::now() + shared.limits.first_flight;
        let stream = Some(stream);
        Self { shared, source, peer, stream, heard: Vec::new(), until, place }
    }

    /// Done once the caller, still without a key, has to make room.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + use<> {
        let lost = self.place.as_ref().map(Place::lost);
        async move {
            match lost {
                Some(lost) => lost.await,
                None => std::future::pending().await,
            }
        }
    }

    pub(super) fn local(&self) -> io::Result<SocketAddr> {
        self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?.local_addr()
    }

    /// Whether they have shown no key yet.
    pub(super) fn is_stranger(&self) -> bool {
        self.place.is_some()
    }

    /// Waits for the first byte, which stays where it is.
    pub(super) async fn first_byte(&mut self) -> Option<u8> {
        if self.heard.is_empty() {
            self.more().await?;
        }
        self.heard.first().copied()
    }

    /// Waits for a whole message; `None` when it does not come in time.
    pub(super) async fn hear<T, E>(
        &mut self,
        read: impl Fn(&[u8]) -> Result<Read<T>, E>,
    ) -> Option<Result<T, E>> {
        loop {
            match read(&self.heard) {
                Ok(Read::Whole(message, length)) => {
                    self.heard.drain(..length);
                    return Some(Ok(message));
                }
                Ok(Read::More) => self.more().await?,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    async fn more(&mut self) -> Option<()> {
        let stream = self.stream.as_ref()?;
        timeout_at(self.until, pump::read_some(stream, &mut self.heard)).await.ok()?.ok()
    }

    /// Whose key that is. Who fails too often waits for the answer.
    pub(super) async fn log_in(&mut self, login: &Login) -> Option<KeyId> {
        let key = self.shared.finder.keyring.load().log_in_in_clear(login);
        if key.is_some() {
            self.place = None;
            return key;
        }
        self.shared.counters.count(Counter::WrongPasswords);
        if self.shared.logins.failed(self.source) {
            sleep_until(self.until).await;
        }
        key
    }

    /// Says something. Whether it was heard will be seen soon enough.
    pub(super) async fn say(&self, words: &[u8]) {
        if let Some(stream) = &self.stream {
            let _ = timeout(self.shared.limits.first_flight, pump::write_all(stream, words)).await;
        }
    }

    /// Hands over the connection, and what came on it too early.
    ///
    /// # Panics
    /// When it was handed over before.
    pub(super) fn take(&mut self) -> (TcpStream, Vec<u8>) {
        let stream = self.stream.take().expect("a caller is taken once");
        (stream, std::mem::take(&mut self.heard))
    }

    /// Ends the connection in such a way that what was said last is heard.
    pub(super) async fn farewell(&mut self) {
        let Some(stream) = self.stream.take() else { return };
        if pump::finish(&stream).is_err() {
            return;
        }
        let rest = async {
            let (mut sink, mut total) = (Vec::new(), 0);
            while total < LAST_WORDS && pump::read_some(&stream, &mut sink).await.is_ok() {
                total += sink.len();
                sink.clear();
            }
        };
        let _ = timeout(FAREWELL, rest).await;
    }
}
