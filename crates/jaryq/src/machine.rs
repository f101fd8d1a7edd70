//! What this machine, and whoever limits this process on it, lets it have.

use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process have as many files open as it may; tells how many.
pub(crate) fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1024;
    };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

/// How much memory this process may have, in bytes: the machine's, or less where a service manager,
/// a container or `ulimit` says so; 1 GiB where nobody says.
pub(crate) fn memory() -> u64 {
    let machine = nix::sys::sysinfo::sysinfo().map_or(1 << 30, |info| info.ram_total());
    let of_process = [Resource::RLIMIT_DATA, Resource::RLIMIT_AS]
        .into_iter()
        .filter_map(|resource| getrlimit(resource).ok().map(|(soft, _)| soft));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_groups = groups.lines().filter_map(|line| of_group(line, Path::new("/sys/fs/cgroup")));
    of_process.chain(of_groups).fold(machine, u64::min)
}

/// The least that a control group and those above it allow (cgroups(7)); `line` is one of
/// `/proc/self/cgroup`.
fn of_group(line: &str, root: &Path) -> Option<u64> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let (root, file) = if controllers.is_empty() {
        (root.to_owned(), "memory.max")
    } else if controllers.split(',').any(|one| one == "memory") {
        (root.join("memory"), "memory.limit_in_bytes")
    } else {
        return None;
    };
    let group = root.join(path.trim_start_matches('/'));
    let above = group.ancestors().take_while(|group| group.starts_with(&root));
    // Within a container the path may lead nowhere, and the root is the group. "max" is no number.
    above.filter_map(|group| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok()).min()
}

/// How busy the machine's processors are.
#[derive(Default)]
pub(crate) struct Processors {
    /// Ticks that they were at work, and all, since the machine was started.
    before: (u64, u64),
}

impl Processors {
    /// Since the last time, in percent; 0 where the system does not say.
    pub(crate) fn busy(&mut self) -> u8 {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let Some(now) = ticks(&text) else { return 0 };
        let (worked, all) =
            (now.0.saturating_sub(self.before.0), now.1.saturating_sub(self.before.1));
        self.before = now;
        u8::try_from((worked * 100).checked_div(all).unwrap_or(0).min(100)).unwrap_or(100)
    }
}

/// Of the first line of `/proc/stat` (proc_stat(5)): the fourth and fifth number are spent doing
/// nothing, the last two are counted among the first two.
fn ticks(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let numbers: Vec<u64> = line.split_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
    let all: u64 = numbers.iter().sum();
    let idle = numbers.get(3)? + numbers.get(4).copied().unwrap_or(0);
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_busy_while_they_are_not_idle() {
        assert_eq!(ticks("cpu  10 0 20 60 10 0 0 0 5 0\ncpu0 1"), Some((30, 100)));
        assert_eq!(ticks("cpu0 1 2"), None);
        let mut processors = Processors::default();
        assert!(processors.busy() <= 100 && processors.busy() <= 100);
    }

    #[test]
    fn the_least_of_a_group_and_those_above_it_counts() {
        let root = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("within")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("system.slice/memory.max", "67108864\n");
        write("system.slice/jaryq.service/memory.max", "max\n");
        write("memory/user/memory.limit_in_bytes", "33554432\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        for (line, limit) in [
            ("0::/system.slice/jaryq.service", Some(64 << 20)),
            ("0::/", None),
            ("4:memory:/user", Some(32 << 20)),
            ("4:cpu,memory:/gone/from/here", Some(9_223_372_036_854_771_712)),
            ("1:cpu:/user", None),
            ("garbage", None),
        ] {
            assert_eq!(of_group(line, root.path()), limit, "{line}");
        }
    }
}
