//! Requests over TLS, by HTTP/1.1 and HTTP/2.

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::world::{Door, HOST};

/// An answer: status, head as it came or as it would have, body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(": ")?;
            header.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// All of it but the time.
    pub fn without_date(&self) -> (Vec<&str>, &[u8]) {
        let lines = self.head.lines().filter(|line| !line.starts_with("date: "));
        (lines.collect(), &self.body)
    }
}

/// A connection for one request after another.
pub enum Http {
    One(Box<TlsStream<TcpStream>>),
    Two(SendRequest<Bytes>),
}

impl Http {
    pub async fn one(door: &Door) -> Self {
        Self::One(Box::new(door.tls("http/1.1").await))
    }

    pub async fn two(door: &Door) -> Self {
        let stream = door.tls("h2").await;
        let (client, connection) = h2::client::Builder::new()
            .initial_window_size(4 << 20)
            .initial_connection_window_size(8 << 20)
            .handshake::<_, Bytes>(stream)
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        Self::Two(client)
    }

    /// `None` when the connection is gone.
    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        match self {
            Self::One(stream) => {
                stream.write_all(&head(method, path, headers, body.len())).await.ok()?;
                stream.write_all(body).await.ok()?;
                // Of what TLS has sealed, some may wait still.
                stream.flush().await.ok()?;
                read(stream).await
            }
            Self::Two(client) => two(client, method, path, headers, body).await,
        }
    }
}

/// A request's head.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if method != "GET" {
        head += &format!("Content-Length: {length}\r\n");
    }
    (head + "\r\n").into_bytes()
}

/// Reads an answer of HTTP/1.1; of an upgrade, its head.
pub async fn read(stream: &mut TlsStream<TcpStream>) -> Option<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("text");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut answer = Answer { status, head, body: Vec::new() };
    let length = answer.header("content-length").map_or(0, |text| text.parse().expect("a length"));
    answer.body.resize(length, 0);
    stream.read_exact(&mut answer.body).await.ok()?;
    Some(answer)
}

async fn two(
    client: &mut SendRequest<Bytes>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut request = http::Request::builder().method(method).uri(format!("https://{HOST}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    let mut ready = client.clone().ready().await.ok()?;
    let (answer, mut up) = ready.send_request(request, false).ok()?;
    up.send_data(Bytes::copy_from_slice(body), true).ok()?;
    let (parts, mut stream) = answer.await.ok()?.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.ok()?;
        let _ = stream.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    let lines = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().expect("text")));
    Some(Answer { status: parts.status.as_u16(), head: lines.collect(), body })
}
