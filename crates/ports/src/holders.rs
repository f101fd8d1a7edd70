//! Which programs listen on this machine, by their names.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::held::{self, Sockets};

/// A TCP socket that listens, other than on loopback alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Where it listens.
    pub at: SocketAddr,
    /// The program that has it; only root learns that of others' programs.
    pub program: Option<Program>,
}

/// A process and what it is called; of several that share a socket, the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Its id.
    pub process: u32,
    /// Its name, of which the kernel knows 15 bytes.
    pub name: String,
}

/// Every listening TCP socket of this network namespace.
///
/// # Errors
/// When the kernel does not say.
pub fn holders() -> io::Result<Vec<Holder>> {
    let mut sockets = Sockets::open()?.tcp(held::LISTEN)?;
    sockets.retain(|socket| !socket.local.ip().is_loopback());
    let mut owners = HashMap::new();
    let mut processes: Vec<(u32, PathBuf)> = listing(Path::new("/proc"))
        .into_iter()
        .filter_map(|path| Some((path.file_name()?.to_str()?.parse().ok()?, path)))
        .collect();
    processes.sort();
    for (process, path) in processes {
        for inode in sockets_of(&path) {
            owners.entry(inode).or_insert_with(|| (process, path.clone()));
        }
    }
    let program = |inode| {
        let (process, path) = owners.get(&inode)?;
        let name = fs::read_to_string(path.join("comm")).ok()?;
        // Whoever runs a program names it, and what is told here is shown on a terminal.
        let name = name.trim().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        Some(Program { process: *process, name })
    };
    let holder = |socket: &held::Held| Holder { at: socket.local, program: program(socket.inode) };
    Ok(sockets.iter().map(holder).collect())
}

/// The inodes of the sockets that a process has open, as far as we may see them.
pub(crate) fn sockets_of(process: &Path) -> impl Iterator<Item = u32> {
    listing(&process.join("fd")).into_iter().filter_map(|file| {
        let target = fs::read_link(file).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

pub(crate) fn listing(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_program_that_listens_is_named_and_one_that_listens_inside_is_passed_over() {
        let own = TcpListener::bind("0.0.0.0:0").expect("a port");
        let at = own.local_addr().expect("its address");
        let inside = TcpListener::bind("127.0.0.1:0").expect("a port");
        let inside = inside.local_addr().expect("its address");
        let all = holders().expect("the kernel says");
        let found = all.iter().find(|holder| holder.at == at).expect("ours is among them");
        let program = found.program.as_ref().expect("our own process");
        assert_eq!(program.process, std::process::id());
        assert!(!program.name.is_empty());
        assert!(all.iter().all(|holder| holder.at != inside));
    }
}
