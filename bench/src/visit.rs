//! What is measured of one proxy in one form, once.

use std::thread::sleep;
use std::time::Duration;

use lab::relay::Form;
use lab::{Error, Result};

use crate::Options;
use crate::figures::{Figures, Metric};
use crate::load::{self, Direction, Target};
use crate::process::own_cpu;
use crate::subject::Subject;
use crate::telegram::World;

/// How many connections move bytes at the same time.
pub(crate) const STREAMS: usize = 4;
/// How often a transfer that does not get through is begun again.
pub(crate) const ATTEMPTS: usize = 5;
/// What the load tool is called among the proxies.
pub(crate) const ALONE: &str = "no proxy";
/// Connections before those that are measured, so that caches and pools are as in use.
const WARM_UP: usize = 100;
/// Until what was opened or closed has come to rest.
const REST: Duration = Duration::from_secs(2);
const MIB: f64 = 1_048_576.0;

/// Measures one proxy in one form; or the load tool alone, as if it were one.
pub(crate) struct Visit<'a> {
    pub(crate) world: &'a World,
    pub(crate) options: &'a Options,
    pub(crate) form: Form,
    pub(crate) name: &'static str,
    pub(crate) figures: &'a mut Figures,
    /// What went wrong, in words.
    pub(crate) failures: &'a mut Vec<String>,
}

impl Visit<'_> {
    /// Starts the proxy twice, for its memory and for its speed; without one, goes straight to the
    /// datacentre, which shows what no proxy could be faster than. What fails is noted.
    pub(crate) fn pay(mut self, subject: Option<&Subject>) {
        let done = match subject {
            Some(subject) => self.memory(subject).and_then(|()| {
                let target = subject.target(self.form)?;
                let (world, user) = (self.world, &self.world.user);
                let (running, took) = subject.start(&world.server, user, &target)?;
                self.note(Metric::Start, took.as_secs_f64() * 1e3);
                self.speed(&target, || running.tree().cpu())
            }),
            None => {
                let target = Target::straight_to((self.world.telegram.v4(), 443).into());
                self.speed(&target, own_cpu)
            }
        };
        if let Err(error) = done {
            self.failed("before any transfer", &error);
        }
    }

    fn memory(&mut self, subject: &Subject) -> Result {
        let (server, user) = (&self.world.server, &self.world.user);
        let target = subject.target(self.form)?;
        let (running, took) = subject.start(server, user, &target)?;
        self.note(Metric::Start, took.as_secs_f64() * 1e3);
        sleep(REST);
        let before = running.tree().pss()?;
        self.note(Metric::Base, before / MIB);
        let connections = load::connect(user, &target, self.options.idle)?;
        sleep(REST);
        let more = running.tree().pss()? - before;
        self.note(Metric::Idle, more / 1024.0 / connections.len() as f64);
        Ok(())
    }

    fn speed(&mut self, target: &Target, cpu: impl Fn() -> Result<Duration>) -> Result {
        let user = &self.world.user;
        load::handshakes(user, target, WARM_UP)?;
        sleep(REST);
        let count = self.options.handshakes;
        let before = cpu()?;
        let took = load::handshakes(user, target, count)?;
        // Until the last ones are closed on the other side too.
        sleep(REST / 4);
        let used = cpu()? - before;
        self.note(Metric::HandshakeCpu, used.as_secs_f64() * 1e3 / count as f64);
        self.note(Metric::HandshakeRate, count as f64 / took.as_secs_f64());

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
        Ok(())
    }

    fn transfer(
        &mut self,
        target: &Target,
        direction: Direction,
        cpu: impl Fn() -> Result<Duration>,
    ) -> Result {
        let bytes = self.options.mib * (1 << 20) / STREAMS as u64;
        let connections = load::connect(&self.world.user, target, STREAMS)?;
        let before = cpu()?;
        let took = load::transfer(&self.world.user, connections, direction, bytes)?;
        let used = cpu()? - before;
        let gib = (bytes * STREAMS as u64) as f64 / 1024.0 / MIB;
        let (by_cpu, by_clock) = match direction {
            Direction::Down => (Metric::DownCpu, Metric::DownRate),
            Direction::Up => (Metric::UpCpu, Metric::UpRate),
        };
        self.note(by_cpu, used.as_secs_f64() / gib);
        self.note(by_clock, gib * 1024.0 / took.as_secs_f64());
        Ok(())
    }

    fn note(&mut self, metric: Metric, sample: f64) {
        self.figures.add(self.form, metric, self.name, sample);
    }

    fn failed(&mut self, what: &str, error: &Error) {
        self.failures.push(format!("{}, {:?}, {what}: {error}", self.name, self.form));
    }
}
