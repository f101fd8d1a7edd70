//! An address that comes from DHCP comes and is renewed, by real programs, on machines whose ports
//! are all steered: the one that has the address, and the one that gives it out.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lab::{Host, Result, need};
use nix::sys::signal::Signal;

use crate::harness::*;

/// What the client calls with its news.
const NEWS: &str = "#!/bin/sh
case $1 in bound|renew) ip addr replace $ip/24 dev $interface ;; esac
echo $1 $ip >> $(dirname $0)/news
";

/// Gives out addresses of 10.3.0.0/24, for two minutes each.
fn give_out(router: &Host) -> Result {
    let leases = router.folder()?.join("leases");
    let mut command = Command::new("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"]);
    command.args(["--pid-file=", "--interface=lan", "--bind-interfaces", "--log-facility=-"]);
    command.args(["--dhcp-range=10.3.0.10,10.3.0.20,2m", "--no-ping"]);
    command.arg(format!("--dhcp-leasefile={}", leases.display()));
    command.stderr(Stdio::null());
    router.spawn(command)?;
    Ok(())
}

#[test]
fn a_lease_is_had_and_renewed_between_machines_whose_ports_are_all_taken() -> Result {
    steered(|mechanism, router, server| {
        need("dnsmasq")?;
        need("udhcpc")?;
        cable("lan", (server, "10.9.9.9/32"), (router, "10.3.0.1/24"))?;
        let _ours = Holder::on(server, "all", mechanism)?;
        let _theirs = Holder::on(router, "all", mechanism)?;
        give_out(router)?;

        let folder = server.folder()?;
        let script = folder.join("script");
        std::fs::write(&script, NEWS)?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        let mut command = Command::new("udhcpc");
        command.args(["-f", "-i", "lan", "-t", "20", "-T", "1", "-s"]).arg(&script);
        let (news, said) = (folder.join("news"), folder.join("said"));
        command.stdout(Stdio::null()).stderr(File::create(&said)?);
        let client = server.spawn(command)?;
        let count = |file: &Path, what: &str| {
            std::fs::read_to_string(file).unwrap_or_default().matches(what).count()
        };
        eventually(&1, || Ok(count(&news, "bound 10.3.0.")))?;
        // Asked to renew at once, it sends a datagram from port 68 to port 67; and asks the whole
        // network when that gets no answer. That may be for a reason of its own: it has two sockets
        // for a moment, and does not read from one of them.
        eventually(&true, || {
            let (renewed, asked_all) = (count(&news, "renew"), count(&said, "broadcasting renew"));
            signal(client.id(), Signal::SIGUSR1)?;
            eventually(&true, || Ok(count(&news, "renew") > renewed))?;
            Ok(count(&said, "broadcasting renew") == asked_all)
        })?;
        let news = std::fs::read_to_string(news)?;
        let address = news.trim().rsplit(' ').next().unwrap_or_default();
        // And it was all taken, all the time.
        let at = SocketAddr::new(address.parse().expect("an address"), 69);
        assert_eq!(ask_from(router, at)?, answered(at), "{mechanism}");
        Ok(())
    })
}
