//! What everyone without a key meets, the same on every port and whatever they sent: the mask host
//! itself where there is one, and otherwise a server that listens and says nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::first::read_some;
use crate::mask::Mask;
use crate::sources::Source;
use crate::{Notice, Shared, pump};

/// Entertains a stranger until one side has had enough. `first` is what was read already.
pub(crate) async fn entertain(
    shared: &Shared,
    stream: TcpStream,
    first: Vec<u8>,
    source: Source,
    accepted: Instant,
) {
    // Where there are too many, the next one meets a closed door: nobody can be made to wait.
    let Some(_place) = shared.strangers.admit(source) else {
        return;
    };
    match &shared.mask {
        Some(mask) => carry_to_mask(shared, mask, stream, first).await,
        None => {
            drop(first);
            // Closed at the same time after every start, so that nothing can be learnt from it.
            let _ = timeout_at(accepted + shared.limits.drain, swallow(&stream)).await;
        }
    }
}

async fn carry_to_mask(shared: &Shared, mask: &Mask, stream: TcpStream, first: Vec<u8>) {
    let upstream = match mask.connect().await {
        Ok(upstream) => upstream,
        Err(error) => {
            return shared
                .notices
                .say(Notice::MaskUnreachable(error.to_string()));
        }
    };
    if leads_back(&stream, &upstream) {
        return shared.notices.say(Notice::MaskIsThisRelay);
    }
    pump::tune(&upstream);
    let limits = &shared.limits;
    let _ = timeout(
        limits.mask_time,
        pump::bridge(stream, upstream, first, limits.mask_bytes),
    )
    .await;
}

/// Whether the mask host is this machine, on the very port that the stranger came to.
fn leads_back(stranger: &TcpStream, upstream: &TcpStream) -> bool {
    match (
        upstream.local_addr(),
        upstream.peer_addr(),
        stranger.local_addr(),
    ) {
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
        Self {
            most,
            most_per_source,
            now: Arc::default(),
        }
    }

    fn admit(&self, source: Source) -> Option<Place> {
        let mut now = lock(&self.now);
        let here = now.by_source.get(&source).copied().unwrap_or(0);
        if now.all >= self.most || here >= self.most_per_source {
            return None;
        }
        now.all += 1;
        now.by_source.insert(source, here + 1);
        Some(Place {
            source,
            now: Arc::clone(&self.now),
        })
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
        assert!(
            strangers.admit(source(1)).is_none(),
            "one source has two at most"
        );
        let _third = strangers.admit(source(2)).expect("room");
        assert!(strangers.admit(source(3)).is_none(), "three in all");
        drop(first);
        assert!(
            strangers.admit(source(1)).is_some(),
            "a place is free again"
        );
    }
}
