//! The hub, by whichever of its addresses answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use front::{Peer, Trust};
use http::StatusCode;
use wire::fleet::{Enrolled, Enrolment, HubAddress, Invite, Pin, SignedOrder, invite, order};

/// The longest answer, in bytes: an order's, and some more.
const LONGEST: usize = order::LONGEST + 4096;

/// A hub that was found once is asked there first.
pub(super) struct Hub {
    peers: Vec<(HubAddress, Peer)>,
    /// Which of them answered last.
    good: AtomicUsize,
    path: String,
}

impl Hub {
    pub(super) fn of(invite: &Invite) -> anyhow::Result<Self> {
        let trust = match invite.pin {
            Pin::Public => Trust::Public,
            Pin::Certificate(hash) => Trust::Pinned(hash),
        };
        let peer = |at: &HubAddress| Ok((at.clone(), Peer::new(&at.host, at.port, trust)?));
        let peers = invite.hub.iter().map(peer).collect::<anyhow::Result<_>>()?;
        Ok(Self { peers, good: AtomicUsize::new(0), path: invite::path(&invite.room) })
    }

    /// Enrols; `None` when the hub is there and does not take the invite.
    pub(super) async fn enrol(
        &self,
        enrolment: &Enrolment,
        patience: Duration,
    ) -> anyhow::Result<Option<Enrolled>> {
        let (status, said) = self.post("enrol", &enrolment.write(), patience).await?;
        if status != StatusCode::OK {
            return Ok(None);
        }
        Ok(Some(Enrolled::read(&said)?))
    }

    /// Sends a heartbeat and waits for an order, or to hear that there is none.
    pub(super) async fn heartbeat(
        &self,
        bytes: Vec<u8>,
        patience: Duration,
    ) -> anyhow::Result<Option<SignedOrder>> {
        match self.post("heartbeat", &bytes, patience).await? {
            (StatusCode::OK, said) => Ok(Some(SignedOrder::from_bytes(said))),
            (StatusCode::NO_CONTENT, _) => Ok(None),
            (status, _) => bail!("it does not know this relay (HTTP {status})"),
        }
    }

    async fn post(
        &self,
        what: &str,
        bytes: &[u8],
        patience: Duration,
    ) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let path = format!("{}/{what}", self.path);
        let first = self.good.load(Ordering::Relaxed);
        let mut last = None;
        for place in 0..self.peers.len() {
            let place = (first + place) % self.peers.len();
            let (at, peer) = &self.peers[place];
            match peer.post(&path, bytes.to_vec(), patience, LONGEST).await {
                Ok((status, said)) => {
                    self.good.store(place, Ordering::Relaxed);
                    return Ok((status, said.to_vec()));
                }
                Err(error) => last = Some(anyhow::Error::new(error).context(at.to_string())),
            }
        }
        Err(last.context("the invite names no hub")?)
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
