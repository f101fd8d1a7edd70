//! Ports whose packets are handed over: rules in memory, a keeper that holds what steers, sockets.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::anchor::Anchors;
use crate::bind::Refused;
use crate::datagrams::{Datagrams, Out, Raw};
use crate::held::Sockets;
use crate::keeper::Keeper;
use crate::never;
use crate::open::{Mechanism, Trouble};
use crate::rules::Rules;
use crate::set::PortSet;
use crate::steer::{self, Hook, Loaded, Reason};
use crate::transport::Transport;

/// For how long the programs believe that somebody is there to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Steered {
    /// The one that was asked for.
    hook: Hook,
    rules: Rules,
    keeper: Keeper,
    /// Whether the keeper has done what it was asked to.
    followed: bool,
    held: Sockets,
    ipv6: bool,
    /// What was found of an earlier process and removed.
    removed: Vec<String>,
    /// The ports on which to answer; datagrams only if those are heard.
    wanted: PortSet,
    hears_datagrams: bool,
    /// Why datagrams are not taken, although they were to be.
    no_datagrams: Option<Reason>,
}

/// What comes with it, for the caller to serve.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) datagrams: Vec<Datagrams>,
}

impl Steered {
    pub(crate) fn open(hook: Hook, udp: bool) -> Result<(Self, Doors), Reason> {
        let doing = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        // What fails for want of a privilege comes first, since it says so best.
        let Loaded { mut steering, rules, removed } = steer::load(hook)?;
        // Without it, datagrams could not be answered from the ports that were asked.
        let raw = udp.then(Raw::new).transpose().map_err(doing("a raw socket for answers"));
        let (raw, no_datagrams) = match raw {
            Ok(raw) => (raw, None),
            Err(reason) => (None, Some(reason)),
        };
        let udp = raw.is_some();
        let held = Sockets::open().map_err(doing("asking who has which port"))?;
        let anchors =
            Anchors::new(udp, hook == Hook::Tproxy).map_err(doing("a socket of our own"))?;
        steering.to(&anchors)?;
        let (keeper, anchors) = Keeper::start(steering, &rules, anchors)?;
        let ipv6 = anchors.tcp6.is_some();
        let mut doors = Doors::default();
        doors.listeners.push(anchors.tcp4);
        doors.listeners.extend(anchors.tcp6);
        if let Some(raw) = raw.map(Arc::new) {
            let sockets = anchors.udp4.into_iter().chain(anchors.udp6);
            doors.datagrams =
                sockets.map(|socket| Datagrams::new(socket, Out::Raw(raw.clone()))).collect();
        }
        let followed = true;
        let (wanted, hears_datagrams) = (PortSet::empty(), false);
        let mut steered = Self {
            hook,
            rules,
            keeper,
            followed,
            held,
            ipv6,
            removed,
            wanted,
            hears_datagrams,
            no_datagrams,
        };
        for port in never::certain() {
            steered.rules.never(port);
        }
        steered.tend().map_err(|trouble| trouble.to_string())?;
        Ok((steered, doors))
    }

    pub(crate) fn ipv6(&self) -> bool {
        self.ipv6
    }

    /// Where packets are taken at this moment.
    pub(crate) fn hook(&self) -> Hook {
        match self.hook {
            Hook::Tcx if self.rules.at_lookup() => Hook::SkLookup,
            hook => hook,
        }
    }

    /// What an earlier process had left behind, which is gone now.
    pub(crate) fn removed(&self) -> &[String] {
        &self.removed
    }

    /// Why datagrams are not taken, although they were to be.
    pub(crate) fn no_datagrams(&self) -> Option<&str> {
        self.no_datagrams.as_deref()
    }

    /// Why not at the hook that was asked for, if so.
    pub(crate) fn why_not(&self) -> Option<(Mechanism, Reason)> {
        (self.hook != self.hook()).then(|| {
            let reason =
                "this machine translates addresses (NAT), and whose a packet is shows only later";
            (self.hook.into(), reason.to_owned())
        })
    }

    pub(crate) fn want(&mut self, ports: &PortSet) {
        self.rules.answer(Transport::Tcp, ports);
        self.wanted = ports.clone();
        self.answer_datagrams();
        let _ = self.follow();
    }

    /// Takes datagrams from now on.
    pub(crate) fn hear_datagrams(&mut self) {
        if !self.hears_datagrams {
            self.hears_datagrams = true;
            self.answer_datagrams();
            let _ = self.follow();
        }
    }

    fn answer_datagrams(&mut self) {
        if self.hears_datagrams {
            self.rules.answer(Transport::Udp, &self.wanted);
        }
    }

    /// BPF programs read the rules themselves; rules of nftables are the keeper's to change.
    fn follow(&mut self) -> Result<(), Trouble> {
        if self.hook == Hook::Tproxy {
            let done = self.keeper.follow();
            self.followed = done.is_ok();
            done?;
        }
        Ok(())
    }

    pub(crate) fn tend(&mut self) -> Result<(), Trouble> {
        self.rules.alive_for(PATIENCE)?;
        if self.hook != Hook::Tproxy {
            // Only for the program at lookup; but that may be at work at any moment.
            self.rules.held(Transport::Tcp, &self.held.tcp_ports()?);
            let mut udp = self.held.udp_ports()?;
            // An answer to a socket that is not connected looks like a question, and such sockets
            // come and go within milliseconds: the ports that they are given are left alone.
            ephemeral().for_each(|port| udp.insert(port));
            self.rules.held(Transport::Udp, &udp);
        }
        if !self.keeper.lives() {
            return Err(Trouble::KeeperGone);
        }
        if self.followed { Ok(()) } else { self.follow() }
    }

    /// Why nobody is answered there, if so.
    pub(crate) fn refusals(&mut self, ports: &[u16]) -> Vec<Refused> {
        let never = self.rules.nevers();
        let held = self.held.tcp_ports().unwrap_or_else(|_| PortSet::empty());
        let refusal = |&port: &u16| match port {
            port if never.has(port) => Some(Refused::Never(port)),
            port if held.has(port) => Some(Refused::Taken(port)),
            _ => None,
        };
        ports.iter().filter_map(refusal).collect()
    }
}

/// The ports that the system gives to whoever does not care.
fn ephemeral() -> RangeInclusive<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().map(str::parse);
    match (ends.next(), ends.next()) {
        (Some(Ok(first)), Some(Ok(last))) => first..=last,
        _ => 32_768..=60_999,
    }
}
