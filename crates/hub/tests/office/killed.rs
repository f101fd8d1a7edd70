//! A hub that is killed while it works has everything that it acknowledged.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::hub::{Hub, join};
use ::hub::clerk::Refresh;
use ::hub::office::DoorId;
use wire::mtproto::ProxyLink;

/// Where the process that is to be killed has its journal.
const DIR: &str = "HUB_TO_BE_KILLED";
/// How many times one is killed, each time after more people.
const TIMES: usize = 8;
/// How many ask at a time.
const TOGETHER: u64 = 32;

/// Not a test: what is killed.
#[tokio::test]
#[ignore = "run by the test below, which kills it"]
async fn works_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let hub = Hub::open(Path::new(&dir)).await;
    let known = hub.clerk.people().all as u64;
    if hub.clerk.relays().is_empty() {
        join(&hub.clerk, 1).await;
        join(&hub.clerk, 2).await;
    }
    let mut asking = tokio::task::JoinSet::new();
    for first in 0..TOGETHER {
        let clerk = hub.clerk.clone();
        asking.spawn(async move {
            for person in (0..).map(|step: u64| known + first + step * TOGETHER) {
                let key = wire::random();
                let given = clerk.ask(DoorId::OFFICE, &person.to_string(), key, None).await;
                let given = given.expect("a seat");
                let links: Vec<String> = given.links.iter().map(ProxyLink::tg).collect();
                // One write: it is told whole or not at all.
                let line = format!("given {person} {} {}\n", given.ticket, links.join(" "));
                std::io::stdout().lock().write_all(line.as_bytes()).expect("somebody reads");
            }
        });
    }
    asking.join_all().await;
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_when_it_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut given: HashMap<String, (String, String)> = HashMap::new();
    for time in 1..=TIMES {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "killed::works_until_it_is_killed", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut heard = 0;
        let mut is_killed = false;
        for line in lines.map_while(Result::ok) {
            // The runner's own lines have no end of their own before ours.
            let Some((_, said)) = line.split_once("given ") else { continue };
            let mut words = said.splitn(3, ' ').map(str::to_owned);
            let (Some(person), Some(ticket), Some(links)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            given.insert(person, (ticket, links));
            heard += 1;
            if heard >= 40 * time && !is_killed {
                child.kill().expect("SIGKILL");
                is_killed = true;
            }
        }
        child.wait().expect("ends");
        assert!(is_killed, "it ended by itself after {heard} people");
    }
    let hub = Hub::open(dir.path()).await;
    for (person, (ticket, links)) in &given {
        let Ok(Refresh::Changed(now)) = hub.clerk.refresh(ticket, None) else {
            panic!("{person} is not known any more")
        };
        let now: Vec<String> = now.links.iter().map(ProxyLink::tg).collect();
        assert_eq!(now.join(" "), *links, "{person} sits elsewhere");
    }
    hub.stop().await;
}
