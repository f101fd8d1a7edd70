//! Programs that hold ports: `examples/hold.rs`.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use lab::{Error, Host, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::LIMIT;

/// A process that holds ports of a host.
pub(crate) struct Holder {
    pub(crate) child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
    pub(crate) ready: String,
}

impl Holder {
    pub(crate) fn on(host: &Host, mode: &str, mechanism: &str) -> Result<Self> {
        Self::with(host, &[mode, mechanism])
    }

    pub(crate) fn with(host: &Host, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(example("hold"));
        command.args(arguments);
        let holder = Self::start(host, command)?;
        let mechanism = arguments.get(1).copied().unwrap_or("tcx");
        if holder.ready.starts_with(&format!("ready {mechanism} ")) {
            return Ok(holder);
        }
        Err(Error::Missing(format!("no {mechanism} on this machine: {}", holder.ready)))
    }

    pub(crate) fn start(host: &Host, command: Command) -> Result<Self> {
        Self::starting(host, command)?.ready()
    }

    /// One that may have to wait for something before it is ready.
    pub(crate) fn starting(host: &Host, mut command: Command) -> Result<Self> {
        command.env_remove("SSH_CONNECTION").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = host.spawn(command)?;
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(std::result::Result::ok) {
                let _ = said.send(line);
            }
        });
        Ok(Self { child, stdin, lines, ready: String::new() })
    }

    pub(crate) fn ready(mut self) -> Result<Self> {
        self.ready = self.line("ready")?;
        Ok(self)
    }

    /// The next line that begins so.
    pub(crate) fn line(&self, beginning: &str) -> Result<String> {
        let until = Instant::now() + LIMIT;
        while let Ok(line) =
            self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if line.starts_with(beginning) {
                return Ok(line);
            }
        }
        Err(Error::Unexpected(format!("the holder does not say {beginning}")))
    }

    pub(crate) fn mode(&self, mode: &str) -> Result<String> {
        writeln!(&self.stdin, "{mode}")?;
        self.line("mode")
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result {
        self::signal(self.child.id(), signal)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, signal: Signal) -> Result {
    let process = Pid::from_raw(i32::try_from(process).expect("a process id"));
    Ok(kill(process, signal).map_err(std::io::Error::from)?)
}

/// Beside this test's own program.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("a test is a program");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("examples").join(name)
}

pub(crate) fn children(of: u32) -> Vec<u32> {
    let path = format!("/proc/{of}/task/{of}/children");
    let list = std::fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
