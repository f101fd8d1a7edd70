//! Killed at any moment, a relay loses no key that was handed out and at most ten seconds of what it
//! has counted, and starts again as if nothing had been.
//!
//! 50 times, or as often as `JARYQ_LAB_KILLS` says.

use std::collections::HashSet;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use lab::relay::{Form, Owner};
use lab::{Blockade, Error, Host, Relay, Result, client, country};
use serde_json::Value;
use tokio::time::timeout;

/// How many relays live and die side by side.
const RELAYS: u64 = 25;
/// How much may be lost.
const PROMISE: Duration = Duration::from_secs(10);
/// How much later a busy machine may do what is due.
const BUSY: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);

fn kills() -> u64 {
    let said = std::env::var("JARYQ_LAB_KILLS").ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(50)
}

/// A time up to `most`.
fn random(most: Duration) -> Duration {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    most.mul_f64(f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX))
}

/// How long a relay lives: mostly shortly, and every third time long enough to write things down.
fn life(round: u64) -> Duration {
    random(Duration::from_secs(if round.is_multiple_of(3) { 25 } else { 4 }))
}

/// How many bytes had been carried at a moment, in both directions.
type Log = Vec<(Instant, u64)>;

/// Pings until the relay is gone, which may be at once.
async fn ping_on(link: String) -> Result<Log> {
    let Ok(mut client) = client::through(&link)?.connect().await else { return Ok(Log::new()) };
    let mut log = vec![(Instant::now(), 0)];
    loop {
        let ping = timeout(LIMIT, client.ping()).await;
        let (up, down) = client.carried();
        match ping {
            Ok(Ok(())) => log.push((Instant::now(), up + down)),
            // The last question may have gone through, and its answer may not have come.
            Ok(Err(_)) => {
                log.push((Instant::now(), up + down + 1_000));
                return Ok(log);
            }
            Err(_) => return Err(Error::Unexpected("neither an answer nor an end".to_owned())),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Makes keys until told to stop, but one at least however slow the machine is, and kills one command
/// in three of the others in the middle of it; the keys that were printed.
fn make_keys(owner: &Owner, stop: &AtomicBool) -> Result<Vec<String>> {
    let (mut handed_out, since) = (Vec::new(), Instant::now());
    while handed_out.is_empty() || !stop.load(Ordering::Relaxed) {
        let mut command = owner.spawn(&["key", "new", "--json"])?;
        if !handed_out.is_empty() && random(Duration::from_secs(3)) < Duration::from_secs(1) {
            sleep(random(Duration::from_millis(40)));
            let _ = command.kill();
        }
        handed_out.extend(printed_key(command));
        if handed_out.is_empty() && since.elapsed() > LIMIT {
            return Err(Error::Unexpected("no key could be made".to_owned()));
        }
        sleep(random(Duration::from_secs(2)));
    }
    Ok(handed_out)
}

fn printed_key(command: Child) -> Option<String> {
    let output = command.wait_with_output().ok()?;
    let printed: Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(printed["key"]["id"].as_str()?.to_owned())
}

/// All bytes that are written down.
fn counted(owner: &Owner) -> Result<u64> {
    let printed = owner.command(&["stats", "--days", "2", "--json"])?;
    let total = &printed.first().ok_or_else(|| Error::Unexpected("no stats".to_owned()))?["total"];
    let bytes = |name: &str| total[name].as_u64().unwrap_or_default();
    Ok(bytes("up_bytes") + bytes("down_bytes"))
}

/// One relay's lives; how often what it had to keep was put to the test.
fn live_and_die(server: &Host, phone: &Host, rounds: u64) -> Result<usize> {
    let plan = || Relay::on(server).ports("443");
    let mut relay = plan().start()?;
    let owner = relay.owner();
    let (key, mut handed_out) = (relay.key()?, vec![relay.key()?.id]);
    let (mut before, mut proofs) = (0, 0);
    for round in 0..rounds {
        let link = key.link(Form::Padded)?.to_owned();
        let person = phone.start(async move || ping_on(link).await)?;
        let stop = AtomicBool::new(false);
        let killed = thread::scope(|scope| {
            let maker = scope.spawn(|| make_keys(&owner, &stop));
            sleep(life(round));
            let killed = Instant::now();
            drop(relay);
            stop.store(true, Ordering::Relaxed);
            handed_out.extend(maker.join().expect("no panic")?);
            Ok::<Instant, Error>(killed)
        })?;
        // A start that is killed, too.
        owner.start_and_kill(&plan(), random(Duration::from_millis(200)))?;

        let log = person.join()?;
        let now = counted(&owner)?;
        let carried = log.last().map_or(0, |(_, bytes)| *bytes);
        assert!(now - before <= carried, "{} of {carried} bytes were counted", now - before);
        let old = |(when, _): &&(Instant, u64)| killed.duration_since(*when) > PROMISE + BUSY;
        let due = log.iter().rev().find(old).map_or(0, |(_, bytes)| *bytes);
        assert!(now - before >= due, "{} were kept of at least {due} bytes", now - before);
        proofs += usize::from(due > 0);
        before = now;

        let kept: HashSet<String> = owner.command(&["key", "list", "--json"])?[0]["keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|key| Some(key["id"].as_str()?.to_owned()))
            .collect();
        let lost: Vec<_> = handed_out.iter().filter(|id| !kept.contains(*id)).collect();
        assert!(lost.is_empty(), "{lost:?} of {} keys", handed_out.len());
        relay = owner.start(&plan())?;
    }
    assert!(handed_out.len() > 1, "no key was made meanwhile");
    Ok(proofs)
}

#[test]
fn killed_at_any_moment_it_loses_no_key_and_ten_seconds_of_counting_at_most() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let rounds = kills().div_ceil(RELAYS);
        let address = |n| format!("116.203.8.{}", n + 1);
        let hosts = (0..RELAYS).map(|n| lab.host(&format!("server{n}"), &[&address(n)]));
        let hosts = hosts.collect::<Result<Vec<_>>>()?;
        let proofs = thread::scope(|scope| {
            let lives: Vec<_> = hosts
                .iter()
                .map(|server| scope.spawn(|| live_and_die(server, &world.phone, rounds)))
                .collect();
            let proofs = lives.into_iter().map(|one| one.join().expect("a promise was broken"));
            proofs.sum::<Result<usize>>()
        })?;
        eprintln!("{} kills, {proofs} of them late enough to prove what is kept", rounds * RELAYS);
        assert!(proofs > 0, "nothing was put to the test");
        Ok(())
    })
}
