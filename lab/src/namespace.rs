//! A network namespace without a name, kept by a thread that lives in it.
//!
//! Whatever that thread starts, a program or another thread, is born in the same namespace. There
//! is no name to choose and nothing to remove: the kernel takes the namespace away, with its links
//! and routes, when the last thread and the last process in it have gone.
//!
//! It has a mount namespace too, so that its names are the lab's and not the machine's.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, gettid};

use crate::error::{Doing, Result};

type Job = Box<dyn FnOnce() + Send>;

/// A network of its own, empty but for a loopback link that is down.
#[derive(Debug)]
pub(crate) struct Namespace {
    keeper: Pid,
    jobs: mpsc::Sender<Job>,
}

impl Namespace {
    /// Makes one, in which each of `files` stands in place of a file of the machine. `name` is only
    /// what its thread is called.
    pub(crate) fn new(name: &str, files: Vec<(PathBuf, &'static str)>) -> Result<Self> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (made, born) = mpsc::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if made.send(settle(&files).map(|()| gettid())).is_ok() {
                    todo.into_iter().for_each(|job| job());
                }
            })
            .doing("starting the thread of a namespace")?;
        let keeper = born
            .recv()
            .expect("the thread answers before it ends")
            .doing("making a network namespace")?;
        Ok(Self { keeper, jobs })
    }

    /// The thread that lives here, by whose number the kernel finds the namespace.
    pub(crate) fn keeper(&self) -> Pid {
        self.keeper
    }

    /// Does something short here, and waits for it.
    pub(crate) fn enter<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        self.jobs
            .send(Box::new(move || {
                let _ = done.send(job());
            }))
            .expect("the keeper lives as long as its namespace");
        result.recv().expect("the keeper finishes what it begins")
    }

    /// Starts a program here.
    pub(crate) fn spawn(&self, mut command: Command) -> Result<Child> {
        let what = format!("starting {}", command.get_program().display());
        self.enter(move || command.spawn()).doing(what)
    }

    /// Starts a thread here.
    pub(crate) fn thread<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>> {
        let builder = thread::Builder::new().name(name.to_owned());
        self.enter(move || builder.spawn(body)).doing("starting a thread")
    }
}

/// Moves this thread into namespaces of its own.
fn settle(files: &[(PathBuf, &str)]) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    // What is mounted here stays here.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    for (ours, theirs) in files {
        mount(Some(ours), *theirs, none, MsFlags::MS_BIND, none)?;
    }
    Ok(())
}
