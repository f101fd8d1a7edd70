//! What the verbs say to the hub that runs, and hear: a line of JSON each way, over a socket in the
//! state directory that its owner alone can open.

use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The name of the socket in the state directory.
pub(crate) const SOCKET: &str = "hub.sock";
/// The longest line that is read of a verb, in bytes.
const LONGEST_ASK: u64 = 64 << 10;
/// The longest line that is read of the hub, in bytes: 2,000 relays, with room.
const LONGEST_ANSWER: u64 = 16 << 20;
/// How long a verb may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the hub may take to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// How many verbs are heard at a time.
const AT_A_TIME: usize = 16;

/// What a verb wants.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(crate) enum Ask {
    Invite { owner: Option<String> },
    Vouch { relay: String, is_vouched: bool },
    Ports { relay: Option<String>, all: bool },
    Relays,
    People,
    Blocks,
    Give { door: Option<String>, network: Option<u32> },
    Bundle { door: Option<String>, network: Option<u32> },
    Door { name: String },
    Signer,
}

/// What the hub answers; with `--json` it is printed as it comes.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Told {
    /// Nothing was done, and why.
    Error {
        error: String,
    },
    /// For one volunteer, until so many seconds since 1970.
    Invite {
        invite: String,
        until: u64,
        program: Program,
    },
    /// A relay may carry everything from now on, or Telegram alone.
    Vouched {
        relay: String,
        is_vouched: bool,
    },
    /// These relays answer elsewhere once they have heard of it.
    Ports {
        relays: u64,
        all: bool,
    },
    Relays {
        relays: Vec<Relay>,
    },
    People(People),
    Blocks {
        blocks: Vec<Block>,
    },
    /// No links: they wait for a seat, and ask again with the ticket.
    Given {
        links: Vec<Link>,
        ticket: String,
        refresh: u32,
    },
    Bundle {
        bundle: String,
        capitals: String,
        relays: u64,
        until: i64,
    },
    Door {
        name: String,
        token: String,
        path: String,
    },
    Signer {
        key: String,
        words: String,
    },
}

/// The program that runs here.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Program {
    /// Where the hub gives it away.
    pub url: String,
    /// In hexadecimal.
    pub sha256: String,
    /// For what machines it is, as `uname -m` calls them.
    pub machine: String,
}

/// A relay, as its organiser sees it.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Relay {
    pub id: String,
    pub owner: String,
    pub address: String,
    /// `carrying`, `paused`, `spent`, `left`, `not heard`, `silent`, `blocked` or `gone`.
    pub standing: String,
    pub is_vouched: bool,
    /// Whether the hub reaches it from outside; `None` while it has not tried.
    pub is_reached: Option<bool>,
    /// On which ports it was told to answer, `quiet` or `all`; and whether it does.
    pub ports: String,
    pub is_at_ports: bool,
    pub people: u64,
    pub helped: u32,
    pub connections: u32,
    pub datacentres: (u8, u8),
    /// In this month, in bytes.
    pub carried: u64,
    /// How long ago it was heard, in seconds.
    pub heard: Option<u64>,
    pub version: String,
}

/// How many people there are.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct People {
    pub seated: u64,
    pub waiting: u64,
    pub doors: Vec<Door>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Door {
    pub name: String,
    pub people: u64,
}

/// Something that was blocked; or, without endpoints, a country or a provider that leads nobody out.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Block {
    /// In seconds since 1970.
    pub at: u64,
    pub cause: String,
    pub endpoints: u64,
    pub reseated: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Link {
    pub tg: String,
    pub https: String,
}

/// Where the socket of the hub with this state is.
fn path(state: &Path) -> PathBuf {
    state.join(SOCKET)
}

/// Asks the hub that runs on this state.
///
/// # Errors
/// When none runs, or it refuses.
pub(crate) fn ask(state: &Path, ask: &Ask) -> anyhow::Result<Told> {
    let path = path(state);
    let mut stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => anyhow::anyhow!(
            "no hub runs on {}: start one with 'jaryq hub'; if it runs as root, ask as root (sudo), and \
             if its state is elsewhere, say --state DIR",
            state.display()
        ),
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("{} is another user's hub: ask as root (sudo)", state.display())
        }
        _ => anyhow::Error::new(error).context(format!("cannot ask at {}", path.display())),
    })?;
    stream
        .set_read_timeout(Some(ANSWER))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line).context("the hub does not listen")?;
    let mut told = String::new();
    BufReader::new(stream.take(LONGEST_ANSWER)).read_line(&mut told).context("no answer")?;
    match serde_json::from_str(&told) {
        Ok(Told::Error { error }) => bail!(error),
        Ok(told) => Ok(told),
        Err(_) if told.is_empty() => bail!("the hub has ended without an answer"),
        Err(error) => Err(error).context("the hub that runs is of another version: start it again"),
    }
}

/// Opens the socket. What a hub that was killed left of its own is taken away: no two hubs may do this
/// on one state.
///
/// # Errors
/// As the system has it.
pub(crate) fn listen(state: &Path) -> anyhow::Result<UnixListener> {
    let path = path(state);
    let shown = path.display();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {shown}"));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot open {shown}"))?;
    // The directory is closed to others already.
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Who answers.
pub(crate) trait Answers: Send + Sync + 'static {
    fn answer(&self, ask: Ask) -> impl Future<Output = anyhow::Result<Told>> + Send;
}

/// Answers whoever asks, until it is dropped.
pub(crate) async fn serve(listener: UnixListener, answers: Arc<impl Answers>) {
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let _turn = turn;
            let mut said = Vec::new();
            let (reader, mut writer) = stream.split();
            let mut reader = tokio::io::BufReader::new(reader.take(LONGEST_ASK));
            let Ok(Ok(_)) = timeout(PATIENCE, reader.read_until(b'\n', &mut said)).await else {
                return;
            };
            let answering = async {
                let ask = serde_json::from_slice(&said);
                answers.answer(ask.context("this verb is of another version than the hub")?).await
            };
            let told = match timeout(ANSWER, answering).await {
                Ok(told) => told,
                Err(_) => Err(anyhow::anyhow!("the hub has taken too long")),
            };
            let told = told.unwrap_or_else(|error| Told::Error { error: format!("{error:#}") });
            if let Ok(mut line) = serde_json::to_vec(&told) {
                line.push(b'\n');
                let _ = timeout(ANSWER, writer.write_all(&line)).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Toy;

    impl Answers for Toy {
        async fn answer(&self, ask: Ask) -> anyhow::Result<Told> {
            match ask {
                Ask::People => {
                    Ok(Told::People(People { seated: 2, waiting: 1, doors: Vec::new() }))
                }
                other => bail!("not {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_verb_is_answered_or_told_why_not_and_others_than_the_owner_are_kept_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let none = ask(dir.path(), &Ask::People).expect_err("nobody runs").to_string();
        assert!(none.contains("jaryq hub"), "{none}");
        // As a hub leaves it that was killed.
        drop(listen(dir.path()).expect("opened"));
        let left = ask(dir.path(), &Ask::People).expect_err("nobody runs").to_string();
        assert!(left.contains("no hub runs"), "{left}");
        let listener = listen(dir.path()).expect("opened again");
        let mode = std::fs::metadata(path(dir.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        tokio::spawn(serve(listener, Arc::new(Toy)));
        let state = dir.path().to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            (ask(&state, &Ask::People), ask(&state, &Ask::Signer))
        });
        let (people, signer) = asked.await.expect("asked");
        let told = Told::People(People { seated: 2, waiting: 1, doors: Vec::new() });
        assert_eq!(people.expect("answered"), told);
        assert_eq!(signer.expect_err("refused").to_string(), "not Signer");
    }
}
