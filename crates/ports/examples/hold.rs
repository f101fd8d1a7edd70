//! Holds ports and tells everybody which one they came to; for tests, and to try it out.
//!
//!     hold MODE [tcx|sk_lookup|tproxy|list] [USER]
//!
//! A connection is told the address and port that it came to, and then hears its own bytes, or is
//! closed at the word `bye`; a
//! datagram is answered with the address and port that it was sent to. Each line on standard input is
//! a new mode. With USER, a number, it becomes that user once the ports are open.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use ports::{Change, Datagrams, Mechanism, Mode, PortList, Ports, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = arguments.first().map(|mode| mode.parse::<Mode>());
    let best = match arguments.get(1).map(String::as_str) {
        None | Some("tcx") => Mechanism::Tcx,
        Some("sk_lookup") => Mechanism::SkLookup,
        Some("tproxy") => Mechanism::Tproxy,
        Some(_) => Mechanism::List,
    };
    let Some(Ok(mode)) = mode else {
        eprintln!("usage: hold MODE [tcx|sk_lookup|tproxy|list] [USER]");
        return ExitCode::FAILURE;
    };
    let quiet = PortList::from([443, 80, 179, 3785]);
    let mut ports = Ports::open(Settings { mode, quiet, udp: true, best });
    ports.hear_datagrams();
    match arguments.get(2).map(|user| user.parse::<u32>()) {
        Some(Ok(user)) => become_user(user).expect("another user"),
        Some(Err(_)) => return ExitCode::FAILURE,
        None => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(hold(ports)).expect("ports to hold");
    ExitCode::SUCCESS
}

fn become_user(user: u32) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

async fn hold(mut ports: Ports) -> io::Result<()> {
    let first =
        Change { listeners: ports.listeners(), datagrams: ports.datagrams(), ..Change::default() };
    let mut open = Vec::new();
    serve(first, &mut open)?;
    let (mechanism, why) = (ports.mechanism(), ports.why_not_better());
    let (answers, removed) = (ports.answers(), ports.removed());
    say(&format!("ready {mechanism} {answers:?} {why:?} removed {removed:?}"));

    let (lines, mut modes) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
        // Nobody is interested any more.
        std::process::exit(0);
    });
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = second.tick() => {
                if let Err(trouble) = ports.tend() {
                    say(&format!("trouble {trouble}"));
                }
            }
            Some(line) = modes.recv() => {
                let mode = line.parse().map_err(io::Error::other)?;
                let change = ports.set_mode(mode);
                serve(change, &mut open)?;
                say(&format!("mode {:?} {}", ports.answers(), ports.mechanism()));
            }
        }
    }
}

/// A line on standard output.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
}

/// Serves what is new, each by a task, and ends the tasks of what is closed.
fn serve(change: Change, open: &mut Vec<(u16, tokio::task::AbortHandle)>) -> io::Result<()> {
    open.retain(|(port, task)| {
        let stays = !change.closed.contains(port);
        if !stays {
            task.abort();
        }
        stays
    });
    for listener in change.listeners {
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(accept(TcpListener::from_std(listener)?));
        open.push((port, task.abort_handle()));
    }
    for datagrams in change.datagrams {
        let port = datagrams.port();
        let readiness = UdpSocket::from_std(datagrams.socket().try_clone()?)?;
        open.push((port, tokio::spawn(answer(readiness, datagrams)).abort_handle()));
    }
    Ok(())
}

async fn accept(listener: TcpListener) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(greet(stream));
        }
    }
}

async fn greet(mut stream: TcpStream) -> io::Result<()> {
    let greeting = format!("{}\n", stream.local_addr()?);
    stream.write_all(greeting.as_bytes()).await?;
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            _ if buffer.starts_with(b"bye") => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}

async fn answer(readiness: UdpSocket, datagrams: Datagrams) {
    let mut buffer = [0; 2048];
    loop {
        let received = readiness.async_io(Interest::READABLE, || datagrams.receive(&mut buffer));
        if let Ok((_, flow)) = received.await {
            let _ = datagrams.answer(&flow, flow.to.to_string().as_bytes());
        }
    }
}
