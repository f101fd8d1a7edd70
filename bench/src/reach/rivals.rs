//! The scanners that people have: how each is told to look at all ports of one address, and which it
//! says are open.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::{Error, Host, Result};
use nix::sys::resource::{UsageWho, getrusage};

use crate::process::Tree;
use crate::subject::{installed, said};

/// Some never end; then they are ended.
const PATIENCE: Duration = Duration::from_secs(40);
/// Others take their time, and do end.
const MORE_PATIENCE: Duration = Duration::from_secs(400);

/// A scanner, told in one way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rival {
    /// As fast as one who knows it can make it.
    Nmap,
    /// As most people call it.
    NmapUsual,
    Masscan,
    RustScan,
}

/// What a program took, from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) took: Duration,
    pub(super) cpu: Duration,
    /// The most memory that it had, in bytes.
    pub(super) peak: f64,
}

/// What came of one look.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) spent: Spent,
    pub(super) ended: bool,
    /// What it says is open.
    pub(super) open: BTreeSet<u16>,
}

impl Rival {
    pub(super) const ALL: [Self; 4] = [Self::Nmap, Self::NmapUsual, Self::Masscan, Self::RustScan];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nmap => "nmap, tuned",
            Self::NmapUsual => "nmap -T4",
            Self::Masscan => "masscan",
            Self::RustScan => "RustScan",
        }
    }

    /// Whether one look takes minutes; then one has to do.
    pub(super) const fn is_slow(self) -> bool {
        matches!(self, Self::NmapUsual)
    }

    /// The file to be run.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Nmap | Self::NmapUsual => "nmap",
            Self::Masscan => "masscan",
            Self::RustScan => "rustscan",
        }
    }

    /// Where it is: as the command line says, or installed.
    pub(super) fn find(self, given: Option<&Path>) -> Option<PathBuf> {
        given.map(Path::to_owned).or_else(|| installed(self.program()))
    }

    /// What it says of itself.
    pub(super) fn version(self, program: &Path) -> Result<String> {
        said(program, &["--version"])
    }

    /// How it is told to look at all TCP ports of an address.
    pub(super) fn arguments(self, target: IpAddr) -> Vec<String> {
        let words = match self {
            Self::Nmap => "-n -Pn -sS -T4 --min-rate 20000 --max-retries 1 -p1-65535 -oG -",
            Self::NmapUsual => "-n -Pn -sS -T4 -p1-65535 -oG -",
            Self::Masscan => "-p1-65535 --rate 100000 --wait 3 -oL -",
            Self::RustScan => "-r 1-65535 -b 4500 -t 1500 -g --no-config --no-banner --accessible",
        };
        let words = words.split(' ').map(str::to_owned);
        let target = target.to_string();
        match self {
            Self::RustScan => words.chain(["-a".to_owned(), target]).collect(),
            _ => words.chain([target]).collect(),
        }
    }

    /// Which ports it says are open, of all that it printed.
    fn open(self, printed: &str) -> BTreeSet<u16> {
        let ports: Vec<&str> = match self {
            // Ports: 179/open/tcp//bgp///, 646/open/...
            Self::Nmap | Self::NmapUsual => {
                let lists = printed.lines().filter_map(|line| line.split_once("Ports: "));
                let entries = lists.flat_map(|(_, list)| list.split(','));
                entries
                    .filter_map(|entry| entry.trim().split_once("/open/"))
                    .map(|of| of.0)
                    .collect()
            }
            // open tcp 179 192.0.2.1 1763000000
            Self::Masscan => {
                let lines = printed.lines().filter_map(|line| line.strip_prefix("open tcp "));
                lines.filter_map(|rest| rest.split(' ').next()).collect()
            }
            // 192.0.2.1 -> [179,646]
            Self::RustScan => {
                let lists = printed.lines().filter_map(|line| line.split_once("-> ["));
                lists.flat_map(|(_, list)| list.trim_end_matches(']').split(',')).collect()
            }
        };
        ports.into_iter().filter_map(|port| port.trim().parse().ok()).collect()
    }

    /// Lets it look from a host.
    pub(super) fn look(self, program: &Path, from: &Host, target: IpAddr) -> Result<Look> {
        let mut command = Command::new(program);
        command.args(self.arguments(target)).current_dir(from.folder()?);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let before = children()?;
        let start = Instant::now();
        let mut child = from.spawn(command)?;
        let stdout = child.stdout.take();
        let reader = thread::spawn(move || read(stdout));
        let patience = if self.is_slow() { MORE_PATIENCE } else { PATIENCE };
        let (ended, peak) = end(&mut child, start + patience)?;
        let took = start.elapsed();
        let printed = reader.join().map_err(|_| Error::Unexpected("no output".to_owned()))?;
        let cpu = children()?.saturating_sub(before);
        Ok(Look { spent: Spent { took, cpu, peak }, ended, open: self.open(&printed) })
    }
}

fn read(stdout: Option<ChildStdout>) -> String {
    let mut printed = Vec::new();
    // One that is ended has printed what it found.
    let _ = stdout.map(|mut stdout| stdout.read_to_end(&mut printed));
    String::from_utf8_lossy(&printed).into_owned()
}

/// Waits for the end of a program, or ends it; whether it ended by itself, and how much memory it had
/// at most, in bytes.
pub(super) fn end(child: &mut Child, until: Instant) -> Result<(bool, f64)> {
    let mut peak = 0.0;
    loop {
        if child.try_wait()?.is_some() {
            return Ok((true, peak));
        }
        peak = Tree::of(child).peak().unwrap_or(peak);
        if Instant::now() > until {
            Tree::of(child).kill();
            child.wait()?;
            return Ok((false, peak));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The CPU time of all programs of ours that have ended.
pub(super) fn children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(std::io::Error::from)?;
    let of = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(micros.try_into().unwrap_or(0))
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_prints_is_read() {
        let nmap = "# Nmap 7.93 scan\nHost: 192.0.2.1 ()\tStatus: Up\n\
            Host: 192.0.2.1 ()\tPorts: 179/open/tcp//bgp///, 646/open/tcp//ldp///, \
            7/closed/tcp//echo///\tIgnored State: filtered (65532)\n";
        assert_eq!(Rival::Nmap.open(nmap), [179, 646].into());
        let masscan =
            "#masscan\nopen tcp 646 192.0.2.1 1763900000\nopen tcp 179 192.0.2.1 1\n# end\n";
        assert_eq!(Rival::Masscan.open(masscan), [179, 646].into());
        assert_eq!(Rival::RustScan.open("192.0.2.1 -> [179,646]\n"), [179, 646].into());
        assert_eq!(Rival::RustScan.open(""), [].into());
    }
}
