//! CPU time and memory of a process and whatever it started.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab::{Error, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;

/// How long what was killed may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that leads a group of processes, and its children.
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

    /// The most memory that its leader had in RAM at a time, in bytes.
    pub(crate) fn peak(self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        let none = || Error::Unexpected("a program without memory".to_owned());
        kib.map(|kib| kib * 1024.0).ok_or_else(none)
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

    /// Ends it and its descendants, and waits until they have: one that still dies could answer in the
    /// next one's place.
    pub(crate) fn kill(self) {
        // Some may have ended since, and some end with their parent.
        let mut members = self.members().unwrap_or_else(|_| vec![self.0]);
        for &pid in &members {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let until = Instant::now() + PATIENCE;
        while !members.is_empty() && Instant::now() < until {
            members.retain(|&pid| stat(pid).is_some_and(|stat| !stat.is_dead));
            sleep(Duration::from_millis(5));
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
            let Some(Stat { parent, group, .. }) = stat(pid) else { continue };
            // Whose parent has ended has another one.
            let parent = if group == self.0 && pid != self.0 { self.0 } else { parent };
            parents.push((pid, parent));
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

/// What the kernel says of a process that is there.
struct Stat {
    parent: i32,
    group: i32,
    /// It has ended, with all its threads, and nobody has asked how yet.
    is_dead: bool,
}

/// See proc_pid_stat(5).
fn stat(pid: i32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
    let is_dead = matches!(*fields.first()?, "Z" | "X") && number(17)? <= 1;
    Some(Stat { parent: number(1)?, group: number(2)?, is_dead })
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
