//! People and garbage from one address, over the network.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use lab::flood::{Flood, visit};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use relay::Relay;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::derive::KeyId;

use super::house::House;
use super::lookup::{Form, Times, opening};
use crate::process;

const CARRIER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1));
const PATIENCE: Duration = Duration::from_secs(5);
/// How many people come from elsewhere meanwhile.
const OTHERS: usize = 1_000;
/// How many come at the same time, at most.
const AT_ONCE: usize = 16;

/// Answers whoever says something.
pub(crate) fn datacentre() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read_exact(&mut [0; 70]).await;
                    let _ = stream.write_all(b"here").await;
                    let _ = stream.read(&mut [0]).await;
                });
            }
        });
    });
    Ok(address)
}

/// Opens the ports of all buckets.
fn open(relay: &Relay, ports: &[u16]) -> Vec<SocketAddr> {
    let bind = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).ok();
    let listeners: Vec<TcpListener> = ports.iter().filter_map(bind).collect();
    let addresses = listeners.iter().filter_map(|one| one.local_addr().ok()).collect();
    let relay = relay.clone();
    thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let serve = |listener: TcpListener| {
                listener.set_nonblocking(true)?;
                relay.serve(listener)
            };
            let doors: io::Result<Vec<_>> = listeners.into_iter().map(serve).collect();
            let _doors = doors.expect("listeners");
            std::future::pending::<()>().await;
        });
    });
    addresses
}

/// Somebody who is about to connect.
struct Visitor {
    from: IpAddr,
    to: SocketAddr,
    opening: Vec<u8>,
}

/// Everybody comes once, evenly spread over `over`; how long those took who got through, and how many did not.
fn visits(visitors: &[Visitor], over: Duration) -> (Times, usize) {
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let pace = over / u32::try_from(visitors.len()).expect("there are fewer people");
    let come = || {
        let (mut times, mut failed) = (Vec::new(), 0);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(Visitor { from, to, opening }) = visitors.get(number) else {
                return (times, failed);
            };
            let due = start + pace * u32::try_from(number).expect("there are fewer people");
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // Who has not had their turn by then has not got through either.
            let in_time = start.elapsed() < over * 3;
            match in_time.then(|| visit(*from, *to, opening, PATIENCE)) {
                Some(Ok(time)) => times.push(time),
                Some(Err(_)) | None => failed += 1,
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(come)).collect();
        let (mut all, mut failures) = (Times::default(), 0);
        for thread in threads {
            let (times, failed) = thread.join().expect("no panic");
            times.into_iter().for_each(|time| all.add(time));
            failures += failed;
        }
        (all, failures)
    })
}

/// New people come from the flood's address and from others, with the flood and without.
pub(crate) fn run(
    house: &House,
    people: usize,
    rate: u32,
    over: Duration,
) -> anyhow::Result<String> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the number of open files")?;
    let mut ports: Vec<u16> = house.ids.iter().map(|id| house.port(*id)).collect();
    ports.sort_unstable();
    ports.dedup();
    let doors = open(&house.relay, &ports);
    let open: HashSet<u16> = doors.iter().map(SocketAddr::port).collect();
    let has_door = |id: &&KeyId| open.contains(&house.port(**id));
    let apart = house.ids.len() / (people + 3 * OTHERS);
    let unseen = house.ids.iter().skip(apart / 2).step_by(apart).filter(has_door);
    let mut unseen = unseen.enumerate().map(|(number, id)| {
        let form = Form::ALL[number % 3];
        let to = (Ipv4Addr::LOCALHOST, house.port(*id)).into();
        Ok((to, opening(house.secret(*id), form, "www.example.org")?))
    });
    let mut visitors = |count: usize, from: &dyn Fn(usize) -> IpAddr| {
        let some = unseen.by_ref().take(count).enumerate();
        let visitor = |(number, approach): (usize, anyhow::Result<_>)| {
            approach.map(|(to, opening)| Visitor { from: from(number), to, opening })
        };
        some.map(visitor).collect::<anyhow::Result<Vec<Visitor>>>()
    };
    let elsewhere = |number: usize| {
        let [low, high, ..] = number.to_le_bytes();
        IpAddr::from([127, 2, high, low.max(1)])
    };
    let quiet = visitors(OTHERS, &elsewhere)?;
    let others = visitors(OTHERS, &elsewhere)?;
    let new = visitors(people, &|_| CARRIER)?;

    let (before, failed_before) = visits(&quiet, over / 4);
    let cpu = process::own_cpu()?;
    let flood = Flood::start(CARRIER, doors, rate)?;
    let start = Instant::now();
    let ((through, failed), (others, others_failed)) = thread::scope(|scope| {
        let others = scope.spawn(|| visits(&others, over));
        (visits(&new, over), others.join().expect("no panic"))
    });
    let (took, sent) = (start.elapsed().as_secs_f64(), flood.sent() as f64);
    let cores = (process::own_cpu()? - cpu).as_secs_f64() / took;
    let waits = house.relay.waits();
    drop(flood);

    let mut page = format!(
        "\n## A carrier's address under a flood\n\n\
         From one address, {:.0} first flights a second that no key opens came to the ports of buckets, and \
         {people} people who were never seen there to the ports of theirs, by turns in plain, dd and ee; \
         from {OTHERS} other addresses, one person each.\n\n\
         | who | got through | median | 99 % |\n|---|--:|--:|--:|\n",
        sent / took
    );
    for (who, times, failed) in [
        ("others, before the flood", before, failed_before),
        ("others, during the flood", others, others_failed),
        ("new people from the flood's address", through, failed),
    ] {
        let through = times.len() as f64 * 100.0 / (times.len() + failed) as f64;
        let (median, most) = (times.within(50).as_secs_f64(), times.within(99).as_secs_f64());
        writeln!(
            page,
            "| {who} | {through:.2} % | {:.1} ms | {:.1} ms |",
            median * 1e3,
            most * 1e3
        )?;
    }
    let (waiting, sources) = (waits.waiting, waits.sources);
    writeln!(
        page,
        "\n- All of it took {cores:.2} cores: the relay, the flood and the people.\n\
         - At the end, {waiting} callers waited for the trial of all keys, from {sources} addresses."
    )?;
    Ok(page)
}
