//! What everyone without a key meets, the same on every port and whatever they sent: the mask host
//! itself where there is one, and otherwise a server that listens and says nothing.

use std::io;

use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::arrival::Arrival;
use crate::crowd::Place;
use crate::sources::Source;
use crate::{Notice, Shared, pump};

/// Entertains a stranger until one side has had enough.
pub(crate) async fn entertain(arrival: Arrival<'_>) {
    let Arrival { shared, source, accepted, stream, first, shadow, asked, place, .. } = arrival;
    // Others may come to the door; a stranger has a place of another kind.
    drop(place);
    if !shared.has_mask() {
        drop(first);
        let Some(_place) = shared.drained.admit(source) else { return };
        // The same time after every start, so that nothing can be learnt from it.
        let _ = timeout_at(accepted + shared.limits.drain, swallow(&stream)).await;
        return;
    }
    let shadow = match shadow {
        None if !asked => Shadow::meet(shared, &stream, source).await,
        met => met,
    };
    if let Some(shadow) = shadow {
        shadow.take_over(stream, first, shared).await;
    }
}

/// Reads until the peer is done.
async fn swallow(stream: &TcpStream) {
    let mut sink = Vec::new();
    while pump::read_some(stream, &mut sink).await.is_ok() {
        // Nothing is kept while the stranger is silent.
        sink = Vec::new();
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
    /// Connects to the mask host on behalf of a caller. Where there are too many strangers, the next
    /// one meets a closed door: the mask host must not become anybody's victim.
    pub(crate) async fn meet(shared: &Shared, caller: &TcpStream, source: Source) -> Option<Self> {
        let place = shared.strangers.admit(source)?;
        let mask = match shared.mask()?.addresses(&shared.names).await {
            Ok(addresses) => shared.dialer.dial(addresses).await,
            Err(_) => None,
        };
        let Some((mask, _)) = mask else {
            shared.notices.say(Notice::MaskUnreachable);
            return None;
        };
        if leads_back(caller, &mask) {
            shared.notices.say(Notice::MaskIsThisRelay);
            return None;
        }
        pump::tune(&mask);
        Some(Self { mask, told: 0, _place: place })
    }

    /// Passes on what the caller has said since the last time. May be broken off and called again.
    pub(crate) async fn tell(&mut self, first: &[u8]) -> io::Result<()> {
        while self.told < first.len() {
            self.told += pump::write_some(&self.mask, &first[self.told..]).await?;
        }
        Ok(())
    }

    /// Waits until the mask host has said something, or has had enough.
    pub(crate) async fn answers(&self) {
        // An error is an answer too: the caller will see it.
        let _ = self.mask.readable().await;
    }

    /// From now on the caller talks with the mask host alone.
    async fn take_over(mut self, caller: TcpStream, first: Vec<u8>, shared: &Shared) {
        let Shared { limits, counters, .. } = shared;
        let talk = async {
            let told = self.tell(&first).await;
            drop(first);
            let flow = counters.strangers();
            flow.add_up(self.told);
            pump::bridge(caller, self.mask, told, limits.mask_bytes, flow).await;
        };
        let _ = timeout(limits.mask_time, talk).await;
    }
}

/// Whether the mask host is this machine, on the very port that the caller came to.
fn leads_back(caller: &TcpStream, mask: &TcpStream) -> bool {
    match (mask.local_addr(), mask.peer_addr(), caller.local_addr()) {
        (Ok(from), Ok(to), Ok(asked)) => from.ip() == to.ip() && to.port() == asked.port(),
        _ => true,
    }
}
