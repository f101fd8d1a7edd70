//! The one interface to whatever mechanism this machine allows.

use std::fmt;
use std::io;
use std::net::TcpListener;

use crate::bind::Refused;
use crate::datagrams::Datagrams;
use crate::listed::Listed;
use crate::set::PortSet;
use crate::steer::Hook;
use crate::steered::Steered;
use crate::{Mode, PortList};

/// How ports are had, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mechanism {
    /// A BPF program looks at each packet that comes in, and takes it only if nobody has its port.
    Tcx,
    /// A BPF program is asked when the kernel looks for a socket. It knows other programs' ports
    /// from a list that is a second old at most, and leaves alone those UDP ports from which
    /// programs ask when they do not care from which.
    SkLookup,
    /// Rules of nftables look at each packet that comes in, and take it only if nobody has its port.
    /// For machines that forbid BPF, such as containers, and for kernels before 5.9.
    Tproxy,
    /// A listener for each port: never all of them, and below 1024 not without root.
    List,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcx => "tcx",
            Self::SkLookup => "sk_lookup",
            Self::Tproxy => "tproxy",
            Self::List => "list",
        })
    }
}

/// What to open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// On which ports to answer.
    pub mode: Mode,
    /// What [`Mode::Quiet`] is; and what is left of [`Mode::All`] where only a list can be had. The
    /// first one is what links carry.
    pub quiet: PortList,
    /// Whether datagrams may be taken too, from [`Ports::hear_datagrams`] on. Without it, UDP ports are
    /// as they were.
    pub udp: bool,
    /// The best mechanism to try.
    pub best: Mechanism,
}

/// Open ports.
///
/// Somebody must call [`Ports::tend`] once a second: a process that does not is taken for hung after
/// five, and its ports behave as closed until it does again. (A list of listeners needs none of it.)
#[derive(Debug)]
pub struct Ports {
    mode: Mode,
    quiet: PortList,
    passed_over: Vec<(Mechanism, String)>,
    how: How,
    first: Change,
}

#[derive(Debug)]
enum How {
    Steered(Box<Steered>),
    Listed(Listed),
}

/// What came of [`Ports::set_mode`], for whoever accepts: new listeners to accept from, and ports
/// whose listeners are to be dropped. Where ports are steered there is neither. Connections are not
/// touched.
#[derive(Debug, Default)]
pub struct Change {
    /// Non-blocking. An accepted connection's `local_addr` is what was dialled; the listener's own is
    /// not, where one listener has all ports.
    pub listeners: Vec<TcpListener>,
    /// Datagrams, if [`Settings::udp`].
    pub datagrams: Vec<Datagrams>,
    /// Drop the listeners and the datagrams of these ports.
    pub closed: Vec<u16>,
}

/// On what ports the relay answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answers {
    /// On every port but those of other programs, and those never taken.
    pub all: bool,
    /// Of the list (in [`Mode::All`], of [`Settings::quiet`]) those that can be reached, in its order.
    pub ports: Vec<u16>,
    /// And those that cannot.
    pub refused: Vec<Refused>,
    /// Over IPv6 too, or over IPv4 alone because this machine knows nothing else.
    pub ipv6: bool,
}

/// Something went wrong with ports that were open.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The ports are closed, and only a new start opens them again.
    #[error("the process that held the ports open has gone; start again to have them back")]
    KeeperGone,
    /// The system refused something that it granted before.
    #[error("looking after the ports: {0}")]
    System(#[from] io::Error),
}

impl Ports {
    /// Opens ports by the best mechanism to be had; this does not fail, but may end with no port at
    /// all, which [`Ports::answers`] tells.
    ///
    /// Steering starts a small process by `fork`, so this is best called before there are threads;
    /// and it must be called by a thread in the network namespace whose ports are meant.
    #[must_use]
    pub fn open(settings: Settings) -> Self {
        let Settings { mode, quiet, udp, best } = settings;
        let mut passed_over = Vec::new();
        let mut steered = None;
        for hook in [Hook::Tcx, Hook::SkLookup, Hook::Tproxy] {
            let mechanism = hook.into();
            if best > mechanism {
                passed_over.push((mechanism, "not asked for".to_owned()));
                continue;
            }
            match Steered::open(hook, udp) {
                Ok((it, doors)) => {
                    let first = Change {
                        listeners: doors.listeners,
                        datagrams: doors.datagrams,
                        closed: Vec::new(),
                    };
                    steered = Some((How::Steered(Box::new(it)), first));
                    break;
                }
                Err(reason) => passed_over.push((mechanism, reason)),
            }
        }
        let (how, first) =
            steered.unwrap_or_else(|| (How::Listed(Listed::new(udp)), Change::default()));
        let mut ports = Self { mode: Mode::Quiet, quiet, passed_over, how, first };
        let change = ports.set_mode(mode);
        ports.first.listeners.extend(change.listeners);
        ports.first.datagrams.extend(change.datagrams);
        ports
    }

    /// The listeners to accept from, once: they are the caller's from then on. See
    /// [`Change::listeners`].
    #[must_use]
    pub fn listeners(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.first.listeners)
    }

    /// Where datagrams come in, once: they are the caller's from then on.
    #[must_use]
    pub fn datagrams(&mut self) -> Vec<Datagrams> {
        std::mem::take(&mut self.first.datagrams)
    }

    /// How the ports are had now. It changes by itself from [`Mechanism::Tcx`] to
    /// [`Mechanism::SkLookup`] while the machine translates addresses, as it does once Docker runs.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match &self.how {
            How::Steered(steered) => steered.hook().into(),
            How::Listed(_) => Mechanism::List,
        }
    }

    /// The better mechanisms, and why each is not had.
    #[must_use]
    pub fn why_not_better(&self) -> Vec<(Mechanism, String)> {
        let mut reasons = self.passed_over.clone();
        if let How::Steered(steered) = &self.how {
            reasons.extend(steered.why_not());
        }
        reasons
    }

    /// Takes datagrams on the same ports from now on. A list takes them from the start, since its
    /// sockets may need root.
    pub fn hear_datagrams(&mut self) {
        if let How::Steered(steered) = &mut self.how {
            steered.hear_datagrams();
        }
    }

    /// Why datagrams are not taken, although [`Settings::udp`] asked for it: a raw socket for answers
    /// takes `CAP_NET_RAW`.
    #[must_use]
    pub fn why_no_datagrams(&self) -> Option<&str> {
        match &self.how {
            How::Steered(steered) => steered.no_datagrams(),
            How::Listed(_) => None,
        }
    }

    /// What an earlier process, killed together with its keeper, had left on this machine, and was
    /// removed at the start: rules of nftables that no longer did anything.
    #[must_use]
    pub fn removed(&self) -> &[String] {
        match &self.how {
            How::Steered(steered) => steered.removed(),
            How::Listed(_) => &[],
        }
    }

    /// On which ports it is to answer.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// On which ports it does answer.
    #[must_use]
    pub fn answers(&mut self) -> Answers {
        let list = match &self.mode {
            Mode::Quiet | Mode::All => self.quiet.clone(),
            Mode::List(list) => list.clone(),
        };
        match &mut self.how {
            How::Steered(steered) => {
                let refused = steered.refusals(list.as_slice());
                let open = |port: &u16| !refused.iter().any(|refused| refused.port() == *port);
                let ports = list.as_slice().iter().copied().filter(open).collect();
                Answers { all: self.mode == Mode::All, ports, refused, ipv6: steered.ipv6() }
            }
            How::Listed(listed) => Answers {
                all: false,
                ports: listed.open().to_vec(),
                refused: listed.refused().to_vec(),
                ipv6: listed.ipv6(),
            },
        }
    }

    /// Answers on other ports from now on, without touching a connection. Where ports are steered it
    /// needs no privilege; where they are a list, what it needs is what [`Mechanism::List`] says, and
    /// [`Mode::All`] becomes [`Settings::quiet`].
    #[must_use = "new listeners are to be accepted from, old ones to be dropped"]
    pub fn set_mode(&mut self, mode: Mode) -> Change {
        let list = match &mode {
            Mode::Quiet | Mode::All => &self.quiet,
            Mode::List(list) => list,
        };
        let change = match &mut self.how {
            How::Steered(steered) => {
                steered.want(&match &mode {
                    Mode::All => PortSet::all(),
                    _ => list.as_slice().iter().copied().collect(),
                });
                Change::default()
            }
            How::Listed(listed) => listed.want(list),
        };
        self.mode = mode;
        change
    }

    /// Changes what [`Settings::quiet`] is, in the mode that there is.
    #[must_use = "new listeners are to be accepted from, old ones to be dropped"]
    pub fn set_quiet(&mut self, quiet: PortList) -> Change {
        self.quiet = quiet;
        self.set_mode(self.mode.clone())
    }

    /// Says that there is somebody to answer, and takes notice of what other programs opened or
    /// closed. To be called once a second, from the loop whose hanging would be a hang.
    ///
    /// # Errors
    /// When the ports are not what they were. Called again, it tries again.
    pub fn tend(&mut self) -> Result<(), Trouble> {
        match &mut self.how {
            How::Steered(steered) => steered.tend(),
            How::Listed(_) => Ok(()),
        }
    }
}
