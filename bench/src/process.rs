//! CPU time and memory of a process and whatever it started.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use lab::{Error, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;

/// A program and its children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree(i32);

impl Tree {
    pub(crate) fn of(child: &Child) -> Self {
        Self(i32::try_from(child.id()).expect("a process id"))
    }

    /// User and system time so far, to the nanosecond. That of children that have ended is lost.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let clock = |pid| clock(ClockId::pid_cpu_clock_id(Pid::from_raw(pid)));
        self.sum(|pid| clock(pid).map(|spent| spent.as_secs_f64())).map(Duration::from_secs_f64)
    }

    /// User-space memory, shared pages divided among those who share them, in bytes.
    pub(crate) fn pss(self) -> Result<f64> {
        self.sum(pss_of)
    }

    /// How many bytes the pipes that it has open can hold at most.
    pub(crate) fn pipes(self) -> Result<f64> {
        let mut all = BTreeMap::new();
        for pid in self.members()? {
            let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
            let paths = open.filter_map(|entry| Some(entry.ok()?.path()));
            // Both ends have the same name.
            let named = paths.filter_map(|path: PathBuf| {
                let name = fs::read_link(&path).ok()?.to_str()?.to_owned();
                name.starts_with("pipe:").then_some((name, path))
            });
            all.extend(named);
        }
        let size = |path: PathBuf| {
            let flags = OFlag::O_NONBLOCK.bits();
            let pipe = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
            fcntl(pipe, FcntlArg::F_GETPIPE_SZ).ok().map(f64::from)
        };
        // Not `sum`: of nothing, that is -0.
        Ok(all.into_values().filter_map(size).fold(0.0, |sum, size| sum + size))
    }

    /// Ends it and its descendants on the spot.
    pub(crate) fn kill(self) {
        // Some may have ended since, and some end with their parent.
        for pid in self.members().unwrap_or_else(|_| vec![self.0]) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// What its members have together. One that ends meanwhile has nothing any more.
    fn sum(self, of: impl Fn(i32) -> Result<f64>) -> Result<f64> {
        let mut sum = of(self.0)?;
        for pid in self.members()?.into_iter().skip(1) {
            sum += of(pid).unwrap_or_default();
        }
        Ok(sum)
    }

    /// It and its descendants.
    fn members(self) -> Result<Vec<i32>> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            // It may have ended since.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            if let Some(Ok(parent)) = after_name.split_whitespace().nth(1).map(str::parse::<i32>) {
                parents.push((pid, parent));
            }
        }
        let mut members = vec![self.0];
        let mut next = 0;
        while let Some(&member) = members.get(next) {
            members.extend(parents.iter().filter(|(_, of)| *of == member).map(|(pid, _)| pid));
            next += 1;
        }
        Ok(members)
    }
}

/// This process's own memory, in bytes.
pub(crate) fn own_memory() -> Result<f64> {
    pss_of(Pid::this().as_raw())
}

/// The CPU time of the load tool itself: the user and the datacentre.
pub(crate) fn own_cpu() -> Result<Duration> {
    clock(Ok(ClockId::CLOCK_PROCESS_CPUTIME_ID))
}

/// The CPU time of this thread.
pub(crate) fn thread_cpu() -> Result<Duration> {
    clock(Ok(ClockId::CLOCK_THREAD_CPUTIME_ID))
}

fn clock(id: nix::Result<ClockId>) -> Result<Duration> {
    let now = id.and_then(ClockId::now).map_err(std::io::Error::from)?;
    Ok(now.into())
}

fn pss_of(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let rollup = fs::read_to_string(&path)?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0).ok_or_else(|| Error::Unexpected(format!("no memory in {path}")))
}
