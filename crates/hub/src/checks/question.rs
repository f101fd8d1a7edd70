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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use wire::derive::{FleetKey, RelayId};
    use wire::echo::{Answer, Table, dress};

    use super::*;

    const BUNDLE: BundleId = BundleId([1; 16]);

    fn key(relay: u8) -> RelayKey {
        FleetKey::from_bytes([7; 32]).relay_key(&RelayId([relay; 16]))
    }

    /// A relay that answers one question, and says that it was dialled at a port so far from its own.
    async fn relay(key: RelayKey, off: u16) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let (mut stream, asker) = listener.accept().await.expect("somebody");
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
            let time = u32::try_from(unix).expect("before 2106");
            let table = Table::new(&key.mask_key(), [(BUNDLE, key.echo_key(BUNDLE))], time);
            let mut came = Vec::new();
            loop {
                if stream.read_buf(&mut came).await.expect("read") == 0 {
                    return;
                }
                let found = dress::find(Transport::Tcp, &came);
                let Some(found) = found.and_then(|found| table.open(&found.1, time)) else {
                    continue;
                };
                let relay = SocketAddr::new(at.ip(), at.port().wrapping_add(off));
                let answer = found.answer(&Answer { relay, asker, time, reserved: [0; 8] });
                let said = found.dress().answer(&came, &answer, time);
                return stream.write_all(&said).await.expect("written");
            }
        });
        at
    }

    #[tokio::test]
    async fn a_relay_answers_for_itself_and_for_the_port_that_was_dialled() {
        assert!(answers(relay(key(1), 0).await, &key(1), BUNDLE).await);
        assert!(!answers(relay(key(1), 1).await, &key(1), BUNDLE).await, "led to another port");
        let closed = TcpListener::bind("127.0.0.1:0").await.and_then(|it| it.local_addr());
        assert!(!answers(closed.expect("its address"), &key(1), BUNDLE).await, "nobody is there");
    }

    #[tokio::test]
    async fn whoever_says_again_what_is_said_is_no_relay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody");
            let (mut reader, mut writer) = stream.split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        assert!(!answers(at, &key(1), BUNDLE).await);
    }
}
