//! What is measured of one proxy in one way, once.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use lab::{Error, Host, Result};

use crate::figures::{Figures, Metric};
use crate::load::{self, Direction, Path, Target};
use crate::process::{Tree, own_cpu};
use crate::subject::Subject;
use crate::way::Way;
use crate::world::World;

/// How many connections move bytes at the same time.
pub(crate) const STREAMS: usize = 4;
/// How often a transfer that does not get through is begun again.
pub(crate) const ATTEMPTS: usize = 5;
/// What the load tool is called among the proxies.
pub(crate) const ALONE: &str = "no proxy";
/// How many connections ask for bytes and do not read them.
pub(crate) const STALLED: usize = 200;
/// How many connections are made to see how late the first byte is.
pub(crate) const FIRST_BYTES: usize = 50;
/// Connections before those that are measured, so that caches and pools are as in use.
const WARM_UP: usize = 100;
/// How much is moved over a long way, in MiB: enough to see what windows allow.
pub(crate) const FAR_DOWN: u64 = 48;
pub(crate) const FAR_UP: u64 = 16;
/// Until what was opened or closed has come to rest.
pub(crate) const REST: Duration = Duration::from_secs(2);
pub(crate) const MIB: f64 = 1_048_576.0;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts {
    /// How much is moved at a time, over all connections, in MiB.
    pub(crate) mib: u64,
    pub(crate) idle: usize,
    pub(crate) handshakes: usize,
    /// How long it is waited until everything has come to rest.
    pub(crate) rest: Duration,
}

/// Measures one proxy in one way; or the load tool alone, as if it were one.
pub(crate) struct Visit<'a> {
    pub(crate) world: &'a World,
    pub(crate) amounts: Amounts,
    pub(crate) way: Way,
    pub(crate) name: &'static str,
    pub(crate) round: usize,
    pub(crate) figures: &'a mut Figures,
    /// What went wrong, in words.
    pub(crate) failures: &'a mut Vec<String>,
}

impl Visit<'_> {
    /// How fast it would be with no proxy: nothing could be faster than that.
    pub(crate) fn alone(&mut self) {
        let target = self.straight();
        let done = self.connections(&target, own_cpu).map(|()| self.transfers(&target, own_cpu));
        self.unless(done, "before any transfer");
    }

    /// Starts it, leaves it alone, and then leaves connections idle.
    pub(crate) fn memory(&mut self, subject: &Subject) {
        let done = self.try_memory(subject);
        self.unless(done, "memory");
    }

    /// Starts it, makes connections and moves bytes.
    pub(crate) fn speed(&mut self, subject: &Subject) {
        let done = self.try_speed(subject, false);
        self.unless(done, "before any transfer");
    }

    /// The same, and how late the first byte is.
    pub(crate) fn speed_and_delay(&mut self, subject: &Subject) {
        let done = self.try_speed(subject, true);
        self.unless(done, "before any transfer");
    }

    /// Starts it and has bytes sent that nobody reads.
    pub(crate) fn stalled(&mut self, subject: &Subject) {
        let done = self.try_stalled(subject);
        self.unless(done, "readers that stall");
    }

    /// Moves bytes over one long way: to this proxy, or to the datacentre itself.
    pub(crate) fn far(&mut self, subject: Option<&Subject>) {
        let done = self.try_far(subject);
        self.unless(done, "a long way");
    }

    fn try_memory(&mut self, subject: &Subject) -> Result {
        let target = subject.target(self.way)?;
        let (running, took) = subject.start(self.world, target)?;
        self.note(Metric::Start, took.as_secs_f64() * 1e3);
        sleep(self.amounts.rest);
        let before = running.tree().pss()?;
        self.note(Metric::Base, before / MIB);
        let connections = load::connect(&self.world.user, target, self.amounts.idle)?;
        sleep(self.amounts.rest);
        let more = running.tree().pss()? - before;
        self.note(Metric::Idle, more / 1024.0 / connections.len() as f64);
        Ok(())
    }

    fn try_speed(&mut self, subject: &Subject, delay: bool) -> Result {
        let target = subject.target(self.way)?;
        let (running, took) = subject.start(self.world, target)?;
        self.note(Metric::Start, took.as_secs_f64() * 1e3);
        let cpu = || running.tree().cpu();
        self.connections(target, cpu)?;
        if delay {
            let straight = self.straight();
            let late = load::delay(&self.world.user, target, &straight, FIRST_BYTES)?;
            self.note(Metric::FirstByte, late.as_secs_f64() * 1e3);
        }
        self.transfers(target, cpu);
        Ok(())
    }

    fn try_far(&mut self, subject: Option<&Subject>) -> Result {
        let straight = self.straight();
        let target = subject.map_or(Ok(&straight), |subject| subject.target(self.way))?;
        let _running = subject.map(|subject| subject.start(self.world, target)).transpose()?;
        let user = &self.world.user;
        let path = Path::open(user, target.at())?;
        let target = target.by_way_of(path.begins_at());
        for (direction, metric, mib) in
            [(Direction::Down, Metric::FarDown, FAR_DOWN), (Direction::Up, Metric::FarUp, FAR_UP)]
        {
            let connections = load::connect(user, &target, 1)?;
            let took = load::transfer(user, connections, direction, mib << 20)?;
            self.note(metric, mib as f64 / took.as_secs_f64());
        }
        Ok(())
    }

    fn try_stalled(&mut self, subject: &Subject) -> Result {
        let target = subject.target(self.way)?;
        let (running, _) = subject.start(self.world, target)?;
        let mut connections = load::connect(&self.world.user, target, STALLED)?;
        // As much as nobody keeps.
        load::stall(&mut connections, 1 << 30)?;
        sleep(2 * self.amounts.rest);
        let tree: Tree = running.tree();
        self.note(Metric::Stalled, tree.pss()? / MIB);
        self.note(Metric::StalledPipes, tree.pipes()? / MIB);
        self.note(Metric::StalledSockets, in_sockets(&self.world.server)? / MIB);
        Ok(())
    }

    fn connections(&mut self, target: &Target, cpu: impl Fn() -> Result<Duration>) -> Result {
        let user = &self.world.user;
        load::handshakes(user, target, WARM_UP)?;
        sleep(self.amounts.rest / 2);
        let count = self.amounts.handshakes;
        let before = cpu()?;
        let took = load::handshakes(user, target, count)?;
        // Until the last ones are closed on the other side too.
        sleep(self.amounts.rest / 4);
        let used = cpu()?.saturating_sub(before);
        self.note(Metric::HandshakeCpu, used.as_secs_f64() * 1e3 / count as f64);
        self.note(Metric::HandshakeRate, count as f64 / took.as_secs_f64());
        Ok(())
    }

    fn transfers(&mut self, target: &Target, cpu: impl Fn() -> Result<Duration>) {
        for direction in [Direction::Down, Direction::Up] {
            let mut attempts = 0;
            while let Err(error) = self.transfer(target, direction, &cpu) {
                attempts += 1;
                self.failed(direction.name(), &error);
                if attempts == ATTEMPTS {
                    break;
                }
            }
        }
    }

    fn transfer(
        &mut self,
        target: &Target,
        direction: Direction,
        cpu: impl Fn() -> Result<Duration>,
    ) -> Result {
        let bytes = self.amounts.mib * (1 << 20) / STREAMS as u64;
        let connections = load::connect(&self.world.user, target, STREAMS)?;
        let before = cpu()?;
        let took = load::transfer(&self.world.user, connections, direction, bytes)?;
        let used = cpu()?.saturating_sub(before);
        let gib = (bytes * STREAMS as u64) as f64 / 1024.0 / MIB;
        let (by_cpu, by_clock) = match direction {
            Direction::Down => (Metric::DownCpu, Metric::DownRate),
            Direction::Up => (Metric::UpCpu, Metric::UpRate),
        };
        self.note(by_cpu, used.as_secs_f64() / gib);
        self.note(by_clock, gib * 1024.0 / took.as_secs_f64());
        Ok(())
    }

    fn straight(&self) -> Target {
        Target::straight_to(self.world.datacentre())
    }

    fn note(&mut self, metric: Metric, sample: f64) {
        self.figures.add((self.way, self.name), metric, self.round, sample);
    }

    fn unless(&mut self, done: Result, what: &str) {
        if let Err(error) = done {
            self.failed(what, &error);
        }
    }

    fn failed(&mut self, what: &str, error: &Error) {
        self.failures.push(format!("{}, {}, {what}: {error}", self.name, self.way.name()));
    }
}

/// What the kernel keeps in a host's TCP sockets, in bytes: `r`, `f` and `w` of `ss`, see ss(8).
fn in_sockets(host: &Host) -> Result<f64> {
    let mut command = Command::new("ss");
    command.args(["-tmnH"]).stdout(Stdio::piped());
    let output = host.output(command)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let fields = said
        .split("skmem:(")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .flat_map(|fields| fields.split(','));
    let sizes = fields.filter_map(|field| match field.split_at_checked(1)? {
        ("r" | "f" | "w", size) => size.parse::<f64>().ok(),
        _ => None,
    });
    Ok(sizes.sum())
}
