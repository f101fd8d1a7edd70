//! The little of HTTP that a test's own server needs.

use std::collections::HashMap;
use std::io::Read;
use std::net::TcpStream;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// The headers, by their names in small letters.
    pub headers: HashMap<String, String>,
    /// The body, if its length was told.
    pub body: Vec<u8>,
}

/// The next request of a connection, whole; `buffer` keeps what came beyond it.
pub fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let mut more = |buffer: &mut Vec<u8>| {
        let mut part = vec![0; 1 << 16];
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        buffer.extend(&part[..count]);
        Some(())
    };
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(buffer)?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while buffer.len() < end + length {
        more(buffer)?;
    }
    let body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Some(Request { method, target, headers, body })
}

/// An answer, as it is sent.
#[must_use]
pub fn answer(status: u16, headers: &[(&'static str, String)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\n").into_bytes();
    for (name, value) in headers {
        out.extend(format!("{name}: {value}\r\n").bytes());
    }
    if status != 204 {
        out.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    out.extend(b"\r\n");
    out.extend(body);
    out
}
