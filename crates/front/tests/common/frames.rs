//! HTTP/2 by hand.
#![allow(dead_code)] // Each test uses a part of it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::Wearer;

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
/// `GET / HTTP/2` from the static table, and an authority `x` (RFC 7541).
pub const GET: &[u8] = &[0x82, 0x84, 0x87, 0x41, 0x01, b'x'];

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub type Down = ReadHalf<TlsStream<TcpStream>>;
pub type Up = WriteHalf<TlsStream<TcpStream>>;

/// A connection over which frames are sent by hand, with windows that are never in the way.
pub async fn by_hand(wearer: &Wearer) -> (Down, Up) {
    let (down, mut up) = tokio::io::split(super::tls(wearer, &["h2"]).await);
    up.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
    let largest_window = [0, 4, 0x7f, 0xff, 0xff, 0xff];
    up.write_all(&frame(SETTINGS, 0, 0, &largest_window)).await.expect("sent");
    up.write_all(&frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0])).await.expect("sent");
    (down, up)
}

/// The next frame: its kind, its stream and what is in it.
pub async fn next(down: &mut Down) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    down.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    down.read_exact(&mut payload).await.ok()?;
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// Reads until the front has had enough; the reason that it gives last.
pub async fn end(mut down: Down) -> Option<u32> {
    let read = async {
        let mut reason = None;
        while let Some((kind, _, payload)) = next(&mut down).await {
            if kind == GOAWAY {
                reason = payload[4..8].try_into().ok().map(u32::from_be_bytes);
            }
        }
        reason
    };
    timeout(Duration::from_secs(60), read).await.expect("it ends")
}

/// Sends pieces until nobody takes them any more, or all are sent; how many were.
pub async fn flood(mut up: Up, pieces: impl Iterator<Item = Vec<u8>>) -> usize {
    let mut sent = 0;
    for piece in pieces {
        if up.write_all(&piece).await.is_err() || up.flush().await.is_err() {
            break;
        }
        sent += 1;
    }
    // Held open: the front is to end it, not we.
    tokio::time::sleep(Duration::from_secs(1)).await;
    sent
}
