//! What root may do, in the small pieces that Linux cuts it into (capabilities(7)).
#![allow(unsafe_code)]

use nix::errno::Errno;

/// Gives up every capability of this thread, for good where nothing that it executes may have more
/// than it has itself. Threads that it starts later have none either.
///
/// # Errors
/// When the system refuses, which none does.
pub fn give_up_capabilities() -> nix::Result<()> {
    keep_only(0)
}

/// Keeps, of what this thread is allowed to do, these capabilities alone, a bit for each.
pub(crate) fn keep_only(capabilities: u64) -> nix::Result<()> {
    // _LINUX_CAPABILITY_VERSION_3, and this process.
    let mut header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: `capget` reads a header and writes two structs of three numbers each, as `sets` has.
    let got = unsafe {
        nix::libc::syscall(nix::libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr())
    };
    Errno::result(got)?;
    // Effective, permitted, inheritable, of the lower and then of the upper capabilities. What is not
    // inheritable is not ambient either.
    let had = sets;
    for (half, sets) in sets.chunks_exact_mut(3).enumerate() {
        let keep = u32::try_from(capabilities >> (32 * half) & 0xffff_ffff).unwrap_or(0);
        sets[1] &= keep;
        sets[0] = sets[1];
        sets[2] = 0;
    }
    // Android ends an app that calls `capset`, whatever it asks for.
    if sets == had {
        return Ok(());
    }
    // SAFETY: `capset` reads what `capget` wrote.
    let set =
        unsafe { nix::libc::syscall(nix::libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()) };
    Errno::result(set).map(|_| ())
}
