//! What the volunteer should know, said at most once a minute and without a word about a person.

use std::collections::HashMap;
use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wire::mtproto::Datacentre;
use wire::tls::answer::Unlike;

use crate::tally::{Counter, Counters};

/// Where notices come out.
pub type NoticeReceiver = mpsc::UnboundedReceiver<Notice>;

/// Something that the volunteer can do something about.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Apps' clocks differ from this server's; beyond ten minutes, fake TLS is refused.
    ClockSkew {
        /// How many seconds the app's clock is ahead; negative: behind.
        seconds: i64,
        /// Whether it was too much.
        refused: bool,
    },
    /// No address of a datacentre answers.
    Unreachable(Datacentre),
    /// The mask host does not answer.
    MaskUnreachable,
    /// The mask host does not answer as fake TLS would have to.
    MaskUnlike(Unlike),
    /// The mask host is this relay itself.
    MaskIsThisRelay,
    /// The system gives no more descriptors, or no more memory.
    CannotAccept(String),
    /// First flights cannot be written down, so that replays of them are not recognised after a
    /// restart.
    ForgetsReplays(String),
    /// This server's name servers do not answer.
    NoNames,
}

impl Notice {
    /// A word for machines.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClockSkew { .. } => "clock-skew",
            Self::Unreachable(_) => "datacentre-unreachable",
            Self::MaskUnreachable => "mask-unreachable",
            Self::MaskUnlike(_) => "mask-unlike",
            Self::MaskIsThisRelay => "mask-is-this-relay",
            Self::CannotAccept(_) => "cannot-accept",
            Self::ForgetsReplays(_) => "forgets-replays",
            Self::NoNames => "no-names",
        }
    }

    /// Where it is counted, each time.
    fn counter(&self) -> Option<Counter> {
        match self {
            Self::ClockSkew { refused: true, .. } => Some(Counter::ClockSkew),
            Self::Unreachable(_) => Some(Counter::DatacentreUnreachable),
            Self::MaskUnreachable => Some(Counter::MaskUnreachable),
            Self::NoNames => Some(Counter::NamesUnreachable),
            Self::ClockSkew { .. }
            | Self::MaskUnlike(_)
            | Self::MaskIsThisRelay
            | Self::CannotAccept(_)
            | Self::ForgetsReplays(_) => None,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockSkew { seconds, refused } => {
                let minutes = seconds.unsigned_abs() / 60;
                let side = if *seconds > 0 { "ahead of" } else { "behind" };
                write!(f, "an app's clock is {minutes} min {side} this server's")?;
                if *refused {
                    f.write_str(", and its fake-TLS link was refused: 10 min are allowed")?;
                }
                f.write_str("; if many are, this server's clock is wrong (see 'timedatectl')")
            }
            Self::Unreachable(dc) => write!(
                f,
                "no address of Telegram's datacentre {dc} answers; does this server's provider block it?"
            ),
            Self::MaskUnreachable => f.write_str(
                "the mask host is not found or does not answer; strangers see that it does not",
            ),
            Self::MaskUnlike(why) => write!(
                f,
                "the mask host does not answer a hello as 'ee' links do: {why}; an expert can tell \
                 them apart, so choose another mask"
            ),
            Self::MaskIsThisRelay => f.write_str(
                "the mask host leads back to this relay; give --mask another host or port",
            ),
            Self::CannotAccept(why) => {
                write!(f, "no new connection can be accepted ({why}); those that are open go on")
            }
            Self::ForgetsReplays(why) => write!(
                f,
                "what was seen cannot be written down ({why}): after a restart, recordings of \
                 people's first messages will not be recognised; is the disk full?"
            ),
            Self::NoNames => f.write_str(
                "hosts cannot be found by their names: this server's name servers do not answer (see \
                 /etc/resolv.conf)",
            ),
        }
    }
}

pub(crate) struct Notices {
    said: Mutex<HashMap<Discriminant<Notice>, Instant>>,
    out: mpsc::UnboundedSender<Notice>,
    counters: Arc<Counters>,
}

const ONCE_IN: Duration = Duration::from_secs(60);

impl Notices {
    pub(crate) fn new(counters: Arc<Counters>) -> (Self, NoticeReceiver) {
        let (out, receiver) = mpsc::unbounded_channel();
        (Self { said: Mutex::default(), out, counters }, receiver)
    }

    /// Counts it, and says it unless something of the kind was said within the last minute.
    pub(crate) fn say(&self, notice: Notice) {
        if let Some(counter) = notice.counter() {
            self.counters.count(counter);
        }
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let last = said.get(&discriminant(&notice));
        if last.is_none_or(|&last| now.duration_since(last) >= ONCE_IN) {
            said.insert(discriminant(&notice), now);
            // Nobody listening is no reason to stop working.
            let _ = self.out.send(notice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_notice_is_said_once_a_minute() {
        let (notices, mut receiver) = Notices::new(Arc::default());
        for _ in 0..1000 {
            notices.say(Notice::CannotAccept("no files".into()));
            notices.say(Notice::MaskIsThisRelay);
        }
        let mut said = Vec::new();
        while let Ok(notice) = receiver.try_recv() {
            said.push(notice.kind());
        }
        assert_eq!(said, ["cannot-accept", "mask-is-this-relay"]);
    }
}
