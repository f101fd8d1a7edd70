//! What the tests have in common: a world, programs that hold ports, and how to ask them.

mod asking;
mod holder;
mod machine;

use std::thread;
use std::time::{Duration, Instant};

use lab::{Error, Host, Lab, Result, country};

pub(crate) use asking::{Knock, Reply, answered, ask, ask_from, here, knock_from, sweep};
pub(crate) use holder::{Holder, children, example, signal};
pub(crate) use machine::{cable, greeter, oracle, run};

/// Far more than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// What steers; a list is tested where it differs.
pub(crate) const STEERING: [&str; 3] = ["tcx", "sk_lookup", "tproxy"];

pub(crate) const ANY4: [u8; 4] = [0; 4];
pub(crate) const ANY6: [u8; 16] = [0; 16];

/// A phone inside and a server outside.
pub(crate) fn two(lab: &Lab) -> Result<(Host, Host)> {
    let inside = lab.network("inside")?;
    let phone = inside.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
    let server = lab.host("server", &["116.203.7.7", "116.203.7.8", "2a01:4f8:7::7"])?;
    // Every refusal is said, and not only one a second.
    run(&server, "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")?;
    Ok((phone, server))
}

/// Runs a test once for each mechanism that steers.
pub(crate) fn steered(test: impl Fn(&str, &Host, &Host) -> Result) -> Result {
    for mechanism in STEERING {
        country(|lab| {
            let (phone, server) = two(lab)?;
            test(mechanism, &phone, &server)
        })?;
    }
    Ok(())
}

/// Tries again until it is so, or long enough.
pub(crate) fn eventually<T: PartialEq + std::fmt::Debug>(
    what: &T,
    attempt: impl Fn() -> Result<T>,
) -> Result {
    let until = Instant::now() + LIMIT;
    loop {
        let now = attempt()?;
        if now == *what {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Error::Unexpected(format!("{now:?} and not {what:?}")));
        }
        thread::sleep(Duration::from_millis(100));
    }
}
