//! Where it is measured.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;
use lab::{Host, Lab};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wire::mtproto::{Datacentre, Datacentres};

use crate::load::datacentre;

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
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, FILES.min(hard), FILES.min(hard))
            .context("raising the number of open files")?;
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
        for host in [&server, &user] {
            give_ports(host)?;
        }
        Ok(Self { _lab: lab, telegram, server, user })
    }

    /// Where every connection ends.
    pub(crate) fn datacentre(&self) -> SocketAddr {
        (self.telegram.v4(), 443).into()
    }
}

/// Lets a host make many connections a minute to the same place: where most ports rest from a
/// connection before, the kernel's search for another costs more than all that is measured here.
fn give_ports(host: &Host) -> lab::Result {
    const SETTINGS: &str = "echo 10000 65535 > /proc/sys/net/ipv4/ip_local_port_range && \
        echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse";
    let mut command = Command::new("sh");
    command.args(["-c", SETTINGS]);
    if host.output(command)?.status.success() {
        return Ok(());
    }
    Err(lab::Error::Unexpected(format!("{} gets no more ports", host.name())))
}
