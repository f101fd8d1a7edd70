//! The page of rules that we write and that the BPF programs or the keeper read, through memory that
//! both see.
//!
//! Memory and not `bpf(2)`, so that rules can change when no privilege is left.
#![allow(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use nix::time::{ClockId, clock_gettime};

use crate::set::{BYTES, PortSet};
use crate::transport::Transport;

/// `struct rules` of `bpf/steer.bpf.c`.
#[repr(C)]
struct Layout {
    deadline: AtomicU64,
    at_lookup: AtomicU64,
    tcp: SharedSet,
    udp: SharedSet,
    never: SharedSet,
    held_tcp: SharedSet,
    held_udp: SharedSet,
}

#[repr(transparent)]
struct SharedSet([AtomicU8; BYTES]);

impl SharedSet {
    fn set(&self, ports: &PortSet) {
        for (shared, &byte) in self.0.iter().zip(ports.0.iter()) {
            shared.store(byte, Ordering::Relaxed);
        }
    }

    fn get(&self) -> PortSet {
        let mut ports = PortSet::empty();
        for (byte, shared) in ports.0.iter_mut().zip(&self.0) {
            *byte = shared.load(Ordering::Relaxed);
        }
        ports
    }

    fn insert(&self, port: u16) {
        self.0[usize::from(port >> 3)].fetch_or(1 << (port & 7), Ordering::Relaxed);
    }
}

const SIZE: NonZeroUsize = NonZeroUsize::new(size_of::<Layout>()).expect("it has fields");

/// The rules, shared with the kernel and with processes that are forked from this one.
#[derive(Debug)]
pub(crate) struct Rules(NonNull<Layout>);

// SAFETY: all that is behind the pointer are atomics, in memory that stays mapped as long as this is.
unsafe impl Send for Rules {}
// SAFETY: as above.
unsafe impl Sync for Rules {}

impl Rules {
    /// Those in the only element of an array map that was made with `BPF_F_MMAPABLE`.
    pub(crate) fn map(map: impl AsFd) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice. The kernel refuses a map that
        // is shorter; its memory begins at a page and is zero at first, which is a valid `Layout`.
        let at = unsafe { mmap(None, SIZE, protection, MapFlags::MAP_SHARED, map, 0) }?;
        Ok(Self(at.cast()))
    }

    /// Those of a keeper that is forked from this process.
    pub(crate) fn shared() -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice. It begins at a page and is zero
        // at first, which is a valid `Layout`.
        let at = unsafe { mmap_anonymous(None, SIZE, protection, MapFlags::MAP_SHARED) }?;
        Ok(Self(at.cast()))
    }

    fn layout(&self) -> &Layout {
        // SAFETY: mapped until `drop`, and only ever accessed as these atomics, by us and the kernel.
        unsafe { self.0.as_ref() }
    }

    /// From now on, and until told again, there is somebody to answer for that long.
    pub(crate) fn alive_for(&self, time: Duration) -> io::Result<()> {
        self.layout().deadline.store(now()?.saturating_add(nanos(time)), Ordering::Relaxed);
        Ok(())
    }

    /// Which of the two programs is at work: the one at lookup, or the one at ingress.
    pub(crate) fn set_at_lookup(&self, at_lookup: bool) {
        self.layout().at_lookup.store(at_lookup.into(), Ordering::Relaxed);
    }

    pub(crate) fn at_lookup(&self) -> bool {
        self.layout().at_lookup.load(Ordering::Relaxed) != 0
    }

    /// The ports to answer on at this moment, as long as nobody else has them: none, when there is
    /// nobody to answer.
    pub(crate) fn wanted(&self, transport: Transport) -> PortSet {
        let deadline = self.layout().deadline.load(Ordering::Relaxed);
        if now().is_ok_and(|now| now >= deadline) {
            return PortSet::empty();
        }
        let mut ports = match transport {
            Transport::Tcp => self.layout().tcp.get(),
            Transport::Udp => self.layout().udp.get(),
        };
        self.nevers().ports().for_each(|port| ports.remove(port));
        ports
    }

    /// Answers on these ports from now on.
    pub(crate) fn answer(&self, transport: Transport, ports: &PortSet) {
        match transport {
            Transport::Tcp => self.layout().tcp.set(ports),
            Transport::Udp => self.layout().udp.set(ports),
        }
    }

    /// Never again this port, whatever it is asked to answer on.
    pub(crate) fn never(&self, port: u16) {
        self.layout().never.insert(port);
    }

    /// The ports that [`Rules::never`] was said of.
    pub(crate) fn nevers(&self) -> PortSet {
        self.layout().never.get()
    }

    /// These are other programs' ports, for now.
    pub(crate) fn held(&self, transport: Transport, ports: &PortSet) {
        match transport {
            Transport::Tcp => self.layout().held_tcp.set(ports),
            Transport::Udp => self.layout().held_udp.set(ports),
        }
    }
}

/// By the clock of `bpf_ktime_get_ns`.
fn now() -> io::Result<u64> {
    Ok(nanos(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into()))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Drop for Rules {
    fn drop(&mut self) {
        // SAFETY: what `map` mapped, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.0.cast(), SIZE.get()) };
    }
}
