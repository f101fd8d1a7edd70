//! People: each asks at the door, keeps a connection to Telegram open and makes others, and does what an
//! app and its owner do when that fails.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use lab::client::{self, Client};
use lab::{Error, Host, Result, Task};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::mtproto::ProxyLink;

use crate::door::{Answer, Door};

/// How long Telegram may take to answer before somebody tries something else.
const PATIENCE: Duration = Duration::from_secs(5);
/// Somebody is online whom Telegram has answered so lately.
const LATELY: u64 = 6_000;
/// How often somebody whose own link does not work asks for another one.
const AGAIN: Duration = Duration::from_secs(3);

/// When Telegram has answered whom last, and what else is counted.
#[derive(Debug)]
pub struct Board {
    began: Instant,
    /// In milliseconds since then; 0: never.
    answered: Vec<AtomicU64>,
    dials: AtomicU64,
    /// What the hub would not do.
    refused: AtomicU64,
}

impl Board {
    pub fn new(people: usize) -> Arc<Self> {
        let answered = (0..people).map(|_| AtomicU64::default()).collect();
        let (dials, refused) = Default::default();
        Arc::new(Self { began: Instant::now(), answered, dials, refused })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How many connections were tried, and how often the hub has refused something.
    pub fn counts(&self) -> (u64, u64) {
        (self.dials.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// The share of people who are online.
    pub fn share(&self) -> f64 {
        let now = self.now();
        let is_online = |at: &&AtomicU64| {
            let at = at.load(Ordering::Relaxed);
            at > 0 && now < at + LATELY
        };
        self.answered.iter().filter(is_online).count() as f64 / self.answered.len() as f64
    }
}

/// How often somebody's app turns to Telegram, and every how many times by a new connection.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    pub pause: Duration,
    pub dials_every: u32,
}

/// Somebody.
#[derive(Debug)]
pub struct Person {
    /// Where on the board; who is not there is not counted.
    number: usize,
    network: String,
    door: Door,
    habit: Habit,
    board: Arc<Board>,
    /// To whom they betray where they sit, if they do.
    informs: Option<mpsc::Sender<SocketAddr>>,
    pub ticket: String,
    pub links: Vec<String>,
    version: String,
    /// The version of the links of which they have said that the first does not work.
    told: String,
}

impl Person {
    pub fn new(
        number: usize,
        network: String,
        door: Door,
        habit: Habit,
        board: Arc<Board>,
    ) -> Self {
        let (ticket, links, version, told) = Default::default();
        Self { number, network, door, habit, board, informs: None, ticket, links, version, told }
    }

    /// They tell the censor of each endpoint that they are shown.
    pub fn informing(self, censor: mpsc::Sender<SocketAddr>) -> Self {
        Self { informs: Some(censor), ..self }
    }

    /// Asks at the door until there is a link.
    pub async fn ask(&mut self) -> Result {
        let request = wire::random::<16>().map(|byte| format!("{byte:02x}")).concat();
        let (person, network) = (format!("person {}", self.number), &self.network);
        let body = json!({ "person": person, "request": request, "network": network });
        self.links.clear();
        loop {
            if let Ok(answer) = self.door.ask(&body).await {
                self.take(&answer);
            }
            if !self.links.is_empty() {
                return Ok(());
            }
            sleep(AGAIN).await;
        }
    }

    /// Asks whether there is something new.
    pub async fn refresh(&mut self) -> Result {
        let answer = self.door.say("GET", "/v1/seats", &self.ticket, &self.version, "").await?;
        self.take(&answer);
        Ok(())
    }

    /// Says that the first link does not work.
    pub async fn complain(&mut self) -> Result {
        let body = json!({ "works": false }).to_string();
        let answer = self.door.say("POST", "/v1/report", &self.ticket, "", &body).await?;
        self.take(&answer);
        Ok(())
    }

    /// Says something else with their ticket.
    pub async fn say(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        self.door.say(method, path, &self.ticket, "", body).await
    }

    fn take(&mut self, answer: &Answer) {
        if answer.status == 304 {
            return;
        }
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if answer.status != 200 {
            self.board.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.ticket = text(&said["ticket"]);
        self.version.clone_from(&answer.version);
        let links = said["links"].as_array().into_iter().flatten();
        self.links = links.map(|link| text(&link["tg"])).collect();
        if let Some(censor) = &self.informs {
            for at in self.links.iter().filter_map(|link| leads_to(link)) {
                // A censor that has seen enough does not listen.
                let _ = censor.send(at);
            }
        }
    }

    /// A connection by this link, over which Telegram has answered.
    async fn dial(&self, link: &str) -> Option<Client> {
        self.board.dials.fetch_add(1, Ordering::Relaxed);
        let dial = async {
            let mut client = client::through(link)?.connect().await?;
            client.ping().await?;
            Ok::<_, Error>(client)
        };
        let client = timeout(PATIENCE, dial).await.ok()?.ok()?;
        self.is_answered();
        Some(client)
    }

    fn is_answered(&self) {
        if let Some(at) = self.board.answered.get(self.number) {
            at.store(self.board.now(), Ordering::Relaxed);
        }
    }

    /// Tries all links, and says so when the first does not work.
    async fn look(&mut self) -> Option<(Client, String)> {
        let mut place = 0;
        while let Some(link) = self.links.get(place).cloned() {
            if let Some(client) = self.dial(&link).await {
                return Some((client, link));
            }
            if place == 0 && self.told != self.version && self.complain().await.is_ok() {
                self.told.clone_from(&self.version);
            }
            place += 1;
        }
        None
    }

    /// Lives on.
    async fn live(mut self) -> Result {
        self.ask().await?;
        let mut open = self.look().await;
        let (mut beats, mut looked) = (0, Instant::now());
        loop {
            let is_own = matches!(&open, Some((_, link)) if self.links.first() == Some(link));
            if !is_own && (open.is_none() || looked.elapsed() > AGAIN) {
                looked = Instant::now();
                let before = self.version.clone();
                // A hub that is too busy to answer is asked again.
                let _ = self.refresh().await;
                if open.is_none() || before != self.version {
                    open = self.look().await;
                }
            }
            if let Some((client, link)) = &mut open {
                beats += 1;
                let is_due = beats % self.habit.dials_every == 0;
                let is_well = matches!(timeout(PATIENCE, client.ping()).await, Ok(Ok(())));
                if is_well {
                    self.is_answered();
                }
                if !is_well || (is_due && self.dial(link).await.is_none()) {
                    open = None;
                    continue;
                }
            }
            let chance = f64::from(wire::random::<1>()[0]) / 256.0;
            sleep(self.habit.pause.mul_f64(0.5 + chance)).await;
        }
    }
}

/// Where a link leads.
fn leads_to(link: &str) -> Option<SocketAddr> {
    let link: ProxyLink = link.parse().ok()?;
    Some((link.server.parse::<IpAddr>().ok()?, link.port.get()).into())
}

/// All who live at a home, until they are told to end.
pub fn live_at(
    host: &Host,
    people: Vec<Person>,
    mut end: watch::Receiver<bool>,
) -> Result<Task<()>> {
    host.start(async move || {
        let mut all = JoinSet::new();
        for (place, person) in (0..).zip(people) {
            all.spawn(async move {
                // Not all in one moment.
                sleep(Duration::from_millis(100) * place).await;
                person.live().await
            });
        }
        tokio::select! {
            ended = all.join_next() => {
                Err(Error::Unexpected(format!("somebody has given up: {ended:?}")))
            }
            _ = end.wait_for(|end| *end) => Ok(()),
        }
    })
}
