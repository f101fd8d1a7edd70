//! Pipes, which belong to a thread and are lent to connections that have bytes to move.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

/// How many idle pipes of a size a thread keeps for the next connections.
const SPARE: usize = 16;
/// How many large pipes there may be in the process. A user without privileges may have 64 MiB of
/// pipes before the kernel makes new ones tiny (`pipe-user-pages-soft`, pipe(7)); half of that stays
/// for the usual ones.
const MOST_LARGE: usize = 32;

static LARGE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SPARE_PIPES: RefCell<[Vec<Pipe>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    /// As the kernel makes them: 16 pages.
    Usual,
    /// As large as it lets anybody have one.
    Large,
}

impl Size {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Usual => 64 << 10,
            Self::Large => 1 << 20,
        }
    }
}

pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
    size: Size,
}

impl Pipe {
    /// A pipe of that size, or of the usual one where there are no large ones to be had.
    pub(super) fn take(size: Size) -> io::Result<Self> {
        let spare = SPARE_PIPES.with_borrow_mut(|spare| spare[size as usize].pop());
        match (spare, size) {
            (Some(pipe), _) => Ok(pipe),
            (None, Size::Usual) => Self::new(),
            (None, Size::Large) => Ok(Self::take(Size::Usual)?.grown()),
        }
    }

    fn new() -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Self { read, write, size: Size::Usual })
    }

    fn grown(mut self) -> Self {
        let one_more = |large| (large < MOST_LARGE).then_some(large + 1);
        if LARGE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok() {
            let bytes = i32::try_from(Size::Large.bytes()).expect("1 MiB");
            match fcntl(&self.write, FcntlArg::F_SETPIPE_SZ(bytes)) {
                Ok(_) => self.size = Size::Large,
                Err(_) => _ = LARGE.fetch_sub(1, Ordering::Relaxed),
            }
        }
        self
    }

    /// For the next connection. Only an empty pipe may be given back.
    pub(super) fn give_back(self) {
        SPARE_PIPES.with_borrow_mut(|spare| {
            let spare = &mut spare[self.size as usize];
            if spare.len() < SPARE {
                spare.push(self);
            }
        });
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.size == Size::Large {
            LARGE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(pipe: &Pipe) -> usize {
        let bytes = fcntl(&pipe.write, FcntlArg::F_GETPIPE_SZ).expect("a pipe has a size");
        usize::try_from(bytes).expect("of some bytes")
    }

    #[test]
    fn large_pipes_are_few_and_are_used_again() {
        let mut pipes: Vec<Pipe> = (0..MOST_LARGE + 2)
            .map(|_| Pipe::take(Size::Large).expect("there are descriptors enough"))
            .collect();
        let large = |pipes: &[Pipe]| {
            pipes.iter().filter(|pipe| capacity(pipe) == Size::Large.bytes()).count()
        };
        assert_eq!(large(&pipes), MOST_LARGE);
        let place = pipes.iter().position(|pipe| pipe.size == Size::Large).expect("most are");
        pipes.swap_remove(place).give_back();
        pipes.push(Pipe::take(Size::Usual).expect("there are descriptors enough"));
        assert_eq!(large(&pipes), MOST_LARGE - 1);
        pipes.push(Pipe::take(Size::Large).expect("there is one to spare"));
        assert_eq!(large(&pipes), MOST_LARGE);
        drop(pipes);
        assert_eq!(LARGE.load(Ordering::Relaxed), 0);
    }
}
