//! How packets come to our sockets: the one thing that mechanisms other than a list do differently.

use std::fmt;

use crate::anchor::Anchors;
use crate::bpf::Bpf;
use crate::open::Mechanism;
use crate::rules::Rules;
use crate::tproxy::{self, Tproxy};

/// Where the kernel asks whose a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hook {
    /// At every packet, before it is known whose it is.
    Tcx,
    /// When a socket is looked for.
    SkLookup,
    /// By rules of nftables, at every packet.
    Tproxy,
}

impl From<Hook> for Mechanism {
    fn from(hook: Hook) -> Self {
        match hook {
            Hook::Tcx => Self::Tcx,
            Hook::SkLookup => Self::SkLookup,
            Hook::Tproxy => Self::Tproxy,
        }
    }
}

/// Why not, in the words of the kernel.
pub(crate) type Reason = String;

/// What steers. It is made by the relay, and then belongs to the keeper; when it is dropped, or the
/// keeper ends, nothing is steered any more.
pub(crate) trait Steering: fmt::Debug {
    /// Packets go to these sockets. Before it is attached.
    fn to(&mut self, anchors: &Anchors) -> Result<(), Reason>;

    /// Is at work from now on, as the rules say.
    fn attach(&mut self) -> Result<(), Reason>;

    /// Does what changes of the machine and of the rules ask for, where the kernel does not see them
    /// by itself. Once a second, and when somebody waits for it. Called again, it tries again.
    fn look(&mut self, rules: &Rules) -> Result<(), Reason>;
}

/// What steers at this hook, its rules, and what it had to remove first.
pub(crate) struct Loaded {
    pub(crate) steering: Box<dyn Steering>,
    pub(crate) rules: Rules,
    pub(crate) removed: Vec<String>,
}

pub(crate) fn load(hook: Hook) -> Result<Loaded, Reason> {
    if hook == Hook::Tproxy {
        let removed = tproxy::tidy()?;
        let rules = Rules::shared().map_err(|error| format!("sharing memory: {error}"))?;
        let steering = Box::new(Tproxy::default());
        return Ok(Loaded { steering, rules, removed });
    }
    let (bpf, rules) = Bpf::load(hook)?;
    Ok(Loaded { steering: Box::new(bpf), rules, removed: Vec::new() })
}
