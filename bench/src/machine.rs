//! Where and when something was measured.

use std::fs::read_to_string;
use std::thread::available_parallelism;
use std::time::SystemTime;

/// "16 cores of Such And Such, 23 GiB, Linux 6.18".
pub(crate) fn describe() -> String {
    let cpus = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&cpus, "model name").unwrap_or("an unknown processor");
    let cores = available_parallelism().map_or(0, usize::from);
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = field(&memory, "MemTotal").and_then(|of| of.split(' ').next()?.parse::<u64>().ok());
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What comes after the version is a name that whoever built it has given it.
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    let gib = kib.unwrap_or_default() >> 20;
    format!("{cores} cores of {model}, {gib} GiB of memory, Linux {kernel}")
}

/// The mean number of processes that wanted to run during the last minute.
pub(crate) fn load_average() -> String {
    let averages = read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or_default().to_owned()
}

/// The day, UTC.
pub(crate) fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.chars().take(10).collect()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}
