//! What everyone without a key meets, the same on every port and whatever they sent: the mask host
//! itself where there is one, and otherwise a server that listens and says nothing.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::arrival::{Arrival, read_some};
use crate::sources::Source;
use crate::{Limits, Notice, Shared, pump};

/// Entertains a stranger until one side has had enough.
pub(crate) async fn entertain(arrival: Arrival<'_>) {
    let Arrival { shared, source, accepted, stream, first, shadow, asked, .. } = arrival;
    if shared.mask.is_some() {
        let shadow = match shadow {
            None if !asked => Shadow::meet(shared, &stream, source).await,
            met => met,
        };
        if let Some(shadow) = shadow {
            shadow.take_over(stream, first, &shared.limits).await;
        }
        return;
    }
    drop(first);
    // Closed at the same time after every start, so that nothing can be learnt from it.
    if let Some(_place) = shared.strangers.admit(source) {
        let _ = timeout_at(accepted + shared.limits.drain, swallow(&stream)).await;
    }
}

/// The mask host, listening to what a caller says.
pub(crate) struct Shadow {
    mask: TcpStream,
    /// How many of the caller's bytes it has heard.
    told: usize,
    _place: Place,
}

impl Shadow {
    /// Connects to the mask host on behalf of a caller, if there is room for one more.
    pub(crate) async fn meet(shared: &Shared, caller: &TcpStream, source: Source) -> Option<Self> {
        let place = shared.strangers.admit(source)?;
        let mask = match shared.mask.as_ref()?.connect().await {
            Ok(mask) => mask,
            Err(error) => {
                shared.notices.say(Notice::MaskUnreachable(error.to_string()));
                return None;
            }
        };
        if leads_back(caller, &mask) {
            shared.notices.say(Notice::MaskIsThisRelay);
            return None;
        }
        pump::tune(&mask);
        Some(Self { mask, told: 0, _place: place })
    }

    /// Passes on what the caller has said since the last time.
    pub(crate) async fn tell(&mut self, first: &[u8]) -> io::Result<()> {
        pump::write_all(&self.mask, &first[self.told..]).await?;
        self.told = first.len();
        Ok(())
    }

    /// Waits until the mask host has said something, or has had enough.
    pub(crate) async fn answers(&self) {
        // An error is an answer too: the caller will see it.
        let _ = self.mask.readable().await;
    }

    /// From now on the caller talks with the mask host alone.
    async fn take_over(mut self, caller: TcpStream, first: Vec<u8>, limits: &Limits) {
        let told = self.tell(&first).await;
        drop(first);
        let talk = pump::bridge(caller, self.mask, told, limits.mask_bytes);
        let _ = timeout(limits.mask_time, talk).await;
    }
}

/// Whether the mask host is this machine, on the very port that the stranger came to.
fn leads_back(stranger: &TcpStream, upstream: &TcpStream) -> bool {
    match (upstream.local_addr(), upstream.peer_addr(), stranger.local_addr()) {
        (Ok(from), Ok(to), Ok(asked)) => from.ip() == to.ip() && to.port() == asked.port(),
        _ => true,
    }
}

/// Reads until the peer is done.
async fn swallow(stream: &TcpStream) {
    let mut sink = Vec::new();
    while read_some(stream, &mut sink).await.is_ok() {
        // Nothing is kept while the stranger is silent.
        sink = Vec::new();
    }
}

/// Who is being entertained, counted in all and per source.
pub(crate) struct Strangers {
    most: usize,
    most_per_source: usize,
    now: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// A stranger's place, free again when it is dropped.
pub(crate) struct Place {
    source: Source,
    now: Arc<Mutex<Counts>>,
}

impl Strangers {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Self {
        Self { most, most_per_source, now: Arc::default() }
    }

    pub(crate) fn admit(&self, source: Source) -> Option<Place> {
        let mut now = lock(&self.now);
        let here = now.by_source.get(&source).copied().unwrap_or(0);
        if now.all >= self.most || here >= self.most_per_source {
            return None;
        }
        now.all += 1;
        now.by_source.insert(source, here + 1);
        Some(Place { source, now: Arc::clone(&self.now) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = lock(&self.now);
        now.all -= 1;
        if let Some(here) = now.by_source.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                now.by_source.remove(&self.source);
            }
        }
    }
}

fn lock(now: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn strangers_are_bounded_in_all_and_per_source() {
        let source = |last: u8| Source::from(IpAddr::from([192, 0, 2, last]));
        let strangers = Strangers::new(3, 2);
        let first = strangers.admit(source(1)).expect("room");
        let _second = strangers.admit(source(1)).expect("room");
        assert!(strangers.admit(source(1)).is_none(), "one source has two at most");
        let _third = strangers.admit(source(2)).expect("room");
        assert!(strangers.admit(source(3)).is_none(), "three in all");
        drop(first);
        assert!(strangers.admit(source(1)).is_some(), "a place is free again");
    }
}
