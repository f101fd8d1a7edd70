//! Answers of HTTP/1.1 servers that say nothing unasked.

use std::io::{Read, Write};
use std::net::SocketAddr;

use lab::{Error, Result};

use super::target::Login;

/// An answer is shorter than this, in bytes.
const WHOLE: usize = 4096;

/// Asks a proxy for a tunnel. The datacentre says nothing unasked, so what comes is the proxy's
/// answer and nothing else.
pub(super) fn connect(
    stream: &mut (impl Read + Write),
    login: Option<&Login>,
    to: SocketAddr,
) -> Result {
    let login =
        login.map_or_else(String::new, |of| format!("Proxy-Authorization: {}\r\n", of.basic()));
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n");
    ask(stream, &request, 200).map(drop)
}

/// Says this; gives the body of the answer, which is to have this status and a length if it has a
/// body.
pub(super) fn ask(stream: &mut (impl Read + Write), request: &str, status: u16) -> Result<String> {
    let broken = |what: &str| Error::Unexpected(format!("HTTP: {what}"));
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut have) = ([0; WHOLE], 0);
    loop {
        match stream.read(&mut answer[have..])? {
            0 => return Err(broken("no whole answer")),
            got => have += got,
        }
        let said = String::from_utf8_lossy(&answer[..have]);
        let Some((head, body)) = said.split_once("\r\n\r\n") else { continue };
        if head.split(' ').nth(1) != Some(status.to_string().as_str()) {
            return Err(broken(head.lines().next().unwrap_or_default()));
        }
        if body.len() >= length(head) {
            return Ok(body.to_owned());
        }
    }
}

fn length(head: &str) -> usize {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, length)| length.parse().ok()).unwrap_or_default()
}
