//! The hub's process: the clerk with its journal and the listener for doors on the same machine, as
//! `jaryq hub` has them, and relays that exist on paper.

use std::io::{BufRead, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use hub::blocks::Word;
use hub::clerk::{Clerk, Settings, system_clock};
use hub::office::{DoorId, Scope};
use hub::server::local;
use tokio::net::TcpListener;
use wire::derive::FleetKey;
use wire::fleet::{Capacity, Enrolment, Face};

/// How many people's requests the server makes itself at a time when it is to be filled.
const TOGETHER: u64 = 4096;
const DOOR: &str = "bench";

/// Serves until its standard input ends. Each line of that is a command, each line of its output an
/// answer.
pub(super) fn serve(dir: &Path, relays: u32) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let began = Instant::now();
        let journal = store::Journal::open(dir).await?;
        let fleet = FleetKey::from_bytes([7; 32]);
        let (clerk, desk) =
            Clerk::open(journal, fleet, Settings::default(), system_clock()).await?;
        let replayed = began.elapsed();
        let desk = tokio::spawn(desk.run());
        for number in clerk.relays().len()..usize::try_from(relays)? {
            join(&clerk, u32::try_from(number)?).await?;
        }
        let token = clerk.door(DOOR).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        say(&format!("{} {token} {}", listener.local_addr()?.port(), replayed.as_secs_f64()))?;
        let serves = clerk.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(local::serve(stream, serves.clone()));
            }
        });
        loop {
            let line = tokio::task::spawn_blocking(|| {
                let mut line = String::new();
                std::io::stdin().lock().read_line(&mut line).map(|_| line)
            });
            let line = line.await??;
            match line.split_once(' ') {
                Some(("fill", people)) => fill(&clerk, people.trim().parse()?).await?,
                Some(("block", people)) => block(&clerk, people.trim().parse()?).await?,
                _ if line.is_empty() => break,
                _ => bail!("{line} is no command"),
            }
        }
        clerk.stop();
        desk.await??;
        Ok(())
    })
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A relay in a prefix of its own, with room for 10,000 people.
async fn join(clerk: &Clerk, number: u32) -> anyhow::Result<()> {
    let [_, a, b, c] = number.to_be_bytes();
    let enrolment = Enrolment {
        token: clerk.invite(None).await?,
        attempt: [1; 16],
        capacity: Capacity { people: 10_000, monthly: 0, can_open: true },
        face: Face { port: 443, name: "example.org".into(), ..Face::default() },
        version: String::new(),
    };
    let from: IpAddr = [20 + a, b, c, 1].into();
    let id = clerk.enrol(&enrolment, from).await?.id;
    Ok(clerk.reached(id, true).await?)
}

/// So many people ask, each once.
async fn fill(clerk: &Clerk, people: u64) -> anyhow::Result<()> {
    let mut asking = tokio::task::JoinSet::new();
    let all = Arc::new(std::sync::atomic::AtomicU64::new(0));
    for _ in 0..TOGETHER {
        let (clerk, all) = (clerk.clone(), all.clone());
        asking.spawn(async move {
            while all.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < people {
                clerk.give(DoorId::OFFICE, wire::random(), None).await?;
            }
            Ok::<_, hub::clerk::Refused>(())
        });
    }
    while let Some(done) = asking.join_next().await {
        done??;
    }
    let people = clerk.people();
    say(&format!("{} {}", people.all, people.waiting))?;
    Ok(())
}

/// As many endpoints are blocked, for one reason, as that many people sit on.
async fn block(clerk: &Clerk, people: usize) -> anyhow::Result<()> {
    let mut left = people;
    let mut endpoints = clerk.endpoints();
    endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.people));
    let enough = |endpoint: &&hub::clerk::EndpointView| {
        let is_short = left > 0;
        left = left.saturating_sub(endpoint.people);
        is_short
    };
    let these: Vec<_> = endpoints.iter().take_while(enough).map(|it| it.id).collect();
    let began = Instant::now();
    let moved = clerk.blocked(&these, Scope::Ports, Word::Several, "a measurement").await;
    let moved = moved.context("nobody was seated elsewhere")?;
    say(&format!("{} {moved} {}", these.len(), began.elapsed().as_secs_f64()))?;
    Ok(())
}
