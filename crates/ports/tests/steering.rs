//! What the mechanisms promise, each of them seen from another machine.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lab::{Error, Host, Lab, Result, country};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as Buffered};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);
/// What steers; a list is tested where it differs.
const STEERING: [&str; 2] = ["tcx", "sk_lookup"];

/// A process that holds ports of a host.
struct Holder {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
    ready: String,
}

impl Holder {
    fn on(host: &Host, mode: &str, mechanism: &str) -> Result<Self> {
        Self::with(host, &[mode, mechanism])
    }

    fn with(host: &Host, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(example("hold"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = host.spawn(command)?;
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(std::result::Result::ok) {
                let _ = said.send(line);
            }
        });
        let mut holder = Self { child, stdin, lines, ready: String::new() };
        holder.ready = holder.line("ready")?;
        let mechanism = arguments.get(1).copied().unwrap_or("tcx");
        if !holder.ready.starts_with(&format!("ready {mechanism} ")) {
            let why = format!("no {mechanism} on this machine: {}", holder.ready);
            return Err(Error::Missing(why));
        }
        Ok(holder)
    }

    /// The next line that begins so.
    fn line(&self, beginning: &str) -> Result<String> {
        let until = Instant::now() + LIMIT;
        while let Ok(line) =
            self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if line.starts_with(beginning) {
                return Ok(line);
            }
        }
        Err(Error::Unexpected(format!("the holder does not say {beginning}")))
    }

    fn mode(&mut self, mode: &str) -> Result<String> {
        writeln!(self.stdin, "{mode}")?;
        self.line("mode")
    }

    fn signal(&self, signal: Signal) -> Result {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).map_err(std::io::Error::from)?;
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Beside this test's own program.
fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("a test is a program");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("examples").join(name)
}

/// What came of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Knock {
    /// It was told this.
    Said(String),
    Refused,
    Silent,
}

async fn knock(at: SocketAddr) -> Knock {
    let attempt = async {
        let mut stream = TcpStream::connect(at).await?;
        let mut said = String::new();
        Buffered::new(&mut stream).read_line(&mut said).await?;
        // No connection that has ended is left to either side.
        stream.set_zero_linger()?;
        std::io::Result::Ok(said.trim().to_owned())
    };
    match timeout(Duration::from_secs(5), attempt).await {
        Ok(Ok(said)) => Knock::Said(said),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Knock::Refused,
        _ => Knock::Silent,
    }
}

fn knock_from(host: &Host, at: SocketAddr) -> Result<Knock> {
    host.run(async move || Ok(knock(at).await))
}

/// What came of a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Reply {
    /// It was told this, from this port.
    Said(String, u16),
    /// ICMP: nobody is there.
    Refused,
    Silent,
}

fn ask(socket: &UdpSocket, at: SocketAddr) -> Reply {
    let mut buffer = [0; 200];
    if socket.send_to(b"?", at).is_err() {
        return Reply::Refused;
    }
    match socket.recv_from(&mut buffer) {
        Ok((length, from)) => {
            Reply::Said(String::from_utf8_lossy(&buffer[..length]).into_owned(), from.port())
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Reply::Refused,
        Err(_) => Reply::Silent,
    }
}

/// Asks from a socket that takes answers from that port alone, and hears of refusals.
fn ask_from(host: &Host, at: SocketAddr) -> Result<Reply> {
    host.run(async move || {
        let any: IpAddr = if at.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.connect(at)?;
        let mut buffer = [0; 200];
        socket.send(b"?")?;
        Ok(match socket.recv(&mut buffer) {
            Ok(length) => {
                Reply::Said(String::from_utf8_lossy(&buffer[..length]).into_owned(), at.port())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Reply::Refused,
            Err(_) => Reply::Silent,
        })
    })
}

fn here(at: SocketAddr) -> Knock {
    Knock::Said(at.to_string())
}

fn answered(at: SocketAddr) -> Reply {
    Reply::Said(at.to_string(), at.port())
}

/// Tries again until it is so, or long enough.
fn eventually<T: PartialEq + std::fmt::Debug>(what: &T, attempt: impl Fn() -> Result<T>) -> Result {
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

/// A phone inside and a server outside.
fn two(lab: &Lab) -> Result<(Host, Host)> {
    let inside = lab.network("inside")?;
    let phone = inside.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
    let server = lab.host("server", &["116.203.7.7", "116.203.7.8", "2a01:4f8:7::7"])?;
    Ok((phone, server))
}

/// Runs a test once for each mechanism that steers.
fn steered(test: impl Fn(&str, &Host, &Host) -> Result) -> Result {
    for mechanism in STEERING {
        country(|lab| {
            let (phone, server) = two(lab)?;
            test(mechanism, &phone, &server)
        })?;
    }
    Ok(())
}

/// Which of these ports of `address` do not say what they are, and how they differ.
async fn sweep(address: IpAddr, ports: Vec<u16>) -> BTreeSet<u16> {
    let todo = std::sync::Arc::new(std::sync::Mutex::new(ports));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let todo = todo.clone();
        workers.spawn(async move {
            let mut others = BTreeSet::new();
            loop {
                let Some(port) = todo.lock().expect("no panic").pop() else { return others };
                let at = SocketAddr::new(address, port);
                if knock(at).await != here(at) {
                    others.insert(port);
                }
            }
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}

#[test]
fn all_tcp_ports_answer_but_those_never_taken_and_each_says_which_it_is() -> Result {
    steered(|mechanism, phone, server| {
        let _holder = Holder::on(server, "all", mechanism)?;
        let address = server.addresses()[1];
        let others = phone.run(async move || Ok(sweep(address, (1..=u16::MAX).collect()).await))?;
        assert_eq!(others, BTreeSet::from([22, 67, 68, 123, 546, 547]), "{mechanism}");
        // The other family, where it can differ: at the edges, and a few in between.
        let (v6, sample) = (server.v6(), (1..=u16::MAX).step_by(641).chain([65_535]).collect());
        let others = phone.run(async move || Ok(sweep(v6, sample).await))?;
        assert_eq!(others, BTreeSet::new(), "{mechanism}");
        for never in [22, 67, 68, 123, 546, 547] {
            assert_eq!(
                knock_from(phone, (v6, never).into())?,
                Knock::Refused,
                "{mechanism} {never}"
            );
        }
        Ok(())
    })
}

#[test]
fn udp_ports_answer_from_the_port_that_was_asked_in_both_families() -> Result {
    steered(|mechanism, phone, server| {
        let _holder = Holder::on(server, "all", mechanism)?;
        for address in server.addresses().to_vec() {
            let wrong = phone.run(async move || {
                let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
                let mut wrong = Vec::new();
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_read_timeout(Some(Duration::from_secs(2)))?;
                for port in (1..32_768).step_by(101).chain((61_000..=65_535).step_by(97)) {
                    let at = SocketAddr::new(address, port);
                    let reply = ask(&socket, at);
                    if reply != answered(at) {
                        wrong.push((at, reply));
                    }
                }
                Ok(wrong)
            })?;
            assert_eq!(wrong, [], "{mechanism}");
        }
        for never in [22, 67, 123, 547] {
            for address in [server.v4(), server.v6()] {
                let at = SocketAddr::new(address, never);
                assert_eq!(ask_from(phone, at)?, Reply::Refused, "{mechanism} {at}");
            }
        }
        // Where programs ask from when they do not care: free to take only for who sees packets.
        let at = SocketAddr::new(server.v4(), 45_678);
        let expected = if mechanism == "tcx" { answered(at) } else { Reply::Refused };
        assert_eq!(ask_from(phone, at)?, expected, "{mechanism}");
        Ok(())
    })
}
