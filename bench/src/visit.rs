//! What is measured of one proxy in one form, once.

use std::thread::sleep;
use std::time::Duration;

use lab::Result;
use lab::relay::Form;

use crate::Options;
use crate::figures::{Figures, Metric};
use crate::load::{self, Direction, Target};
use crate::process::own_cpu;
use crate::subject::Subject;
use crate::telegram::World;

/// How many connections move bytes at the same time.
pub(crate) const STREAMS: usize = 4;
/// Connections before those that are measured, so that caches and pools are as in use.
const WARM_UP: usize = 100;
/// Until what was opened or closed has come to rest.
const REST: Duration = Duration::from_secs(2);
const MIB: f64 = 1_048_576.0;

/// Starts the proxy twice: for its memory, and for its speed.
pub(crate) fn measure(
    world: &World,
    subject: &Subject,
    form: Form,
    options: &Options,
    figures: &mut Figures,
) -> Result {
    let target = subject.target(form)?;
    let mut note = |metric, sample| figures.add(form, metric, subject.name, sample);

    let (running, took) = subject.start(&world.server, &world.user, &target)?;
    note(Metric::Start, took.as_secs_f64() * 1e3);
    sleep(REST);
    let before = running.tree().pss()?;
    note(Metric::Base, before / MIB);
    let connections = load::connect(&world.user, &target, options.idle)?;
    sleep(REST);
    let more = running.tree().pss()? - before;
    note(Metric::Idle, more / 1024.0 / options.idle as f64);
    drop(running);
    drop(connections);

    let (running, took) = subject.start(&world.server, &world.user, &target)?;
    note(Metric::Start, took.as_secs_f64() * 1e3);
    let cpu = || running.tree().cpu();
    let speed = speed(world, &target, options, cpu)?;
    for (metric, sample) in speed {
        note(metric, sample);
    }
    Ok(())
}

/// The load tool alone, straight to the datacentre: what no proxy could be faster than, and the
/// CPU that the tool itself takes.
pub(crate) fn alone(world: &World, options: &Options, figures: &mut Figures) -> Result {
    let target = Target::straight_to((world.telegram.v4(), 443).into());
    for (metric, sample) in speed(world, &target, options, own_cpu)? {
        figures.add(Form::Plain, metric, ALONE, sample);
    }
    Ok(())
}

/// What the load tool is called among the proxies.
pub(crate) const ALONE: &str = "no proxy";

fn speed(
    world: &World,
    target: &Target,
    options: &Options,
    cpu: impl Fn() -> Result<Duration>,
) -> Result<Vec<(Metric, f64)>> {
    load::handshakes(&world.user, target, WARM_UP)?;
    sleep(REST);
    let before = cpu()?;
    let took = load::handshakes(&world.user, target, options.handshakes)?;
    // Until the last ones are closed on the other side too.
    sleep(REST / 4);
    let used = (cpu()? - before).as_secs_f64();
    let count = options.handshakes as f64;
    let mut samples = vec![
        (Metric::HandshakeCpu, used * 1e3 / count),
        (Metric::HandshakeRate, count / took.as_secs_f64()),
    ];
    let bytes = options.mib * (1 << 20) / STREAMS as u64;
    for (direction, by_cpu, by_clock) in [
        (Direction::Down, Metric::DownCpu, Metric::DownRate),
        (Direction::Up, Metric::UpCpu, Metric::UpRate),
    ] {
        let connections = load::connect(&world.user, target, STREAMS)?;
        let before = cpu()?;
        let took = load::transfer(&world.user, connections, direction, bytes)?;
        let used = (cpu()? - before).as_secs_f64();
        samples.push((by_cpu, used * 1024.0 / options.mib as f64));
        samples.push((by_clock, options.mib as f64 / took.as_secs_f64()));
    }
    Ok(samples)
}
