//! The owner's way in stays: a real OpenSSH daemon on a port that nobody would expect.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::{Host, Result, need};

use crate::harness::*;

/// Makes keys for both sides, and what the daemon wants to find.
fn prepare(server: &Host) -> Result<PathBuf> {
    need("sshd")?;
    need("ssh")?;
    let folder = server.folder()?;
    let at = folder.display();
    run(
        server,
        &format!(
            "ssh-keygen -q -t ed25519 -N '' -f {at}/host
             ssh-keygen -q -t ed25519 -N '' -f {at}/owner
             mount -t tmpfs none /run && mkdir /run/sshd"
        ),
    )?;
    let config = format!(
        "HostKey {at}/host\nAuthorizedKeysFile {at}/owner.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
    );
    std::fs::write(folder.join("config"), config)?;
    Ok(folder)
}

/// A daemon on a port of the server, once it is there.
fn daemon(server: &Host, folder: &Path, port: u16) -> Result<Child> {
    let mut command = Command::new("/usr/sbin/sshd");
    command.arg("-D").arg("-f").arg(folder.join("config")).args(["-p", &port.to_string()]);
    command.stderr(Stdio::null());
    let daemon = server.spawn(command)?;
    let socket = format!("test -n \"$(ss -Hltn 'sport = {port}')\"");
    eventually(&true, || Ok(run(server, &socket).is_ok()))?;
    Ok(daemon)
}

/// Whether the owner gets in.
fn gets_in(phone: &Host, folder: &Path, at: SocketAddr) -> Result<bool> {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
    command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10", "-l", "root"]);
    command.arg("-i").arg(folder.join("owner")).args(["-p", &at.port().to_string()]);
    command.args([&at.ip().to_string(), "echo in"]).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    Ok(phone.output(command)?.stdout == b"in\n")
}

fn end(mut daemon: Child) -> Result {
    daemon.kill()?;
    daemon.wait()?;
    Ok(())
}

#[test]
fn the_owner_gets_in_on_any_port_of_an_ssh_daemon_and_nobody_has_it_while_that_restarts() -> Result
{
    steered(|mechanism, phone, server| {
        let folder = prepare(server)?;
        let here_before = SocketAddr::new(server.v4(), 2222);
        let comes_later = SocketAddr::new(server.v6(), 2223);

        let before = daemon(server, &folder, 2222)?;
        let holder = Holder::with(server, &["all", mechanism, "65432"])?;
        assert!(gets_in(phone, &folder, here_before)?, "{mechanism}");
        end(before)?;
        assert_eq!(knock_from(phone, here_before)?, Knock::Refused, "{mechanism}");
        let again = daemon(server, &folder, 2222)?;
        assert!(gets_in(phone, &folder, here_before)?, "{mechanism}");

        // One that comes when there is no root any more is remembered too, and for good.
        let later = daemon(server, &folder, 2223)?;
        let until = Instant::now() + LIMIT;
        while !holder.mode("2223")?.contains("Never(2223)") {
            assert!(Instant::now() < until, "{mechanism}: port 2223 is not remembered");
            thread::sleep(Duration::from_millis(100));
        }
        holder.mode("all")?;
        assert!(gets_in(phone, &folder, comes_later)?, "{mechanism}");
        end(again)?;
        end(later)?;
        for _ in 0..4 {
            assert_eq!(knock_from(phone, here_before)?, Knock::Refused, "{mechanism}");
            assert_eq!(knock_from(phone, comes_later)?, Knock::Refused, "{mechanism}");
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    })
}
