//! What else there is on a machine: other programs, and cables.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use lab::{Error, Host, Result};
use tokio::io::AsyncWriteExt;

/// Answers `greeting` to whoever connects to this address of the host, as another program of it.
pub(crate) fn greeter(host: &Host, at: SocketAddr, greeting: &'static str) -> Result {
    let (ready, up) = mpsc::channel();
    let _ = host.start(async move || {
        let listener = tokio::net::TcpListener::bind(at).await?;
        let _ = ready.send(());
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(greeting.as_bytes()).await;
        }
        Ok(())
    })?;
    up.recv().map_err(|_| Error::Unexpected(format!("nobody can listen on {at}")))
}

/// Answers every datagram at this address of the host with `greeting`, as another program of it.
pub(crate) fn oracle(host: &Host, at: SocketAddr, greeting: &'static str) -> Result {
    let (ready, up) = mpsc::channel();
    let _ = host.start(async move || {
        let socket = tokio::net::UdpSocket::bind(at).await?;
        let _ = ready.send(());
        let mut buffer = [0; 200];
        while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(greeting.as_bytes(), from).await;
        }
        Ok(())
    })?;
    up.recv().map_err(|_| Error::Unexpected(format!("nobody can bind {at}")))
}

/// Runs a line of shell on a host.
pub(crate) fn run(host: &Host, line: &str) -> Result {
    let mut command = Command::new("sh");
    command.args(["-ec", line]).stderr(Stdio::piped());
    let output = host.output(command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Command { command: line.to_owned(), said })
}

/// A cable between two hosts, called `name` at both ends.
pub(crate) fn cable(
    name: &str,
    (one, at_one): (&Host, &str),
    (other, at_other): (&Host, &str),
) -> Result {
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    let mut there = other.spawn(sleep)?;
    run(one, &format!("ip link add {name} type veth peer name {name} netns {}", there.id()))?;
    for (host, address) in [(one, at_one), (other, at_other)] {
        run(host, &format!("ip addr add {address} dev {name}; ip link set {name} up"))?;
    }
    there.kill()?;
    there.wait()?;
    Ok(())
}
