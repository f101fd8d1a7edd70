//! Steering by nftables: a table of our own, which the keeper puts up and takes down.
//!
//! It looks at addresses, ports and sockets alone, so connections need not be tracked; and what is
//! steered is for this machine anyway, so there is no route to add.

use std::fs;

use nix::errno::Errno;

use crate::anchor::Anchors;
use crate::netlink::attributes;
use crate::nftables::{Batch, Netfilter, Refusal, TABLE};
use crate::rules::Rules;
use crate::set::PortSet;
use crate::steer::{Reason, Steering};
use crate::table::{self, Door};
use crate::transport::Transport;

/// What our tables are called, before the number of the process that put them up.
const NAME: &str = "jaryq_";

/// The rules, and what takes us to them.
#[derive(Debug, Default)]
pub(crate) struct Tproxy {
    doors: Vec<Door>,
    /// In the keeper alone, since whoever has it open owns the table.
    line: Option<Line>,
}

#[derive(Debug)]
struct Line {
    netfilter: Netfilter,
    table: String,
    /// Whether the kernel removes the table with this process.
    owned: bool,
    /// What is steered at this moment; there is no table while nothing is.
    steered: Option<[PortSet; 2]>,
}

impl Steering for Tproxy {
    fn to(&mut self, anchors: &Anchors) -> Result<(), Reason> {
        let tcp = [Some(&anchors.tcp4), anchors.tcp6.as_ref()].into_iter().flatten();
        let udp = [anchors.udp4.as_ref(), anchors.udp6.as_ref()].into_iter().flatten();
        let tcp = tcp.map(|one| (Transport::Tcp, one.local_addr()));
        for (transport, at) in tcp.chain(udp.map(|one| (Transport::Udp, one.local_addr()))) {
            self.doors.push((transport, at.map_err(|error| error.to_string())?));
        }
        Ok(())
    }

    /// Puts the table up once without a port, so that a kernel that cannot have it says so now.
    fn attach(&mut self) -> Result<(), Reason> {
        let netfilter = Netfilter::open().map_err(|error| format!("no nftables: {error}"))?;
        let table = format!("{NAME}{}", std::process::id());
        let mut line = Line { netfilter, table, owned: true, steered: None };
        let ports = || [PortSet::empty(), PortSet::empty()];
        let mut up = line.steer(ports(), &self.doors);
        // Before Linux 5.12, tables have no owner.
        if up.as_ref().is_err_and(|it| matches!(it.code(), Errno::EOPNOTSUPP | Errno::EINVAL)) {
            line.owned = false;
            up = line.steer(ports(), &self.doors);
        }
        up.map_err(|refusal| refusal.to_string())?;
        self.line = Some(line);
        Ok(())
    }

    fn look(&mut self, rules: &Rules) -> Result<(), Reason> {
        let Some(line) = &mut self.line else { return Ok(()) };
        line.check();
        let ports = [Transport::Tcp, Transport::Udp].map(|transport| {
            match self.doors.iter().any(|door| door.0 == transport) {
                true => rules.wanted(transport),
                false => PortSet::empty(),
            }
        });
        let some = ports.iter().any(|ports| !ports.is_empty());
        let done = match (&line.steered, some) {
            (None, false) => Ok(()),
            (Some(steered), true) if *steered == ports => Ok(()),
            (_, true) => line.steer(ports, &self.doors),
            (Some(_), false) => line.leave(),
        };
        done.map_err(|refusal| refusal.to_string())
    }
}

impl Line {
    /// Takes notice when somebody has flushed all rules. A table that is owned stays then.
    fn check(&mut self) {
        if !self.owned && self.steered.is_some() {
            let tables = self.netfilter.list(TABLE).unwrap_or_default();
            if !tables.iter().any(|table| name(table) == Some(&self.table)) {
                self.steered = None;
            }
        }
    }

    /// Steers these ports, TCP and UDP, and no others, from one moment to the next.
    fn steer(&mut self, ports: [PortSet; 2], doors: &[Door]) -> Result<(), Refusal> {
        let mut batch = Batch::new();
        if self.steered.is_some() {
            batch.delete(TABLE, "to drop a table", &table::of(&self.table));
        }
        table::make(&mut batch, &self.table, self.owned, &ports, doors);
        self.netfilter.commit(batch)?;
        self.steered = Some(ports);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Refusal> {
        let mut batch = Batch::new();
        batch.delete(TABLE, "to drop a table", &table::of(&self.table));
        self.netfilter.commit(batch)?;
        self.steered = None;
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.steered.is_some() {
            let _ = self.leave();
        }
    }
}

/// Removes what processes left behind that were killed, with their keepers, where tables have no
/// owner; names it. Such a table does nothing any more. Fails where nothing can be steered either.
pub(crate) fn tidy() -> Result<Vec<String>, Reason> {
    const OWNER: u16 = 7;
    let mut netfilter = Netfilter::open().map_err(|error| format!("no nftables: {error}"))?;
    let tables = netfilter.list(TABLE).map_err(|refusal| refusal.to_string())?;
    let mut removed = Vec::new();
    for one in tables {
        let Some(name) = name(&one) else { continue };
        let Some(Ok(process)) = name.strip_prefix(NAME).map(str::parse::<u32>) else { continue };
        let owned = attributes(&one).any(|(kind, _)| kind == OWNER);
        // Whoever has ended has no command line, even if nobody has taken notice of its end yet.
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        if owned || !line.is_empty() {
            continue;
        }
        let mut batch = Batch::new();
        batch.delete(TABLE, "to drop a table", &table::of(name));
        if netfilter.commit(batch).is_ok() {
            removed.push(name.to_owned());
        }
    }
    Ok(removed)
}

/// What a table is called.
fn name(of_table: &[u8]) -> Option<&str> {
    const NAME: u16 = 1;
    let (_, name) = attributes(of_table).find(|(kind, _)| *kind == NAME)?;
    std::str::from_utf8(name.strip_suffix(b"\0")?).ok()
}
