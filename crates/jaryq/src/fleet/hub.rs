//! The hub, by whichever of its addresses answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use front::{Peer, Trust};
use http::StatusCode;
use wire::fleet::{Enrolled, Enrolment, HubAddress, Invite, Pin, SignedOrder, invite, order};

/// The longest answer, in bytes: an order's, and some more.
const LONGEST: usize = order::LONGEST + 4096;

/// How much of a reason is shown.
const LONGEST_REASON: usize = 200;

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
        let peer = |at: &HubAddress| Ok((at.clone(), Peer::new(at, trust)?));
        let peers = invite.hub.iter().map(peer).collect::<anyhow::Result<_>>()?;
        Ok(Self { peers, good: AtomicUsize::new(0), path: invite::path(&invite.room) })
    }

    /// Enrols; or why not, when the hub is there and does not take the invite.
    pub(super) async fn enrol(
        &self,
        enrolment: &Enrolment,
        patience: Duration,
    ) -> anyhow::Result<Result<Enrolled, String>> {
        let (status, said) = self.post("enrol", &enrolment.write(), patience).await?;
        match status {
            StatusCode::OK => Ok(Ok(Enrolled::read(&said)?)),
            StatusCode::FORBIDDEN => Ok(Err(reason(&said))),
            _ => Ok(Err(reason(b""))),
        }
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
            (StatusCode::FORBIDDEN, said) => bail!("it refuses: {}", reason(&said)),
            (status, _) => bail!("no hub answers there (HTTP {status})"),
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

/// What a hub says in a line, fit for a terminal.
fn reason(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().next().unwrap_or_default();
    match line.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect::<String>() {
        none if none.is_empty() => "each is good once, for an hour".to_owned(),
        reason => reason,
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
