//! A door beside the hub, as a bot is one: it hands people's words to the hub's own loopback, and what
//! comes back to them.

use std::time::Duration;

use lab::{Error, Host, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Where the hub hears doors on its own machine.
pub const LOCAL: u16 = 8080;
/// How long somebody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the hub says.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub version: String,
    pub body: String,
}

/// A request, and who waits for its answer.
type Asked = (String, oneshot::Sender<Result<Answer>>);

/// Whoever has one can speak through it, from wherever they are.
#[derive(Clone, Debug)]
pub struct Door {
    asked: mpsc::Sender<Asked>,
    token: String,
}

impl Door {
    /// Opens it on the hub's machine, with the token that the hub gave it. It closes when nobody has
    /// it any more.
    pub fn open(office: &Host, token: &str) -> Result<Self> {
        let (asked, mut requests) = mpsc::channel::<Asked>(64);
        office.start(async move || {
            while let Some((request, answer)) = requests.recv().await {
                tokio::spawn(async move {
                    let answered = timeout(PATIENCE, hand_on(&request)).await;
                    // Whoever went away needs no answer.
                    let _ = answer.send(answered.unwrap_or_else(|late| Err(late.into())));
                });
            }
            Ok(())
        })?;
        Ok(Self { asked, token: token.to_owned() })
    }

    /// Asks for somebody's way in.
    pub async fn ask(&self, body: &Value) -> Result<Answer> {
        self.say("POST", "/v1/ask", &self.token, "", &body.to_string()).await
    }

    /// Says something with a ticket, and the version of the links that are known already, if any are.
    pub async fn say(
        &self,
        method: &str,
        path: &str,
        bearer: &str,
        version: &str,
        body: &str,
    ) -> Result<Answer> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\
             Authorization: Bearer {bearer}\r\nIf-None-Match: {version}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let closed = || Error::Unexpected("the door is closed".to_owned());
        let (sender, answer) = oneshot::channel();
        self.asked.send((request, sender)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn hand_on(request: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", LOCAL)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    let bad = || Error::Unexpected(format!("the hub said {said:?}"));
    let (head, body) = said.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
    let version = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default();
    Ok(Answer { status, version: version.to_owned(), body: body.to_owned() })
}
