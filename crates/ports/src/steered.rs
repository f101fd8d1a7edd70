//! Ports that a BPF program hands over: rules in memory, a keeper that holds the program, sockets.

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
use crate::open::Trouble;
use crate::rules::Rules;
use crate::set::PortSet;
use crate::steer::{Hook, Reason, Steering};
use crate::transport::Transport;

/// For how long the programs believe that somebody is there to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Steered {
    hook: Hook,
    rules: Rules,
    keeper: Keeper,
    held: Sockets,
    /// What was asked for, before anything is left out.
    wanted: PortSet,
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
        let raw = udp.then(Raw::new).transpose().map_err(doing("a raw socket for answers"))?;
        let held = Sockets::open().map_err(doing("asking who has which port"))?;
        let (mut steering, rules) = Steering::load(hook)?;
        let keeper = Keeper::start(&mut steering, &rules)?;
        let anchors = Anchors::new(udp).map_err(doing("a socket of our own"))?;
        steering.to(&anchors)?;
        let mut doors = Doors::default();
        doors.listeners.push(anchors.tcp4);
        doors.listeners.extend(anchors.tcp6);
        if let Some(raw) = raw.map(Arc::new) {
            let sockets = anchors.udp4.into_iter().chain(anchors.udp6);
            doors.datagrams =
                sockets.map(|socket| Datagrams::new(socket, Out::Raw(raw.clone()))).collect();
        }
        let mut steered = Self { hook, rules, keeper, held, wanted: PortSet::empty() };
        for port in never::certain() {
            steered.rules.never(port);
        }
        steered.tend().map_err(|trouble| trouble.to_string())?;
        Ok((steered, doors))
    }

    pub(crate) fn want(&mut self, ports: PortSet) {
        self.wanted = ports;
        self.rules.answer(Transport::Tcp, &self.wanted);
        self.rules.answer(Transport::Udp, &self.udp());
    }

    /// Without the ports at which programs of this machine await answers, where those cannot be told
    /// from questions.
    fn udp(&self) -> PortSet {
        let mut ports = self.wanted.clone();
        let leave_out = match self.hook {
            // A packet is looked at where its socket is not known yet.
            Hook::SkLookup => true,
            // Answers to machines behind this one, whose address it lends them.
            Hook::Tcx => forwards(),
        };
        if leave_out {
            ephemeral().for_each(|port| ports.remove(port));
        }
        ports
    }

    pub(crate) fn tend(&mut self) -> Result<(), Trouble> {
        self.rules.alive_for(PATIENCE)?;
        if self.hook == Hook::SkLookup {
            self.rules.held(Transport::Tcp, &self.held.tcp_ports()?);
            self.rules.held(Transport::Udp, &self.held.udp_ports()?);
        }
        self.rules.answer(Transport::Udp, &self.udp());
        if self.keeper.lives() { Ok(()) } else { Err(Trouble::KeeperGone) }
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

/// Whether this machine passes on what is not for itself.
fn forwards() -> bool {
    ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"]
        .iter()
        .any(|setting| fs::read_to_string(setting).is_ok_and(|value| value.trim() != "0"))
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
