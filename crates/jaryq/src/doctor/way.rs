//! How a connection is made: from here, or by way of a second relay, from there.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::account::Account;
use wire::http_proxy;
use wire::socks5::{Read, Reply, client};
use wire::target::{Host, Target};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a proxy may take to make one, which tries an address for some seconds itself.
const PROXY_PATIENCE: Duration = Duration::from_secs(8);
/// No answer of a proxy is longer.
const MOST: usize = 16 << 10;

/// Where connections start.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Here,
    /// By the SOCKS5 proxy of a relay.
    Socks5(Arc<Account>),
    /// By the HTTP proxy of a relay.
    Http(Arc<Account>),
}

/// Why there was no connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoWay {
    /// Somebody says that nobody listens there.
    Refused,
    /// What was sent there vanished.
    Silence,
    /// This machine, or the proxy's, has no way there.
    NoNetwork(String),
    /// The proxy's rules forbid it.
    NotAllowed,
    /// The proxy itself cannot be used.
    Proxy(String),
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Silence => f.write_str("no answer"),
            Self::NoNetwork(why) => write!(f, "no way there ({why})"),
            Self::NotAllowed => f.write_str("not allowed by the proxy's rules"),
            Self::Proxy(why) => f.write_str(why),
        }
    }
}

impl From<io::Error> for NoWay {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => Self::Silence,
            _ => Self::NoNetwork(match error.raw_os_error() {
                Some(number) => Errno::from_raw(number).desc().to_lowercase(),
                None => error.to_string(),
            }),
        }
    }
}

impl Way {
    /// Connects to there.
    pub(crate) async fn connect(&self, to: SocketAddr) -> Result<TcpStream, NoWay> {
        let target = Target { host: Host::Address(to.ip()), port: to.port() };
        match self {
            Self::Here => within(PATIENCE, TcpStream::connect(to)).await,
            Self::Socks5(account) => {
                let mut stream = reach(account).await?;
                timeout(PROXY_PATIENCE, by_socks(&mut stream, account, &target))
                    .await
                    .unwrap_or(Err(NoWay::Silence))?;
                Ok(stream)
            }
            Self::Http(account) => {
                let mut stream = reach(account).await?;
                timeout(PROXY_PATIENCE, by_http(&mut stream, account, &target))
                    .await
                    .unwrap_or(Err(NoWay::Silence))?;
                Ok(stream)
            }
        }
    }
}

async fn within<T>(
    limit: Duration,
    doing: impl Future<Output = io::Result<T>>,
) -> Result<T, NoWay> {
    match timeout(limit, doing).await {
        Ok(done) => done.map_err(NoWay::from),
        Err(_) => Err(NoWay::Silence),
    }
}

async fn reach(account: &Account) -> Result<TcpStream, NoWay> {
    let at = (account.server.as_str(), account.port.get());
    let reached = within(PATIENCE, TcpStream::connect(at)).await;
    reached.map_err(|why| NoWay::Proxy(format!("the proxy cannot be reached: {why}")))
}

fn strange() -> NoWay {
    NoWay::Proxy("it does not speak like a relay's proxy".to_owned())
}

fn locked() -> NoWay {
    NoWay::Proxy("it does not take this user name and password".to_owned())
}

async fn by_socks(stream: &mut TcpStream, account: &Account, to: &Target) -> Result<(), NoWay> {
    say(stream, &client::GREETING).await?;
    if !hear(stream, client::choice).await? {
        return Err(strange());
    }
    say(stream, &client::login(&account.login())).await?;
    if !hear(stream, client::verdict).await? {
        return Err(locked());
    }
    say(stream, &client::connect(to)).await?;
    let (code, _) = hear(stream, client::reply).await?;
    let is = |reply: Reply| code == reply as u8;
    match code {
        0 => Ok(()),
        _ if is(Reply::NotAllowed) => Err(NoWay::NotAllowed),
        _ if is(Reply::Refused) => Err(NoWay::Refused),
        _ if is(Reply::NetworkUnreachable) => {
            Err(NoWay::NoNetwork("it has no such network".to_owned()))
        }
        _ => Err(NoWay::Silence),
    }
}

async fn by_http(stream: &mut TcpStream, account: &Account, to: &Target) -> Result<(), NoWay> {
    say(stream, http_proxy::connect(to, &account.login()).as_bytes()).await?;
    match hear(stream, http_proxy::answer).await? {
        200..300 => Ok(()),
        407 => Err(locked()),
        403 => Err(NoWay::NotAllowed),
        _ => Err(NoWay::Silence),
    }
}

async fn say(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), NoWay> {
    stream.write_all(bytes).await.map_err(|_| strange())
}

/// Reads one message and not a byte more: what follows belongs to whom the proxy connects.
async fn hear<T, E>(
    stream: &mut TcpStream,
    read: impl Fn(&[u8]) -> Result<Read<T>, E>,
) -> Result<T, NoWay> {
    let mut heard = Vec::new();
    while heard.len() < MOST {
        heard.push(stream.read_u8().await.map_err(|_| strange())?);
        match read(&heard).map_err(|_| strange())? {
            Read::More => {}
            Read::Whole(message, _) => return Ok(message),
        }
    }
    Err(strange())
}
