//! Proof by a record in a name's zone (dns-01, RFC 8555, 8.4).

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;
use wire::dns_update::{self, Change, TsigKey};

use super::settled;

/// How long a program may take.
const PROGRAM: Duration = Duration::from_secs(600);
/// How long a name server may take.
const SERVER: Duration = Duration::from_secs(20);

/// How records are made, and when they are there.
#[derive(Clone, Debug)]
pub struct DnsProof {
    /// Who makes them.
    pub by: Dns,
    /// How long it may take until all name servers of the zone know: a minute for most providers. They
    /// are asked, and it is so long only where they do not show the record.
    pub settle: Duration,
}

/// Who makes records.
#[derive(Clone, Debug)]
pub enum Dns {
    /// A program, called as `PROGRAM present NAME VALUE` before and `PROGRAM cleanup NAME VALUE`
    /// afterwards, with a name like `_acme-challenge.example.org.`: the way of lego's `exec`
    /// provider; scripts of other programs need three lines around them. It has the rights of this
    /// process, ten minutes, and is to end with 0 when the record is made.
    Hook(PathBuf),
    /// A name server that takes signed updates (RFC 2136, RFC 8945), over TCP.
    Update {
        /// Its `host:port`; mostly port 53.
        server: String,
        /// The zone in which the records are.
        zone: String,
        /// The key that it knows.
        key: TsigKey,
    },
}

/// A record that was made.
pub(super) struct Presented {
    by: Dns,
    name: String,
    value: String,
}

impl DnsProof {
    /// Makes the record for a host.
    pub(super) async fn present(&self, host: &str, value: String) -> io::Result<Presented> {
        let name = format!("_acme-challenge.{host}.");
        let presented = Presented { by: self.by.clone(), name, value };
        if let Err(error) = presented.change("present", Change::Add).await {
            // It may be there all the same.
            presented.take_away().await;
            return Err(error);
        }
        Ok(presented)
    }

    /// Waits until they are to be seen.
    pub(super) async fn settle(&self, records: impl Iterator<Item = &Presented>) {
        let all = async {
            for record in records {
                if settled::everywhere(&record.name, &record.value).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        // Perhaps the authority sees more than we do.
        let _ = timeout(self.settle, all).await;
    }
}

impl Presented {
    pub(super) async fn take_away(self) {
        // A record too many does no harm.
        let _ = self.change("cleanup", Change::Remove).await;
    }

    async fn change(&self, verb: &str, change: Change) -> io::Result<()> {
        match &self.by {
            Dns::Hook(program) => timeout(PROGRAM, self.run(program, verb)).await?,
            Dns::Update { server, zone, key } => {
                timeout(SERVER, self.update(server, zone, key, change)).await?
            }
        }
    }

    async fn run(&self, program: &PathBuf, verb: &str) -> io::Result<()> {
        let told = |what: String| io::Error::other(format!("{}: {what}", program.display()));
        let mut child = Command::new(program)
            .args([verb, &self.name, &self.value])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| told(error.to_string()))?;
        let mut said = Vec::new();
        if let Some(mut stderr) = child.stderr.take() {
            (&mut stderr).take(500).read_to_end(&mut said).await?;
            // What it says beyond that must not block it.
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        let status = child.wait().await?;
        let said = String::from_utf8_lossy(&said);
        if status.success() { Ok(()) } else { Err(told(format!("{status}: {}", said.trim()))) }
    }

    async fn update(
        &self,
        server: &str,
        zone: &str,
        key: &TsigKey,
        change: Change,
    ) -> io::Result<()> {
        let told = |what: String| io::Error::other(format!("name server {server}: {what}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let question = dns_update::txt(zone, &self.name, change, &self.value, key, now)
            .map_err(|error| told(error.to_string()))?;
        let mut stream =
            TcpStream::connect(server).await.map_err(|error| told(error.to_string()))?;
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&question).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        dns_update::check(&question, &answer).map_err(|error| told(error.to_string()))
    }
}
