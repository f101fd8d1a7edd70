//! The answer to a question on a connection, and the climb on it.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use wire::echo::climb::{PIECE, PIECES};
use wire::echo::{Answer, Dress, Kind, Way, dress};

use super::Asked;
use super::ladder::Ladder;
use crate::arrival::Arrival;
use crate::clock::unix_seconds_32;
use crate::datagrams::Flow;
use crate::decoy::Shadow;
use crate::tally::Counter;
use crate::{Shared, pump};

/// How long our last piece of load waits for more of theirs: it tells how many came in the end.
const STALLED: Duration = Duration::from_secs(1);
/// How many bytes may wait to be taken: nothing more is read until they are.
const MOST_UNSAID: usize = 4 * dress::LONGEST;

/// Answers a question, and climbs with whoever asked, until they have had enough.
pub(crate) async fn answer(mut arrival: Arrival<'_>, asked: Asked) {
    // The mask host is not needed any more.
    arrival.shadow = Shadow::Nobody;
    arrival.shared.patiences.learn(arrival.source, arrival.first_piece, asked.used);
    let Arrival { shared, dialled, stream, first, place, .. } = arrival;
    let Ok(from) = stream.peer_addr() else { return };
    let flow = Flow { from, to: dialled };
    let time = unix_seconds_32();
    let answer =
        asked.found.answer(&Answer { relay: flow.to, asker: flow.from, time, reserved: [0; 8] });
    let mut came = first;
    let dress = asked.found.dress();
    let answer = dress.answer(&came[..asked.used], &answer, time);
    let until = Instant::now() + shared.limits.first_flight;
    let question = asked.used + dress.rest_of(&asked.question);
    let lost = place.lost();
    let first_piece = async {
        while came.len() < question {
            pump::read_some(&stream, &mut came).await?;
        }
        came.drain(..question);
        pump::write_all(&stream, &answer).await?;
        drop(answer);
        read_piece(&stream, &dress, &mut came).await
    };
    // Most are content with the answer. As long as they are here, they are at the door.
    let sealed = tokio::select! {
        biased;
        () = lost => {
            shared.counters.count(Counter::Crowded);
            return;
        }
        read = timeout_at(until, first_piece) => read,
    };
    let Ok(Ok(sealed)) = sealed else { return };
    drop(place);
    if shared.echoes.again(&asked.question, asked.time).is_none() {
        return;
    }
    let Some(place) = shared.echoes.budget.climb(asked.found.bundle) else {
        shared.counters.count(Counter::TooManyEchoes);
        return;
    };
    let mut climber = Climber {
        stream,
        unsaid: dress.opening(Way::Down, time),
        ladder: Ladder::new(shared, &asked, dress, &flow, place),
        next: None,
    };
    shared.counters.count(Counter::Climbs);
    // However it ends, the connection is closed with it.
    let _ = climber.climb(shared, sealed, came).await;
}

/// The next piece that comes, without its dress.
async fn read_piece(
    stream: &TcpStream,
    dress: &Dress,
    came: &mut Vec<u8>,
) -> io::Result<[u8; PIECE]> {
    loop {
        let read = dress.read_piece(Way::Up, came);
        if let Some((piece, used)) = read.map_err(io::Error::other)? {
            came.drain(..used);
            return Ok(piece);
        }
        pump::read_some(stream, came).await?;
    }
}

struct Climber {
    ladder: Ladder,
    stream: TcpStream,
    /// What the asker has not taken yet.
    unsaid: Vec<u8>,
    /// Our next piece of load, once theirs have begun to come.
    next: Option<u16>,
}

impl Climber {
    async fn climb(
        &mut self,
        shared: &Shared,
        mut sealed: [u8; PIECE],
        mut came: Vec<u8>,
    ) -> io::Result<()> {
        loop {
            self.hear(shared, &sealed)?;
            sealed = loop {
                let due = self.say_more();
                let is_full = self.unsaid.len() > MOST_UNSAID;
                let Self { ladder, stream, unsaid, .. } = self;
                tokio::select! {
                    read = read_piece(stream, ladder.dress(), &mut came), if !is_full => break read?,
                    written = pump::write_some(stream, unsaid), if !unsaid.is_empty() => {
                        unsaid.drain(..written?);
                    }
                    () = maybe(due) => {}
                    () = sleep_until(ladder.end()) => return Ok(()),
                }
            };
        }
    }

    fn hear(&mut self, shared: &Shared, sealed: &[u8; PIECE]) -> io::Result<()> {
        let piece = self.ladder.hear(sealed).ok_or(io::ErrorKind::InvalidData)?;
        match piece.kind {
            Kind::Load => {
                self.next.get_or_insert(0);
            }
            Kind::Alive | Kind::Receipt => {
                self.unsaid.extend(self.ladder.answer(shared, &piece, &[]));
            }
        }
        Ok(())
    }

    /// Adds our next piece of load to what is to be said, if the asker has taken what was; tells when
    /// to look again, if time changes that.
    fn say_more(&mut self) -> Option<Instant> {
        let number = self.next.filter(|number| *number < PIECES)?;
        if !self.unsaid.is_empty() {
            return None;
        }
        let is_last = number + 1 == PIECES;
        let stalls = self.ladder.heard_at() + STALLED;
        if is_last && self.ladder.received() < PIECES && Instant::now() < stalls {
            return Some(stalls);
        }
        self.unsaid = self.ladder.load(number);
        self.next = Some(number + 1);
        None
    }
}

async fn maybe(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
