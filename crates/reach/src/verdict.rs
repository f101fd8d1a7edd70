//! What was met at a port.

use std::fmt;
use std::time::Duration;

use wire::echo::Shape;

use crate::Spot;

/// How much of a way was proven.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rung {
    /// The relay answered a question.
    Echo,
    /// 64 KiB went up and 64 KiB came down.
    Load,
    /// It still lived a minute after it was opened.
    Minute,
}

/// Which way bytes go.
pub use wire::echo::Way;

/// What was met at a port. Bytes are what passed before it ended, in KiB.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// A crack: the relay itself answered, and this much passed.
    Verified(Rung),
    /// Nothing came back at all, from where the relay answered when its bundle was made, or has since:
    /// dropped on the way there or back, unless the relay's machine is off by now.
    Dropped,
    /// Nothing came back at all, and whether the relay answers there is not known: its operator may
    /// have closed the port, or the network drops it.
    NoResponse,
    /// The dial was refused: by the machine, or by somebody in its name.
    Refused,
    /// A router said that the way is closed (ICMP).
    Unreachable,
    /// Accepted; not even an acknowledgement came for the first bytes.
    HandshakeOnly,
    /// Accepted and acknowledged, then nothing was said: a box that accepts everything, or answers
    /// that are dropped on their way back.
    Mute,
    /// Accepted and ended, after so many KiB had come down.
    Reset {
        /// KiB.
        after: u16,
    },
    /// Answered, but not by the relay: a block page, or our own words.
    Liar,
    /// The relay was reached at another port than was dialled: somebody rewrites ports.
    Rewritten {
        /// Which one.
        saw: u16,
    },
    /// It stopped for good after so many KiB on the line; `None` for the way that all of it passed.
    Frozen {
        /// Up.
        up: Option<u16>,
        /// Down.
        down: Option<u16>,
    },
    /// All passed one way, nothing the other one.
    OneWay(Way),
    /// All passes, but far slower than the distance explains.
    Throttled {
        /// KiB a second, of the slower way.
        rate: u16,
    },
    /// Verified, and dead within a minute.
    Died {
        /// Seconds after which it was found dead.
        after: u16,
    },
    /// It could not be tried: this machine refused, e.g. for want of memory or rights.
    Untried,
}

/// What came of a candidate.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where.
    pub spot: Spot,
    /// What the question looked like.
    pub shape: Shape,
    /// What was met.
    pub verdict: Verdict,
    /// When, since the search began.
    pub at: Duration,
    /// How long it took from the dial to the verdict.
    pub took: Duration,
    /// How long the relay took to answer, if it did.
    pub rtt: Option<Duration>,
    /// How much was sent and received for it, headers of packets left out, in bytes.
    pub bytes: u32,
    /// The relay's receipt as it came, if it gave one.
    pub receipt: Option<Vec<u8>>,
}

impl Verdict {
    /// Whether something of ours gets through here.
    #[must_use]
    pub fn is_crack(self) -> bool {
        matches!(self, Self::Verified(rung) if rung >= Rung::Load)
    }

    /// Whether it says nothing of the port that another word would not say better: silence, or no try.
    #[must_use]
    pub fn is_silence(self) -> bool {
        matches!(self, Self::Dropped | Self::NoResponse | Self::Untried)
    }

    /// One word, the same in all outputs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified(_) => "verified",
            Self::Dropped => "dropped",
            Self::NoResponse => "no-response",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::HandshakeOnly => "handshake-only",
            Self::Mute => "mute",
            Self::Reset { .. } => "reset",
            Self::Liar => "liar",
            Self::Rewritten { .. } => "rewritten",
            Self::Frozen { .. } => "frozen",
            Self::OneWay(_) => "one-way",
            Self::Throttled { .. } => "throttled",
            Self::Died { .. } => "died",
            Self::Untried => "untried",
        }
    }

    /// Whether another shape could fare better: the port was reached by something.
    #[must_use]
    pub(crate) fn may_be_shape(self) -> bool {
        use Verdict::{Frozen, HandshakeOnly, Mute, OneWay, Reset};
        matches!(self, Frozen { .. } | HandshakeOnly | Mute | OneWay(_) | Reset { .. })
    }
}

/// In whole KiB.
pub(crate) fn kib(bytes: usize) -> u16 {
    u16::try_from(bytes / 1024).unwrap_or(u16::MAX)
}

impl Rung {
    /// `echo`, `64 KiB` or `a minute`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Load => "64 KiB",
            Self::Minute => "a minute",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Verified(rung) => write!(f, "verified ({})", rung.name()),
            Self::Reset { after: 0 } => f.write_str("reset"),
            Self::Reset { after } => write!(f, "reset after {after} KiB"),
            Self::Rewritten { saw } => write!(f, "rewritten to port {saw}"),
            Self::Frozen { up: Some(up), down: None } => write!(f, "frozen after {up} KiB up"),
            Self::Frozen { up: None, down } => {
                write!(f, "frozen after {} KiB down", down.unwrap_or(0))
            }
            Self::Frozen { up: Some(up), down: Some(down) } => {
                write!(f, "frozen after {up} KiB up, {down} KiB down")
            }
            Self::OneWay(Way::Up) => f.write_str("one way: up only"),
            Self::OneWay(Way::Down) => f.write_str("one way: down only"),
            Self::Throttled { rate } => write!(f, "throttled to {rate} KiB/s"),
            Self::Died { after } => write!(f, "died within {after} s"),
            _ => f.write_str(self.name()),
        }
    }
}
