//! What it costs to accept a connection on all ports, beside one listener.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use lab::{Error, Host, Result};

use crate::figures::{Figures, Metric};
use crate::load::{self, Target};
use crate::process::own_cpu;
use crate::subject::{Subject, on_all_ports, with_plain_listener};
use crate::way::Way;
use crate::world::World;

/// One listener that is asked on one port.
pub(crate) const ONE: &str = "one plain listener";
/// Ours on all ports.
pub(crate) const ALL: &str = "all ports";
/// One listener, and all ports sent to it by the kernel's address translation.
pub(crate) const REDIRECT: &str = "one plain listener, nft redirect";
/// The same in rows of the figures.
pub(crate) const WAY: Way = Way::Padded;

const WARM_UP: usize = 200;
const REST: Duration = Duration::from_millis(500);

/// Measures each once, in every second round in the other order.
pub(crate) fn measure(
    world: &World,
    subject: &Subject,
    count: usize,
    round: usize,
    figures: &mut Figures,
) -> Result {
    let (one, all) = (with_plain_listener(subject)?, on_all_ports(subject));
    let mut turns = [(ONE, &one), (ALL, &all), (REDIRECT, &one)];
    if round % 2 == 1 {
        turns.reverse();
    }
    for (name, subject) in turns {
        let target = subject.target(WAY)?;
        let (running, _) = subject.start(world, target)?;
        let ports = move |count: usize| {
            let port = |number| if name == ONE { target.at().port() } else { spread(number) };
            (0..count).map(|number| target.at_port(port(number))).collect::<Vec<Target>>()
        };
        let _translation =
            if name == REDIRECT { Some(Redirect::new(&world.server, target)?) } else { None };
        load::look_in(&world.user, ports(WARM_UP))?;
        sleep(REST);
        let targets = ports(count);
        let (before, users) = (running.tree().cpu()?, own_cpu()?);
        load::look_in(&world.user, targets)?;
        let used_by_user = own_cpu()?.saturating_sub(users);
        sleep(REST);
        let used = running.tree().cpu()?.saturating_sub(before);
        let each = |used: Duration| used.as_secs_f64() * 1e6 / count as f64;
        figures.add((WAY, name), Metric::AcceptCpu, round, each(used));
        figures.add((WAY, name), Metric::AcceptAll, round, each(used + used_by_user));
    }
    Ok(())
}

/// Ports from 2,000 on, far apart from each other, in an order that repeats only after all of them.
fn spread(number: usize) -> u16 {
    u16::try_from(2000 + number * 25_933 % 60_000).unwrap_or(u16::MAX)
}

/// Rules of a host that send all ports to one, until it is dropped.
struct Redirect<'a>(&'a Host);

impl<'a> Redirect<'a> {
    fn new(host: &'a Host, to: &Target) -> Result<Self> {
        let rules = format!(
            "table ip bench {{ chain ports {{ type nat hook prerouting priority -100; \
             iifname \"eth0\" tcp dport 1-65535 redirect to :{}; }}; }}",
            to.at().port()
        );
        nft(host, &rules)?;
        Ok(Self(host))
    }
}

impl Drop for Redirect<'_> {
    fn drop(&mut self) {
        let _ = nft(self.0, "delete table ip bench");
    }
}

fn nft(host: &Host, rules: &str) -> Result {
    let mut command = Command::new("nft");
    command.arg(rules).stderr(Stdio::piped());
    let output = host.output(command)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Unexpected(format!("nft: {}", String::from_utf8_lossy(&output.stderr))))
}
