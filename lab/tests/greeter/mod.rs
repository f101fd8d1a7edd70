//! Somebody who tells whoever comes where they seem to come from.

use std::net::SocketAddr;
use std::time::Duration;

use lab::{Host, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Greets whoever connects to `at`, until its thread ends with the test.
pub(crate) fn greeter(host: &Host, at: SocketAddr) -> Result {
    let (ready, up) = std::sync::mpsc::channel();
    let _ = host.start(async move || {
        let listener = TcpListener::bind(at).await?;
        ready.send(()).expect("the test waits");
        while let Ok((mut stream, from)) = listener.accept().await {
            let _ = stream.write_all(from.ip().to_string().as_bytes()).await;
        }
        Ok(())
    })?;
    up.recv().expect("the greeter comes up");
    Ok(())
}

/// What the greeter at `from` says to `host`.
pub(crate) fn greeting(host: &Host, from: SocketAddr) -> Result<String> {
    host.run(async move || {
        let mut said = String::new();
        let moment = Duration::from_millis(400);
        let mut stream = timeout(moment, TcpStream::connect(from)).await??;
        stream.read_to_string(&mut said).await?;
        Ok(said)
    })
}
