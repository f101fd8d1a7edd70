//! First flights that were seen before: whoever sends one again has not made it, but recorded it.
//!
//! They are remembered across restarts: each is appended to a file before anything is answered, as a
//! mark of eight bytes that says nothing to whoever finds it. The files are flushed to the disk
//! every ten seconds: a crash of the relay loses nothing, one of the machine the last ten seconds.

mod journal;
mod memory;

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wire::derive::{Marker, RelayKey};

use crate::clock::unix_seconds;
use crate::generations::Generations;
use crate::notices::Notices;
use crate::{Notice, connection::SKEW};
use memory::{Memory, Span};

pub use journal::PREFIX;

/// How often what was written is flushed to the disk.
pub(crate) const FLUSH: Duration = Duration::from_secs(10);

/// Hellos of fake TLS carry the time: one is good from when a clock that is fast calls it new until
/// one that is slow calls it old.
const HELLOS: Span = Span { name: "hellos", slice: 300, window: 2 * SKEW as u64, most: 4_000_000 };
/// So do questions of the echo. As many as all bundles may ask within the time.
const ECHOES: Span = Span { name: "echoes", slice: 300, window: 2 * SKEW as u64, most: 3_000_000 };
/// Plain and padded flights are good for ever.
const FLIGHTS: Span = Span { name: "flights", slice: 86_400, window: 7 * 86_400, most: 2_000_000 };

/// Of flights that nobody could be found for in time, so many of the last ones are remembered at least.
const UNJUDGED: usize = 1 << 15;

pub(crate) struct Replays {
    marker: Marker,
    unjudged: Mutex<Generations<u64, ()>>,
    hellos: Mutex<Memory>,
    flights: Mutex<Memory>,
    echoes: Mutex<Memory>,
}

impl Replays {
    /// What is remembered in `folder`; without one, or where it cannot be read, from now on in memory.
    pub(crate) fn open(key: &RelayKey, folder: Option<&Path>, notices: &Notices) -> Self {
        let open = |span| {
            let (memory, trouble) = Memory::open(span, folder, unix_seconds());
            if let Err(error) = trouble {
                notices.say(Notice::ForgetsReplays(error.to_string()));
            }
            Mutex::new(memory)
        };
        let [hellos, flights, echoes] = [HELLOS, FLIGHTS, ECHOES].map(open);
        let unjudged = Mutex::new(Generations::new(UNJUDGED));
        Self { marker: key.marker("first flight"), unjudged, hellos, flights, echoes }
    }

    /// Whether a hello with these random bytes is new. Ask only for what a key opens, or strangers
    /// could make the relay forget.
    pub(crate) fn is_new_hello(&self, random: &[u8], notices: &Notices) -> bool {
        self.is_new(&self.hellos, random, notices)
    }

    /// The same for a plain or padded flight.
    pub(crate) fn is_new_flight(&self, random: &[u8], notices: &Notices) -> bool {
        self.is_new(&self.flights, random, notices)
    }

    /// A flight with these random bytes was left before all keys were tried on it. Perhaps a key opens
    /// it, so from now on it is not new; in memory alone, and only for as long as few others follow.
    pub(crate) fn leave_unjudged(&self, random: &[u8]) {
        let mark = self.marker.mark(random);
        self.unjudged.lock().unwrap_or_else(PoisonError::into_inner).insert(mark, ());
    }

    /// The same for a question of the echo.
    pub(crate) fn is_new_echo(&self, nonce: &[u8], notices: &Notices) -> bool {
        self.is_new(&self.echoes, nonce, notices)
    }

    fn is_new(&self, memory: &Mutex<Memory>, random: &[u8], notices: &Notices) -> bool {
        let mark = self.marker.mark(random);
        if self.unjudged.lock().unwrap_or_else(PoisonError::into_inner).peek(&mark).is_some() {
            return false;
        }
        let (is_new, written) =
            memory.lock().unwrap_or_else(PoisonError::into_inner).is_new(mark, unix_seconds());
        if let Err(error) = written {
            notices.say(Notice::ForgetsReplays(error.to_string()));
        }
        is_new
    }

    /// Flushes what was written to the disk, waiting for it.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let unflushed = [&self.hellos, &self.flights, &self.echoes]
            .map(|memory| memory.lock().unwrap_or_else(PoisonError::into_inner).unflushed());
        let flushed = unflushed.iter().flatten().map(|file| file.sync_data());
        // One that cannot be flushed keeps none of the others from the disk.
        flushed.fold(Ok(()), Result::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Counters;
    use std::fs::File;
    use std::sync::Arc;
    use wire::derive::{FleetKey, RelayId};

    #[test]
    fn a_file_that_cannot_be_flushed_keeps_none_of_the_others_from_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let (notices, _receiver) = Notices::new(Arc::<Counters>::default());
        let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([2; 16]));
        let replays = Replays::open(&key, Some(folder.path()), &notices);
        assert!(replays.is_new_flight(&[1; 16], &notices));
        let device = Arc::new(File::open("/dev/null").expect("a device, which has no disk"));
        replays.hellos.lock().expect("free").unflushed.push(device);
        assert!(replays.flush().is_err(), "it is said");
        assert!(replays.flights.lock().expect("free").unflushed.is_empty(), "and goes on");
        assert!(replays.flush().is_ok());
    }
}
