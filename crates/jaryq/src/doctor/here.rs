//! The relay on this machine: whether it runs, and whether its ports are its own.

use ports::{Holder, Mode, Program};

use super::Patient;
use super::check::Check;
use super::list;
use crate::config::DEFAULT_PORTS;

/// Who has which port.
pub(crate) struct Held {
    holders: Vec<Holder>,
    /// The relay's own process, whose listeners are no trouble.
    relay: u32,
}

impl Held {
    /// To be asked while still root, since nobody else learns whose sockets they are.
    pub(crate) fn look() -> Vec<Holder> {
        ports::holders().unwrap_or_default()
    }

    pub(crate) fn new(holders: Vec<Holder>, relay: u32) -> Self {
        Self { holders, relay }
    }

    /// Which other program listens there, as it is told; `None` if none is known to.
    pub(crate) fn by(&self, port: u16) -> Option<String> {
        let is_ours = |program: &Program| program.process == self.relay;
        let is_others = |holder: &&Holder| {
            holder.at.port() == port && !holder.program.as_ref().is_some_and(is_ours)
        };
        let holder = self.holders.iter().find(is_others)?;
        Some(match &holder.program {
            Some(Program { name, process }) => format!("{name} (process {process})"),
            None => "another program (as root, doctor says which)".to_owned(),
        })
    }

    /// Whether anything at all listens there.
    pub(crate) fn is_held(&self, port: u16) -> bool {
        self.holders.iter().any(|holder| holder.at.port() == port)
    }
}

/// Whether a relay runs, and how it was started.
pub(crate) fn relay(patient: &Patient) -> Check {
    let face = &patient.face;
    let also = if face.all_ports { " and every other port that is free" } else { "" };
    let answers = format!("{}{also}", face.ports_for_people());
    if patient.runs {
        return Check::ok("relay", format!("runs, and answers on {answers}"));
    }
    Check::fault("relay", "does not run")
        .cause("it was not started since this server was, or it has ended")
        .remedy("'jaryq up', or where it was installed: systemctl start jaryq; journalctl -u jaryq")
}

/// Ports that were asked for and are another program's, or cannot be had.
pub(crate) fn ports(patient: &Patient) -> Vec<Check> {
    let face = &patient.face;
    let wanted = match face.mode.parse() {
        Ok(Mode::List(list)) => list.as_slice().to_vec(),
        _ => DEFAULT_PORTS.to_vec(),
    };
    let mut checks = Vec::new();
    let mut missing = Vec::new();
    for &port in &wanted {
        let had = face.ports.contains(&port);
        let name = format!("port {port}");
        match patient.held.by(port) {
            // What is in people's links leads to the other program.
            Some(who) if had && patient.runs => checks.push(
                Check::fault(name, format!("{who} listens there since the relay was started"))
                    .cause("the port is another program's, so links with it lead to that one")
                    .remedy(format!("end that program, or give out links with another port than {port}")),
            ),
            Some(who) => checks.push(
                Check::warning(name, format!("{who} listens there"))
                    .cause("the port is another program's, and stays that program's")
                    .remedy(
                        "none is needed, links carry another port; or move that program elsewhere and \
                         make it the mask",
                    ),
            ),
            None if !had => missing.push(port.to_string()),
            None => {}
        }
    }
    if !missing.is_empty() {
        checks.push(
            Check::warning("ports", format!("not answered on: {}", list(&missing)))
                .cause(
                    "they were another program's when the relay was started, it was started without \
                     root, or they are ssh's",
                )
                .remedy("start it again, as root; 'jaryq up' says for each port why it cannot be had"),
        );
    }
    if checks.is_empty() {
        let said = "all that were asked for are the relay's";
        checks.push(Check::ok("ports", said));
    }
    checks
}
