//! People at the door: requests over connections that stay open.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::figures::within;

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// A way in, each time for somebody new.
    Ask,
    /// Whether it is still the same, for somebody who has it.
    Refresh,
}

/// How it went.
#[derive(Default)]
pub(super) struct Times {
    /// How long each answer took.
    pub latencies: Vec<Duration>,
    /// How many bytes request and answer have together.
    pub bytes: usize,
}

impl Times {
    /// So many of a hundred took no longer, in milliseconds.
    pub(super) fn within(&mut self, percent: usize) -> f64 {
        self.latencies.sort_unstable();
        within(&self.latencies, percent).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// Where, with what, and how.
#[derive(Clone)]
pub(super) struct Load {
    pub port: u16,
    pub token: String,
    pub connections: usize,
    pub lasts: Duration,
    /// How many requests a second are due, whether the ones before are answered or not: one for which no
    /// connection was free in time counts from when it was due. `None`: each connection asks as soon as
    /// it has its answer.
    pub rate: Option<f64>,
}

impl Load {
    /// Brings it to the server.
    pub(super) fn run(&self, what: What) -> anyhow::Result<Times> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let until = Instant::now() + self.lasts;
            let due = Arc::new(AtomicU64::new(0));
            let mut all = JoinSet::new();
            for _ in 0..self.connections {
                let (load, due) = (self.clone(), due.clone());
                all.spawn(async move { load.connection(what, until, &due).await });
            }
            let mut times = Times::default();
            while let Some(one) = all.join_next().await {
                let one = one??;
                times.latencies.extend(one.latencies);
                times.bytes = times.bytes.max(one.bytes);
            }
            Ok(times)
        })
    }

    async fn connection(
        self,
        what: What,
        until: Instant,
        due: &AtomicU64,
    ) -> anyhow::Result<Times> {
        let mut door = Door::open(self.port).await?;
        let mut times = Times::default();
        let start = until - self.lasts;
        let known = match what {
            What::Ask => None,
            What::Refresh => Some(door.arrive(&self.token).await?),
        };
        loop {
            let mut from = Instant::now();
            if let Some(rate) = self.rate {
                let number = due.fetch_add(1, Ordering::Relaxed);
                from = start + Duration::from_secs_f64(number as f64 / rate);
                if Instant::now() < from {
                    sleep_until(from).await;
                    // The timer has its milliseconds from the load, not from the server.
                    from = Instant::now();
                }
            }
            if from >= until {
                return Ok(times);
            }
            let request = match &known {
                None => ask(&self.token),
                Some(known) => known.clone(),
            };
            let wanted = if known.is_some() { "304" } else { "200" };
            let bytes = door.say(&request, wanted).await?.len() + request.len();
            times.bytes = times.bytes.max(bytes);
            times.latencies.push(from.elapsed());
        }
    }
}

fn ask(token: &str) -> String {
    let key = data_encoding::HEXLOWER.encode(&wire::random::<16>());
    let body = format!("{{\"person\":\"{key}\",\"request\":\"{key}\",\"network\":\"AS9198\"}}");
    format!(
        "POST /v1/ask HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A connection, and what of the next answer has come.
struct Door {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Door {
    async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Somebody new asks; with what they refresh from then on.
    async fn arrive(&mut self, token: &str) -> anyhow::Result<String> {
        let answer = self.say(&ask(token), "200").await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).context("no ETag")?;
        let said: serde_json::Value = serde_json::from_str(body)?;
        let ticket = said["ticket"].as_str().context("no ticket")?;
        anyhow::ensure!(said["links"][0]["tg"].is_string(), "there was no seat");
        Ok(format!(
            "GET /v1/seats HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {ticket}\r\n\
             if-none-match: {tag}\r\n\r\n"
        ))
    }

    /// The whole answer to a request, which begins so.
    async fn say(&mut self, request: &str, status: &str) -> anyhow::Result<String> {
        self.stream.write_all(request.as_bytes()).await?;
        let answer = timeout(PATIENCE, self.answer()).await.context("no answer came")??;
        if answer.get(9..12) != Some(status) {
            bail!("instead of {status}: {answer}");
        }
        Ok(answer)
    }

    async fn answer(&mut self) -> anyhow::Result<String> {
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended");
            }
            let text = std::str::from_utf8(&self.buffer)?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(Ok(0), str::parse)?;
            if body.len() >= length {
                return Ok(text.to_owned());
            }
        }
    }
}
