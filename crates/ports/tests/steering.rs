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
        command.args(arguments);
        let holder = Self::start(host, command)?;
        let mechanism = arguments.get(1).copied().unwrap_or("tcx");
        if holder.ready.starts_with(&format!("ready {mechanism} ")) {
            return Ok(holder);
        }
        Err(Error::Missing(format!("no {mechanism} on this machine: {}", holder.ready)))
    }

    fn start(host: &Host, mut command: Command) -> Result<Self> {
        command.env_remove("SSH_CONNECTION").stdin(Stdio::piped()).stdout(Stdio::piped());
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
    // Every refusal is said, and not only one a second.
    run(&server, "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")?;
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

/// Answers `greeting` to whoever connects to this address of the host, as another program of it.
fn greeter(host: &Host, at: SocketAddr, greeting: &'static str) -> Result {
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
fn oracle(host: &Host, at: SocketAddr, greeting: &'static str) -> Result {
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

const ANY4: [u8; 4] = [0; 4];
const ANY6: [u8; 16] = [0; 16];

#[test]
fn who_listens_before_or_later_has_the_port() -> Result {
    steered(|mechanism, phone, server| {
        greeter(server, (ANY4, 5432).into(), "before\n")?;
        greeter(server, (ANY6, 5433).into(), "before\n")?;
        oracle(server, (ANY4, 5434).into(), "before")?;
        let _holder = Holder::on(server, "all", mechanism)?;
        let before = Knock::Said("before".to_owned());
        assert_eq!(knock_from(phone, (server.v4(), 5432).into())?, before, "{mechanism}");
        assert_eq!(knock_from(phone, (server.v4(), 5433).into())?, before, "{mechanism}");
        assert_eq!(knock_from(phone, (server.v6(), 5433).into())?, before, "{mechanism}");
        let oracle_at = (server.v4(), 5434).into();
        assert_eq!(ask_from(phone, oracle_at)?, Reply::Said("before".to_owned(), 5434));

        let later = [SocketAddr::new(server.v4(), 6432), SocketAddr::new(server.v6(), 6433)];
        for at in later {
            assert_eq!(knock_from(phone, at)?, here(at), "{mechanism}");
            assert_eq!(ask_from(phone, at)?, answered(at), "{mechanism}");
            greeter(server, at, "later\n")?;
            oracle(server, at, "later")?;
            let (knock, reply) =
                (Knock::Said("later".to_owned()), Reply::Said("later".to_owned(), at.port()));
            if mechanism == "tcx" {
                assert_eq!(knock_from(phone, at)?, knock);
                assert_eq!(ask_from(phone, at)?, reply);
            }
            eventually(&knock, || knock_from(phone, at))?;
            eventually(&reply, || ask_from(phone, at))?;
        }
        Ok(())
    })
}

#[test]
fn programs_of_the_same_machine_get_their_answers_and_their_refusals() -> Result {
    steered(|mechanism, phone, server| {
        let name_servers = [SocketAddr::new(phone.v4(), 53), SocketAddr::new(phone.v6(), 53)];
        for at in name_servers {
            oracle(phone, at, "a name")?;
        }
        let _holder = Holder::on(server, "all", mechanism)?;
        for at in name_servers {
            let reply = server.run(async move || {
                let any: IpAddr = if at.is_ipv4() { ANY4.into() } else { ANY6.into() };
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_read_timeout(Some(Duration::from_secs(2)))?;
                // Not connected, as many resolvers do it.
                Ok(ask(&socket, at))
            })?;
            assert_eq!(reply, Reply::Said("a name".to_owned(), 53), "{mechanism}");
        }
        // By its own address a machine reaches what everybody reaches.
        for address in server.addresses() {
            let at = SocketAddr::new(*address, 9999);
            assert_eq!(knock_from(server, at)?, here(at), "{mechanism}");
            assert_eq!(ask_from(server, at)?, answered(at), "{mechanism}");
        }
        for local in ["127.0.0.1:9999", "127.3.2.1:9999", "[::1]:9999"] {
            let at = local.parse().expect("an address");
            assert_eq!(knock_from(server, at)?, Knock::Refused, "{mechanism} {at}");
            assert_eq!(ask_from(server, at)?, Reply::Refused, "{mechanism} {at}");
        }
        Ok(())
    })
}

#[test]
fn in_quiet_and_with_a_list_other_ports_are_closed() -> Result {
    for mechanism in ["tcx", "sk_lookup", "list"] {
        country(|lab| {
            let (phone, server) = two(lab)?;
            for (mode, open) in [("quiet", [443, 3785]), ("2000,3000-3001", [2000, 3001])] {
                let holder = Holder::on(&server, mode, mechanism)?;
                for address in server.addresses() {
                    for port in open {
                        let at = SocketAddr::new(*address, port);
                        assert_eq!(knock_from(&phone, at)?, here(at), "{mechanism}");
                        assert_eq!(ask_from(&phone, at)?, answered(at), "{mechanism}");
                    }
                    for port in [1, 22, 81, 2001, 8080, 65_535] {
                        let at = SocketAddr::new(*address, port);
                        assert_eq!(knock_from(&phone, at)?, Knock::Refused, "{mechanism}");
                        assert_eq!(ask_from(&phone, at)?, Reply::Refused, "{mechanism}");
                    }
                }
                drop(holder);
                let at = SocketAddr::new(server.v4(), open[0]);
                eventually(&Knock::Refused, || knock_from(&phone, at))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn the_mode_changes_without_root_and_no_connection_is_dropped() -> Result {
    for mechanism in ["tcx", "sk_lookup", "list"] {
        country(|lab| {
            let (phone, server) = two(lab)?;
            let mut holder = Holder::with(&server, &["quiet", mechanism, "65432"])?;
            let (old, new) =
                (SocketAddr::new(server.v4(), 443), SocketAddr::new(server.v4(), 8443));
            let (step, steps) = mpsc::channel();
            let (done, was_done) = mpsc::channel();
            let talk = phone.start(async move || {
                let mut stream = TcpStream::connect(old).await?;
                Buffered::new(&mut stream).read_line(&mut String::new()).await?;
                while steps.recv().is_ok() {
                    stream.write_all(b"still here").await?;
                    let mut back = [0; 10];
                    timeout(LIMIT, stream.read_exact(&mut back)).await??;
                    let _ = done.send(back);
                }
                Ok(())
            })?;
            let still = || {
                step.send(()).expect("the connection lasts");
                assert_eq!(&was_done.recv().expect("the connection lasts"), b"still here");
            };
            still();
            assert_eq!(knock_from(&phone, new)?, Knock::Refused);
            holder.mode("8443")?;
            still();
            assert_eq!(knock_from(&phone, new)?, here(new), "{mechanism}");
            eventually(&Knock::Refused, || knock_from(&phone, old))?;
            still();
            let said = holder.mode("all")?;
            still();
            // A list says that it cannot have all.
            assert_eq!(said.contains("all: true"), mechanism != "list", "{said}");
            if mechanism != "list" {
                assert_eq!(knock_from(&phone, old)?, here(old), "{mechanism}");
                holder.mode("quiet")?;
                assert_eq!(knock_from(&phone, new)?, Knock::Refused, "{mechanism}");
            }
            still();
            drop(step);
            talk.join()
        })?;
    }
    Ok(())
}

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

fn children(of: u32) -> Vec<u32> {
    let path = format!("/proc/{of}/task/{of}/children");
    let list = std::fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

#[test]
fn connections_that_the_kernel_remembers_by_cookies_alone_are_had_too() -> Result {
    steered(|mechanism, phone, server| {
        run(server, "sysctl -qw net.ipv4.tcp_syncookies=2")?;
        let _holder = Holder::on(server, "all", mechanism)?;
        for address in server.addresses() {
            let at = SocketAddr::new(*address, 3784);
            assert_eq!(knock_from(phone, at)?, here(at), "{mechanism}");
        }
        Ok(())
    })
}

/// Runs a line of shell on a host.
fn run(host: &Host, line: &str) -> Result {
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
fn cable(name: &str, (one, at_one): (&Host, &str), (other, at_other): (&Host, &str)) -> Result {
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

#[test]
fn an_interface_that_appears_later_is_served_and_what_is_forwarded_is_left_alone() -> Result {
    steered(|mechanism, phone, server| {
        let holder = Holder::on(server, "all", mechanism)?;
        cable("late", (server, "10.1.0.1/24"), (phone, "10.1.0.2/24"))?;
        let at = SocketAddr::from(([10, 1, 0, 1], 8080));
        eventually(&here(at), || knock_from(phone, at))?;
        assert_eq!(ask_from(phone, at)?, answered(at), "{mechanism}");
        drop(holder);

        // The server is a router now, between the phone and itself in another life.
        country(|lab| {
            let behind = lab.host("behind", &["116.203.9.9"])?;
            cable("behind", (server, "10.2.0.1/24"), (&behind, "10.2.0.2/24"))?;
            run(server, "sysctl -qw net.ipv4.ip_forward=1")?;
            run(phone, "ip route add 10.2.0.0/24 via 10.1.0.1")?;
            run(&behind, "ip route add 10.1.0.0/24 via 10.2.0.1")?;
            greeter(&behind, (ANY4, 8080).into(), "behind\n")?;
            oracle(&behind, (ANY4, 8080).into(), "behind")?;
            let _holder = Holder::on(server, "all", mechanism)?;
            eventually(&here(at), || knock_from(phone, at))?;
            let there = SocketAddr::from(([10, 2, 0, 2], 8080));
            let behind = "behind".to_owned();
            assert_eq!(knock_from(phone, there)?, Knock::Said(behind.clone()), "{mechanism}");
            assert_eq!(ask_from(phone, there)?, Reply::Said(behind, 8080), "{mechanism}");
            let closed = SocketAddr::from(([10, 2, 0, 2], 8081));
            assert_eq!(knock_from(phone, closed)?, Knock::Refused, "{mechanism}");
            Ok(())
        })
    })
}

#[test]
fn ports_that_are_translated_lead_where_they_led() -> Result {
    steered(|mechanism, phone, server| {
        let lab = Lab::new()?;
        let behind = lab.host("behind", &["116.203.9.9"])?;
        cable("behind", (server, "10.2.0.1/24"), (&behind, "10.2.0.2/24"))?;
        greeter(&behind, (ANY4, 8080).into(), "behind\n")?;
        oracle(&behind, (ANY4, 8080).into(), "behind")?;
        oracle(phone, (ANY4, 53).into(), "a name")?;
        run(&behind, "ip route replace default via 10.2.0.1 dev behind")?;
        greeter(server, (ANY4, 8081).into(), "moved\n")?;
        let _holder = Holder::on(server, "all", mechanism)?;
        let port = |port| SocketAddr::new(server.v4(), port);
        eventually(&here(port(8088)), || knock_from(phone, port(8088)))?;

        // As Docker does without its own proxy, and as many a web server has it.
        run(
            server,
            "sysctl -qw net.ipv4.ip_forward=1
             nft add table ip t
             nft 'add chain ip t before { type nat hook prerouting priority -100; }'
             nft 'add chain ip t after { type nat hook postrouting priority 100; }'
             nft add rule ip t before iifname eth0 tcp dport 8088 dnat to 10.2.0.2:8080
             nft add rule ip t before iifname eth0 udp dport 8088 dnat to 10.2.0.2:8080
             nft add rule ip t before iifname eth0 tcp dport 8089 redirect to :8081
             nft add rule ip t after oifname eth0 ip saddr 10.2.0.0/24 masquerade",
        )?;
        let said = |text: &str| Knock::Said(text.to_owned());
        eventually(&said("behind"), || knock_from(phone, port(8088)))?;
        eventually(&said("moved"), || knock_from(phone, port(8089)))?;
        assert_eq!(ask_from(phone, port(8088))?, Reply::Said("behind".to_owned(), 8088));
        // Answers to what is behind the server.
        let name_server = SocketAddr::new(phone.v4(), 53);
        assert_eq!(ask_from(&behind, name_server)?, Reply::Said("a name".to_owned(), 53));
        // And everything else is had as before.
        assert_eq!(knock_from(phone, port(8090))?, here(port(8090)), "{mechanism}");
        assert_eq!(ask_from(phone, port(8090))?, answered(port(8090)), "{mechanism}");
        assert_eq!(ask_from(phone, port(45_678))?, Reply::Refused, "{mechanism}");
        run(server, "nft delete table ip t")?;
        eventually(&here(port(8088)), || knock_from(phone, port(8088)))
    })
}

#[test]
fn a_port_of_an_ssh_daemon_stays_its_own_while_it_restarts() -> Result {
    steered(|mechanism, phone, server| {
        // What makes it one is its name; it listens and greets as the real one does.
        const DAEMON: &str = "import socket, sys
all = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True: all.accept()[0].send(b'SSH-2.0-OpenSSH\\n')";
        let name = server.folder()?.join("sshd");
        let python = "$(python3 -c 'import sys; print(sys.executable)')";
        run(server, &format!("ln -s \"{python}\" {}", name.display()))?;
        let sshd = |port: &str| {
            let mut command = Command::new(&name);
            command.args(["-c", DAEMON, port]);
            server.spawn(command)
        };
        let speaks =
            |knock: &Knock| matches!(knock, Knock::Said(said) if said.starts_with("SSH-2.0"));
        let here_before = SocketAddr::new(server.v4(), 2222);
        let comes_later = SocketAddr::new(server.v6(), 2223);

        let mut before = sshd("2222")?;
        eventually(&true, || Ok(speaks(&knock_from(phone, here_before)?)))?;
        let mut holder = Holder::with(server, &["all", mechanism, "65432"])?;
        assert!(speaks(&knock_from(phone, here_before)?), "{mechanism}");
        before.kill()?;
        before.wait()?;
        assert_eq!(knock_from(phone, here_before)?, Knock::Refused, "{mechanism}");
        let mut again = sshd("2222")?;
        eventually(&true, || Ok(speaks(&knock_from(phone, here_before)?)))?;

        // One that comes when there is no root any more is remembered too, and for good.
        let mut later = sshd("2223")?;
        eventually(&true, || Ok(speaks(&knock_from(phone, comes_later)?)))?;
        let until = Instant::now() + LIMIT;
        while !holder.mode("2223")?.contains("Never(2223)") {
            assert!(Instant::now() < until, "{mechanism}: port 2223 is not remembered");
            thread::sleep(Duration::from_millis(100));
        }
        holder.mode("all")?;
        for daemon in [&mut again, &mut later] {
            daemon.kill()?;
            daemon.wait()?;
        }
        for _ in 0..4 {
            assert_eq!(knock_from(phone, here_before)?, Knock::Refused, "{mechanism}");
            assert_eq!(knock_from(phone, comes_later)?, Knock::Refused, "{mechanism}");
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    })
}

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
        assert_eq!(holder.ready.matches("needs root").count(), 2, "{}", holder.ready);
        for address in server.addresses() {
            let at = SocketAddr::new(*address, 8080);
            assert_eq!(knock_from(&phone, at)?, here(at));
            assert_eq!(ask_from(&phone, at)?, answered(at));
        }
        Ok(())
    })
}

#[test]
fn a_keeper_that_is_gone_is_missed() -> Result {
    steered(|mechanism, phone, server| {
        let holder = Holder::on(server, "all", mechanism)?;
        let at = SocketAddr::new(server.v4(), 8080);
        assert_eq!(knock_from(phone, at)?, here(at), "{mechanism}");
        for keeper in children(holder.child.id()) {
            let keeper = Pid::from_raw(i32::try_from(keeper).expect("a process id"));
            kill(keeper, Signal::SIGKILL).map_err(std::io::Error::from)?;
        }
        let said = holder.line("trouble")?;
        assert!(said.contains("start again"), "{said}");
        eventually(&Knock::Refused, || knock_from(phone, at))
    })
}

/// Connects from a port of one's own, as soon as the last connection from it is quite over here too.
async fn connect_from(from: SocketAddr, at: SocketAddr) -> std::io::Result<TcpStream> {
    loop {
        let socket = match at {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(from)?;
        match socket.connect(at).await {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            done => return done,
        }
    }
}

#[test]
fn who_comes_again_from_the_same_port_is_let_in_although_we_closed_first() -> Result {
    steered(|mechanism, phone, server| {
        let _holder = Holder::on(server, "all", mechanism)?;
        for at in [SocketAddr::new(server.v4(), 8080), SocketAddr::new(server.v6(), 8080)] {
            let from = SocketAddr::new(if at.is_ipv4() { phone.v4() } else { phone.v6() }, 40_000);
            phone.run(async move || {
                for _ in 0..3 {
                    let mut stream = timeout(LIMIT, connect_from(from, at)).await??;
                    stream.write_all(b"bye").await?;
                    let mut said = String::new();
                    timeout(LIMIT, stream.read_to_string(&mut said)).await??;
                    assert_eq!(said.trim(), at.to_string());
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}
