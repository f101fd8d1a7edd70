//! Who hangs or ends holds nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lab::{Host, Result, country};
use nix::sys::signal::Signal;

use crate::harness::*;

#[test]
fn a_holder_that_hangs_holds_nothing_until_it_goes_on_and_one_that_is_killed_nothing_more() -> Result
{
    steered(|mechanism, phone, server| {
        let holder = Holder::on(server, "all", mechanism)?;
        let at = SocketAddr::new(server.v4(), 8080);
        assert_eq!(knock_from(phone, at)?, here(at), "{mechanism}");
        holder.signal(Signal::SIGSTOP)?;
        eventually(&Knock::Refused, || knock_from(phone, at))?;
        assert_eq!(ask_from(phone, at)?, Reply::Refused, "{mechanism}");
        holder.signal(Signal::SIGCONT)?;
        eventually(&here(at), || knock_from(phone, at))?;

        let keepers = children(holder.child.id());
        assert_eq!(keepers.len(), 1, "{mechanism}");
        // It may attach programs and look at processes, and nothing more.
        let status = std::fs::read_to_string(format!("/proc/{}/status", keepers[0]))?;
        assert!(status.contains("CapEff:\t0000008000081004\n"), "{status}");
        holder.signal(Signal::SIGKILL)?;
        eventually(&Knock::Refused, || knock_from(phone, at))?;
        // With its process goes all that it held.
        eventually(&false, || Ok(PathBuf::from(format!("/proc/{}/ns/net", keepers[0])).exists()))
    })
}

#[test]
fn a_keeper_that_is_gone_is_missed() -> Result {
    steered(|mechanism, phone, server| {
        let holder = Holder::on(server, "all", mechanism)?;
        let at = SocketAddr::new(server.v4(), 8080);
        assert_eq!(knock_from(phone, at)?, here(at), "{mechanism}");
        for keeper in children(holder.child.id()) {
            signal(keeper, Signal::SIGKILL)?;
        }
        let said = holder.line("trouble")?;
        assert!(said.contains("start again"), "{said}");
        eventually(&Knock::Refused, || knock_from(phone, at))
    })
}

/// The tables of nftables on a host.
fn tables(host: &Host) -> Result<String> {
    let mut command = Command::new("nft");
    command.args(["list", "tables"]).stdout(Stdio::piped());
    Ok(String::from_utf8_lossy(&host.output(command)?.stdout).into_owned())
}

#[test]
fn nothing_stays_when_holder_and_keeper_are_killed_together() -> Result {
    steered(|mechanism, phone, server| {
        let holder = Holder::on(server, "all", mechanism)?;
        let at = SocketAddr::new(server.v4(), 8080);
        assert_eq!(knock_from(phone, at)?, here(at), "{mechanism}");
        assert_eq!(tables(server)?.contains("jaryq"), mechanism == "tproxy");
        let keeper = children(holder.child.id())[0];
        // So that neither sees the other end.
        for kind in [Signal::SIGSTOP, Signal::SIGKILL] {
            holder.signal(kind)?;
            signal(keeper, kind)?;
        }
        eventually(&Knock::Refused, || knock_from(phone, at))?;
        eventually(&String::new(), || tables(server))
    })
}

#[test]
fn rules_that_nobody_owns_any_more_are_removed_and_named() -> Result {
    country(|lab| {
        let (_, server) = two(lab)?;
        // Greater than the number of any process; one of a process that lives; somebody else's.
        run(
            &server,
            "for table in jaryq_4194305 jaryq_1 jaryq_x; do nft add table inet $table; done",
        )?;
        let holder = Holder::on(&server, "443", "tproxy")?;
        assert!(holder.ready.contains("removed [\"jaryq_4194305\"]"), "{}", holder.ready);
        let mut left: Vec<String> = tables(&server)?.lines().map(str::to_owned).collect();
        left.retain(|table| !table.ends_with(&format!("_{}", children(holder.child.id())[0])));
        assert_eq!(left, ["table inet jaryq_1", "table inet jaryq_x"]);
        Ok(())
    })
}

#[test]
fn rules_are_nobody_elses_to_flush() -> Result {
    country(|lab| {
        let (phone, server) = two(lab)?;
        let _holder = Holder::on(&server, "all", "tproxy")?;
        // As a restart of a firewall does it.
        run(&server, "nft flush ruleset")?;
        let at = SocketAddr::new(server.v4(), 8080);
        assert_eq!(knock_from(&phone, at)?, here(at));
        Ok(())
    })
}
