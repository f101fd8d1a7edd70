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

#[cfg(test)]
mod tests {
    use super::*;

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
