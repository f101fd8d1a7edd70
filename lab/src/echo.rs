//! Somebody who says again whatever is said to them.

use std::net::SocketAddr;
use std::sync::mpsc;

use tokio::net::{TcpListener, UdpSocket};

use crate::error::{Error, Result};
use crate::host::Host;

/// Says again, for as long as the host lives, what is said to it: over connections to the first of
/// these, in datagrams to the second.
///
/// # Errors
/// When the system refuses.
pub fn repeat(host: &Host, connections: SocketAddr, datagrams: SocketAddr) -> Result {
    let (ready, up) = mpsc::channel();
    let _ = host.start(async move || {
        let listener = TcpListener::bind(connections).await?;
        let socket = UdpSocket::bind(datagrams).await?;
        let _ = ready.send(());
        tokio::spawn(async move {
            let mut said = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut said).await {
                let _ = socket.send_to(&said[..length], from).await;
            }
        });
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
        Ok(())
    })?;
    up.recv().map_err(|_| Error::Unexpected(format!("nothing listens on {connections}")))
}
