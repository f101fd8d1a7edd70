//! One stream of a session: one of the app's connections, which begins like any on TCP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{future, io};

use tokio::time::{sleep, timeout};
use wire::mtproto::obfuscated::{self, LENGTH};
use wire::tally::{Cell, Protocol};
use wire::webproxy::StreamId;

use super::session::Session;
use super::streams::Wakes;
use crate::connection::Guest;
use crate::knock::{self, Line, Way};
use crate::pump::{self, HALF_OPEN};

/// How much is taken at a time before a datacentre has answered, in bytes.
const PIECE: usize = 16 << 10;

/// Serves a stream until it is over, either way.
pub(super) async fn serve(session: Arc<Session>, id: StreamId, wakes: Arc<Wakes>) {
    // In a box: what comes before bytes flow is larger than what comes then.
    Box::pin(carry(&session, id, &wakes)).await;
    session.with(|streams| streams.remove(id));
}

async fn carry(session: &Session, id: StreamId, wakes: &Wakes) -> Option<()> {
    let shared = &session.shared;
    let speaker = Speaker { session, id, wakes, taken: AtomicUsize::default() };
    let flight = timeout(shared.limits.first_flight, speaker.flight()).await.ok()??;
    let opened = obfuscated::open(&flight, Some(&session.secret))?;
    // A datacentre's socket is a connection like others.
    let _room = Arc::clone(&shared.room).try_acquire_owned().ok()?;
    let (source, port) = session.from;
    let datacentre = Some(opened.dc.datacentre());
    let cell = Cell { key: Some(session.key), port, protocol: Protocol::TelegramWeb, datacentre };
    let meter = shared.meter(cell, source);
    let guest = Guest { key: session.key, opened, dress: None, early: Vec::new() };
    let found = Box::pin(knock::find(shared, speaker, Box::new(guest), &meter)).await?;
    let Way { line: speaker, upstream, mut upward } = found;
    session.drained(id, speaker.taken.into_inner());

    let upstream = Arc::new(upstream);
    session.with(|streams| {
        let stream = streams.table.get_mut(&id)?;
        stream.upstream = Some((Arc::clone(&upstream), Arc::clone(&meter)));
        Some(())
    })?;
    let up = async {
        while let Some(mut bytes) = session.said(id, wakes, usize::MAX).await {
            upward.change(&mut bytes)?;
            let mut left = &bytes[..];
            while !left.is_empty() {
                let count = pump::write_some(&upstream, left).await?;
                meter.flow().add_up(count);
                session.drained(id, count);
                left = &left[count..];
            }
        }
        Ok::<_, io::Error>(())
    };
    let down = async {
        loop {
            // An error is for whoever reads.
            let _ = pump::readable(&upstream).await;
            if !session.with(|streams| streams.stand_in_line(id)) {
                if session.with(|streams| streams.is_closed(id)) {
                    // What the app said before is still to be written.
                    future::pending::<()>().await;
                }
                return;
            }
            wakes.read.notified().await;
        }
    };
    let impatience = async {
        wakes.closed.notified().await;
        sleep(HALF_OPEN).await;
    };
    tokio::select! {
        _ = up => {}
        () = down => {}
        () = impatience => {}
    }
    Some(())
}

/// The app on a stream, before a datacentre has answered.
struct Speaker<'a> {
    session: &'a Session,
    id: StreamId,
    wakes: &'a Wakes,
    /// How much was taken and not reported as drained: it is kept until there is an answer.
    taken: AtomicUsize,
}

impl Speaker<'_> {
    async fn take(&self, most: usize) -> Option<Vec<u8>> {
        let bytes = self.session.said(self.id, self.wakes, most).await?;
        self.taken.fetch_add(bytes.len(), Ordering::Relaxed);
        Some(bytes)
    }

    async fn flight(&self) -> Option<[u8; LENGTH]> {
        let mut flight = Vec::new();
        while flight.len() < LENGTH {
            flight.extend(self.take(LENGTH - flight.len()).await?);
        }
        flight.try_into().ok()
    }
}

impl Line for Speaker<'_> {
    async fn more(&self, into: &mut Vec<u8>) -> io::Result<()> {
        match self.take(PIECE).await {
            Some(bytes) => into.extend(bytes),
            None => return future::ready(Err(io::ErrorKind::UnexpectedEof.into())).await,
        }
        Ok(())
    }
}
