//! Where something is forbidden.

use std::net::SocketAddr;
use std::process::Command;

use lab::{Result, country};

use crate::harness::*;

#[test]
fn without_root_a_list_of_high_ports_is_had_and_the_reason_is_said() -> Result {
    country(|lab| {
        let (phone, server) = two(lab)?;
        let path = server.folder()?.join("hold");
        std::fs::copy(example("hold"), &path)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65432", "--regid=65432", "--clear-groups", "--bounding-set=-all"])
            .arg(path)
            .arg("8443,443,8080");
        let holder = Holder::start(&server, command)?;
        assert!(holder.ready.starts_with("ready list "), "{}", holder.ready);
        assert!(holder.ready.contains("NotAllowed(443)"), "{}", holder.ready);
        assert_eq!(holder.ready.matches("needs root").count(), 3, "{}", holder.ready);
        for address in server.addresses() {
            let at = SocketAddr::new(*address, 8080);
            assert_eq!(knock_from(&phone, at)?, here(at));
            assert_eq!(ask_from(&phone, at)?, answered(at));
        }
        Ok(())
    })
}

#[test]
fn where_bpf_is_forbidden_nftables_steer_and_the_reason_is_said() -> Result {
    country(|lab| {
        let (_, server) = two(lab)?;
        // Root of a user namespace, as in a container without privileges: it waits for its cable.
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "sh", "-ec"]).arg(
            "ip link set lo up
             until ip link show in >/dev/null 2>&1; do sleep 0.05; done
             ip addr add 10.4.0.2/24 dev in
             ip link set in up
             exec \"$0\" all",
        );
        command.arg(example("hold"));
        let starting = Holder::starting(&server, command)?;
        run(
            &server,
            &format!(
                "until test $(readlink /proc/{0}/ns/net) != $(readlink /proc/self/ns/net); do
                     test -d /proc/{0}; sleep 0.05
                 done
                 until ip link add out type veth peer name in netns {0} 2>/dev/null; do
                     test -d /proc/{0}; sleep 0.05
                 done
                 ip addr add 10.4.0.1/24 dev out; ip link set out up",
                starting.child.id()
            ),
        )?;
        let holder = starting.ready()?;
        assert!(holder.ready.starts_with("ready tproxy "), "{}", holder.ready);
        let reason = "this machine forbids BPF even to root";
        assert_eq!(holder.ready.matches(reason).count(), 2, "{}", holder.ready);
        let at = SocketAddr::from(([10, 4, 0, 2], 8080));
        assert_eq!(knock_from(&server, at)?, here(at));
        assert_eq!(ask_from(&server, at)?, answered(at));
        Ok(())
    })
}
