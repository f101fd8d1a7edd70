//! A program that tells what it does in JSON, an object a line.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::error::{Doing, Error, Result};
use crate::host::Host;

/// A running program; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: Arc<Said>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    events: Vec<Value>,
    /// Everything else, and what it wrote on its standard error.
    other: Vec<String>,
    silent: bool,
}

impl Process {
    pub(crate) fn start(host: &Host, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = host.spawn(command)?;
        let said = Arc::<Said>::default();
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let readers = vec![listen(stdout, said.clone(), true), listen(stderr, said.clone(), false)];
        Ok(Self { child, said, readers })
    }

    /// Waits for an event of this name; the first that was ever printed.
    pub(crate) fn event(&self, name: &str, limit: Duration) -> Result<Value> {
        self.find(name, limit, |event| event["event"] == name)
    }

    /// Waits for an event of which `is_it` is true; the first that was ever printed.
    pub(crate) fn find(
        &self,
        what: &str,
        limit: Duration,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let lines = self.said.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |lines: &mut Lines| !lines.silent && !lines.events.iter().any(&is_it);
        let waited = self.said.more.wait_timeout_while(lines, limit, waiting);
        let (lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        lines.events.iter().find(|event| is_it(event)).cloned().ok_or_else(|| {
            let (events, other) = (&lines.events, lines.other.join("\n"));
            Error::Unexpected(format!("no event {what} but {events:?} and\n{other}"))
        })
    }

    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        let lines = self.said.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.events.iter().filter(|event| event["event"] == name).cloned().collect()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).doing("asking for a program's memory")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib * 1024)
            .ok_or_else(|| Error::Unexpected("a program that has ended has no memory".to_owned()))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).doing(format!("sending {signal}"))
    }

    pub(crate) fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.child.try_wait().doing("waiting for a program")? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(Error::Unexpected(format!("it did not end in {limit:?}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if thread::panicking() {
            let lines = self.said.lines.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!("the program said:\n{:?}\n{}", lines.events, lines.other.join("\n"));
        }
    }
}

fn listen(from: impl Read + Send + 'static, said: Arc<Said>, events: bool) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut lines = said.lines.lock().unwrap_or_else(PoisonError::into_inner);
            match serde_json::from_str(&line) {
                Ok(event) if events => lines.events.push(event),
                _ => lines.other.push(line),
            }
            said.more.notify_all();
        }
        let mut lines = said.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.silent |= events;
        said.more.notify_all();
    })
}
