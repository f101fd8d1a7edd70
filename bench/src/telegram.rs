//! The run: in every round, for every form, every proxy in turn.

use std::io::Write;

use anyhow::Context;
use lab::relay::Form;
use lab::{Host, Lab};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wire::mtproto::{Datacentre, Datacentres};

use crate::figures::Figures;
use crate::load::datacentre;
use crate::report::Report;
use crate::visit::{ALONE, Visit};
use crate::{Options, machine, subject};

/// More open files than this are not used by anyone.
const FILES: u64 = 20_000;

/// Telegram, a server for the proxies and a user, each on a machine of its own.
#[derive(Debug)]
pub(crate) struct World {
    _lab: Lab,
    pub(crate) telegram: Host,
    pub(crate) server: Host,
    pub(crate) user: Host,
}

impl World {
    fn new() -> lab::Result<Self> {
        let lab = Lab::new()?;
        let all = [1, 2, 3, 4, 5].map(Datacentre::Main).into_iter().chain([Datacentre::Media]);
        let endpoints = all.flat_map(|dc| Datacentres::default().endpoints(dc));
        // In one family, so that nobody loses time with trying the other.
        let v4 = endpoints.filter(|at| at.is_ipv4() && at.port() == 443);
        let addresses: Vec<String> = v4.map(|at| at.ip().to_string()).collect();
        let telegram =
            lab.host("telegram", &addresses.iter().map(String::as_str).collect::<Vec<_>>())?;
        datacentre::open(&telegram)?;
        let server = lab.host("server", &["116.203.7.7"])?;
        let user = lab.host("user", &["5.76.1.10"])?;
        Ok(Self { _lab: lab, telegram, server, user })
    }
}

/// Measures everything; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, FILES.min(hard), FILES.min(hard))
        .context("raising the number of open files")?;
    let world = World::new()?;
    let subjects = subject::all(options, &world.server)?;
    let load_before = machine::load_average();
    let mut figures = Figures::default();
    let mut failures = Vec::new();
    for round in 0..options.rounds {
        // The tool alone, then each form; another proxy begins each time.
        let turns =
            (0..subjects.len()).map(|turn| Some(&subjects[(turn + round) % subjects.len()]));
        let visits = options.forms.iter().flat_map(|&form| turns.clone().map(move |of| (form, of)));
        for (form, subject) in [(Form::Plain, None)].into_iter().chain(visits) {
            let name = subject.map_or(ALONE, |subject| subject.name);
            tell(&format!("round {} of {}: {form:?}, {name}", round + 1, options.rounds));
            let (figures, failures) = (&mut figures, &mut failures);
            Visit { world: &world, options, form, name, figures, failures }.pay(subject);
        }
    }
    let skipped = subject::skipped(options);
    let load = (load_before, machine::load_average());
    Ok(Report { options, subjects: &subjects, figures: &figures, skipped, failures, load }
        .to_string())
}

/// Nobody reading is no reason to stop.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
