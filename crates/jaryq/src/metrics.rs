//! Numbers for Prometheus, on the loopback addresses alone: about traffic and the relay, never about
//! a key or an address.
//!
//! HTTP is as much of it as a scrape needs: one short request a connection, bounded in size, time and
//! number.

use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use relay::{Relay, Totals};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use wire::tally::Protocol;

use crate::config::MetricsPort;
use crate::ledger::unix;

/// How many are answered at the same time; the next ones wait.
const VISITORS: usize = 8;
/// How long one may take, from the first byte to the last.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a request may be, in bytes, and how many headers it may have.
const LONGEST: usize = 8 << 10;
const HEADERS: usize = 64;
/// How long accepting pauses when the system has no more descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Why nobody answers.
#[derive(Debug, thiserror::Error)]
#[error("port {0} of the loopback cannot be had ({1}); give another --metrics")]
pub(crate) struct CannotOpen(u16, io::Error);

/// Answers, if it is wanted, on this port of 127.0.0.1 and, where there is IPv6, ::1; tells which.
pub(crate) async fn open(
    port: Option<MetricsPort>,
    relay: &Relay,
) -> Result<Option<u16>, CannotOpen> {
    let Some(MetricsPort(port)) = port else { return Ok(None) };
    match answer_on(port, relay).await {
        Ok(()) => Ok(Some(port)),
        Err(error) => Err(CannotOpen(port, error)),
    }
}

async fn answer_on(port: u16, relay: &Relay) -> io::Result<()> {
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let six = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => None,
        Err(error) if error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) => None,
        bound => Some(bound?),
    };
    let (room, started) = (Arc::new(Semaphore::new(VISITORS)), unix());
    for listener in std::iter::once(four).chain(six) {
        tokio::spawn(accept(listener, relay.clone(), Arc::clone(&room), started));
    }
    Ok(())
}

async fn accept(listener: TcpListener, relay: Relay, room: Arc<Semaphore>, started: u64) {
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(BREATH).await;
            continue;
        };
        let relay = relay.clone();
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, answer(stream, &relay, started)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, relay: &Relay, started: u64) -> io::Result<()> {
    let mut heard = Vec::new();
    let (status, body, is_head) = loop {
        match asked(&heard) {
            Some(Asked::Metrics { is_head }) => {
                break ("200 OK", exposition(&relay.totals(), started), is_head);
            }
            Some(Asked::Other(status)) => break (status, format!("{status}\n"), false),
            None if heard.len() >= LONGEST => {
                let status = "431 Request Header Fields Too Large";
                break (status, format!("{status}\n"), false);
            }
            None => {}
        }
        if stream.read_buf(&mut heard).await? == 0 {
            return Ok(());
        }
    };
    let mut words = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if !is_head {
        words.push_str(&body);
    }
    stream.write_all(words.as_bytes()).await?;
    stream.shutdown().await?;
    // What is still said is read, or the answer would be lost in a reset.
    while stream.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}

/// What somebody wants.
enum Asked {
    Metrics { is_head: bool },
    Other(&'static str),
}

/// `None` as long as it is not a whole request.
fn asked(heard: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(heard) {
        Err(_) => return Some(Asked::Other("400 Bad Request")),
        Ok(status) if status.is_partial() => return None,
        Ok(_) => {}
    }
    let path = request.path.unwrap_or_default();
    Some(match (request.method.unwrap_or_default(), path.split('?').next()) {
        ("GET", Some("/metrics")) => Asked::Metrics { is_head: false },
        ("HEAD", Some("/metrics")) => Asked::Metrics { is_head: true },
        ("GET" | "HEAD", _) => Asked::Other("404 Not Found"),
        _ => Asked::Other("405 Method Not Allowed"),
    })
}

/// The text format 0.0.4:
/// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.
fn exposition(totals: &Totals, started: u64) -> String {
    let mut text = Text::default();
    text.family("connections_total", "counter", "Connections of people, since the start.");
    for ((protocol, datacentre), amounts) in &totals.carried {
        let datacentre = datacentre.map(|one| one.to_string()).unwrap_or_default();
        let labels = [("protocol", protocol.name()), ("datacentre", &datacentre)];
        text.sample("connections_total", &labels, amounts.connections);
    }
    let help = "Bytes carried for people, in the direction as they see it, since the start.";
    text.family("bytes_total", "counter", help);
    for ((protocol, datacentre), amounts) in &totals.carried {
        let datacentre = datacentre.map(|one| one.to_string()).unwrap_or_default();
        for (direction, bytes) in [("up", amounts.up), ("down", amounts.down)] {
            let labels = [
                ("protocol", protocol.name()),
                ("datacentre", &datacentre),
                ("direction", direction),
            ];
            text.sample("bytes_total", &labels, bytes);
        }
    }
    for (counter, count) in &totals.counters {
        let name = format!("{}_total", counter.name());
        text.family(&name, "counter", counter.help());
        text.sample(&name, &[], *count);
    }
    text.family("open_connections", "gauge", "Connections of people that are open now.");
    for protocol in Protocol::ALL {
        let open = totals.open.get(&protocol).copied().unwrap_or(0);
        text.sample("open_connections", &[("protocol", protocol.name())], open);
    }
    for gauge in &totals.gauges {
        text.family(gauge.name, "gauge", gauge.help);
        text.sample(gauge.name, &[], gauge.value);
    }
    text.family("start_time_seconds", "gauge", "When the relay was started, in Unix seconds.");
    text.sample("start_time_seconds", &[], started);
    text.family("build_info", "gauge", "The version.");
    text.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    /// Neither names nor sentences here have anything to escape.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP jaryq_{name} {help}\n# TYPE jaryq_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let pairs: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels =
            if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        let _ = writeln!(self.0, "jaryq_{name}{labels} {value}");
    }
}
