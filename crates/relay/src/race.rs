//! The first of several addresses that answers.
//!
//! RFC 8305 ("happy eyeballs"): addresses are tried in order, the next one as soon as the one before
//! it has failed or has kept us waiting for a quarter of a second. The first that answers wins.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an address is waited for before the next one is tried as well.
const STAGGER: Duration = Duration::from_millis(250);
/// How long one address is waited for at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// How it went.
#[derive(Default)]
pub(crate) struct Outcome {
    pub winner: Option<(TcpStream, SocketAddr)>,
    /// Those that failed, and why, in the order in which they did.
    pub failed: Vec<(SocketAddr, io::Error)>,
    /// Those that were tried before the winner and had not answered.
    pub overtaken: Vec<SocketAddr>,
}

/// Connects to the first of these addresses that answers.
pub(crate) async fn run(addresses: Vec<SocketAddr>) -> Outcome {
    let mut waiting = addresses.into_iter().peekable();
    let mut attempts = JoinSet::new();
    let mut outcome = Outcome::default();
    loop {
        if let Some(address) = waiting.next() {
            outcome.overtaken.push(address);
            attempts.spawn(async move { (address, connect(address).await) });
        }
        // With nobody left to try, there is nothing to do but wait for those under way.
        let patience = if waiting.peek().is_some() { STAGGER } else { PATIENCE };
        if let Ok(Some(Ok((address, result)))) = timeout(patience, attempts.join_next()).await {
            outcome.overtaken.retain(|other| *other != address);
            match result {
                Ok(stream) => {
                    outcome.winner = Some((stream, address));
                    return outcome;
                }
                Err(error) => outcome.failed.push((address, error)),
            }
        }
        if waiting.peek().is_none() && attempts.is_empty() {
            return outcome;
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    timeout(PATIENCE, TcpStream::connect(address)).await?
}
