//! One question from outside: does the relay itself answer there?

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::derive::RelayKey;
use wire::echo::dress::LONGEST_ANSWER;
use wire::echo::{Asker, BundleId, Shape, Transport, Wanted};

/// How long a question may take in all.
const PATIENCE: Duration = Duration::from_secs(8);
/// The host that questions name, as a hello of an app has one.
const NAME: &str = "www.wikipedia.org";

/// Asks at an address, as people's bundles do, whether the relay with this key answers; a box in
/// between cannot. Who watches the hub's line sees a TLS hello.
pub(super) async fn answers(at: SocketAddr, key: &RelayKey, bundle: BundleId) -> bool {
    matches!(timeout(PATIENCE, ask(at, key, bundle)).await, Ok(Ok(true)))
}

async fn ask(at: SocketAddr, key: &RelayKey, bundle: BundleId) -> io::Result<bool> {
    let asker = Asker::new(&key.echo_key(bundle), &key.mask_key());
    let mut stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = u32::try_from(now).map_err(io::Error::other)?;
    let (transport, shape) = (Transport::Tcp, Shape::Tls);
    let wanted = Wanted { transport, shape, relay: at, time, near: None };
    let question = asker.ask(&wanted, wire::random());
    let dress = asker.dress(transport, shape, NAME);
    stream.write_all(&dress.question(&question)).await?;
    let mut came = Vec::new();
    while came.len() < LONGEST_ANSWER {
        if stream.read_buf(&mut came).await? == 0 {
            return Ok(false);
        }
        match dress.read_answer(&came) {
            Ok(Some((answer, _))) => {
                // The port tells that nobody leads this one to another.
                let read = asker.read(&question, &answer);
                return Ok(read.is_some_and(|answer| answer.relay.port() == at.port()));
            }
            Ok(None) => {}
            Err(_) => return Ok(false),
        }
    }
    Ok(false)
}
