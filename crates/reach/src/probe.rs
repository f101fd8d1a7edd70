//! What is given to the engines, and what comes back: one outcome for each ask.

use std::net::TcpStream;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::eventfd::EventFd;
use wire::echo::{Answer, Dress, Question, Shape};

use crate::ladder::Climbed;
use crate::{Spot, Verdict};

/// Hosts that our dressed questions name: those that half of all machines ask for anyway. One name
/// alone would give away everybody who searches.
const NAMES: [&str; 16] = [
    "www.google.com",
    "fonts.gstatic.com",
    "connectivitycheck.gstatic.com",
    "www.apple.com",
    "captive.apple.com",
    "gateway.icloud.com",
    "www.microsoft.com",
    "login.live.com",
    "www.msftconnecttest.com",
    "settings-win.data.microsoft.com",
    "ajax.googleapis.com",
    "cdn.jsdelivr.net",
    "cdnjs.cloudflare.com",
    "www.cloudflare.com",
    "www.wikipedia.org",
    "s3.amazonaws.com",
];

impl Spot {
    /// What passes between us and it is dressed so.
    pub(crate) fn dress(&self, shape: Shape) -> Dress {
        self.asker().dress(self.transport(), shape, name(self))
    }
}

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

/// The host that questions to this spot name.
fn name(spot: &Spot) -> &'static str {
    // Neighbouring ports name others: the golden ratio's multiples are spread evenly.
    let mixed = spot.key().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
    NAMES[usize::try_from(mixed).unwrap_or(0) % NAMES.len()]
}

/// Ask this.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) spot: Spot,
    pub(crate) shape: Shape,
    /// Below 256, and another one each time that the same is asked.
    pub(crate) attempt: u8,
    /// How long an acceptance, or a datagram's answer, is waited for.
    pub(crate) hold: Duration,
    /// How long an answer is waited for after an acceptance.
    pub(crate) patience: Duration,
    /// What is asked.
    pub(crate) what: What,
}

/// What is asked of a spot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// The relay's echo.
    Echo,
    /// Whether a dial is accepted, to see whether packets get lost where one is.
    Knock,
    /// Whether a dial is accepted, so that it is worth one.
    Syn,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ask: Ask,
    pub(crate) dialled: Instant,
    /// How long it took to be accepted (TCP) or answered (UDP).
    pub(crate) rtt: Option<Duration>,
    pub(crate) bytes: u32,
    pub(crate) met: Met,
}

#[derive(Debug)]
pub(crate) enum Met {
    /// The relay's own answer.
    Answered(Box<Answered>),
    /// Accepted, and nothing more was wanted.
    Accepted,
    /// Something else.
    Other(Verdict),
}

/// The relay's answer, and the connection that it came on.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) question: Question,
    pub(crate) answer: Answer,
    /// Over TCP, with what came after the answer.
    pub(crate) stream: Option<(TcpStream, Vec<u8>)>,
    /// How many bytes came in all.
    pub(crate) came: usize,
}

/// What the heart of a search hears of.
#[derive(Debug)]
pub(crate) enum News {
    /// An engine's outcomes, a turn's together.
    Outcomes(Vec<Outcome>),
    /// How the climb of this number went.
    Climbed(usize, Climbed),
    /// A climb's thread has ended.
    Left,
    /// An engine cannot go on.
    Dead,
}

/// Where everybody tells it.
pub(crate) type Teller = Sender<News>;

/// Ends an engine's sleep.
#[derive(Clone, Debug)]
pub(crate) struct Bell(std::sync::Arc<EventFd>);

impl Bell {
    pub(crate) fn new() -> nix::Result<Self> {
        use nix::sys::eventfd::EfdFlags;
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        EventFd::from_value_and_flags(0, flags).map(|fd| Self(std::sync::Arc::new(fd)))
    }

    pub(crate) fn ring(&self) {
        // It fails when it has rung 2^64 times unheard.
        let _ = self.0.write(1);
    }

    pub(crate) fn hush(&self) {
        let _ = self.0.read();
    }

    pub(crate) fn fd(&self) -> &EventFd {
        &self.0
    }
}
