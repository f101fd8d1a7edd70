//! HTTP (RFC 9112) as a small app and a small server speak it: a file is asked for, and comes; then much
//! is sent, and much comes back, both in chunks.

use std::time::{Duration, UNIX_EPOCH};

use super::{LENGTH, LONGEST, PIECE, Question, Read, Unlike, Way, draw, letters};

/// The folders in which files with long names lie.
const FOLDERS: [&str; 8] = ["assets", "cdn", "content", "files", "images", "media", "static", "u"];
/// How many letters a file's name has beside those of a question.
const MORE_OF_NAME: usize = 80;
/// How many a file has beside those of an answer.
const MORE_OF_FILE: usize = 2_400;
/// How many a chunk has beside those of a piece.
const MORE_OF_CHUNK: usize = 120;

const NAME: usize = letters::length(LENGTH);
const CHUNK: usize = letters::length(PIECE);
const GET: &[u8] = b"GET /";
const POST: &[u8] = b"POST /";
const VERSION: &[u8] = b" HTTP/1.1\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const LENGTH_IS: &str = "Content-Length: ";

/// What OkHttp says of itself, in the order in which it does.
fn head(first: &str, path: &[u8], about: &str, name: &str) -> Vec<u8> {
    let folder = FOLDERS[draw(FOLDERS.len() - 1)];
    let first = format!("{first}{folder}/");
    let last = format!(
        "{about}Host: {name}\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\n\
         User-Agent: okhttp/4.12.0\r\n\r\n"
    );
    [first.as_bytes(), path, VERSION, last.as_bytes()].concat()
}

pub(super) fn request(name: &str, question: &Question) -> Vec<u8> {
    head("GET /", &letters::encode(question, draw(MORE_OF_NAME)), "", name)
}

pub(super) fn long_request(name: &str) -> Vec<u8> {
    let about = "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n";
    head("POST /", &letters::encode(&[], 8 + draw(24)), about, name)
}

fn ok(about: &str, now: u32) -> Vec<u8> {
    let last = format!(
        "Server: nginx\r\nDate: {}\r\nContent-Type: text/plain\r\n{about}\r\n\
         Connection: keep-alive\r\n\r\n",
        date(now)
    );
    [OK, last.as_bytes()].concat()
}

pub(super) fn response(answer: &[u8; LENGTH], now: u32) -> Vec<u8> {
    let file = letters::encode(answer, draw(MORE_OF_FILE));
    [ok(&format!("{LENGTH_IS}{}", file.len()), now), file].concat()
}

pub(super) fn long_response(now: u32) -> Vec<u8> {
    ok("Transfer-Encoding: chunked", now)
}

pub(super) fn chunk(piece: &[u8; PIECE]) -> Vec<u8> {
    let text = letters::encode(piece, draw(MORE_OF_CHUNK));
    [format!("{:x}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat()
}

/// The letters of a request's path, and what comes after them.
fn path(first: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = first.strip_prefix(GET)?;
    let mut folders = FOLDERS.iter();
    let name = folders.find_map(|it| rest.strip_prefix(it.as_bytes())?.strip_prefix(b"/"))?;
    let letters = name.iter().take_while(|byte| letters::is_letter(**byte)).count();
    Some(name.split_at(letters))
}

pub(super) fn read_request(first: &[u8]) -> Option<(Question, usize)> {
    let (text, rest) = path(first)?;
    let end = end(rest.strip_prefix(VERSION)?)?;
    let used = first.len() - rest.len() + VERSION.len() + end;
    Some((letters::decode(text)?, used))
}

/// Whether this is the beginning of a request of which more is to come.
pub(super) fn is_part(first: &[u8]) -> bool {
    let Some((text, rest)) = path(first) else {
        let begins = |folder: &&str| {
            let whole = [GET, folder.as_bytes(), b"/"].concat();
            whole.starts_with(first)
        };
        return FOLDERS.iter().any(begins);
    };
    let is_name = text.len() <= NAME + MORE_OF_NAME && (rest.is_empty() || text.len() >= NAME);
    is_name && begins(rest, VERSION) && end(rest).is_none()
}

pub(super) fn read_response(came: &[u8]) -> Read<LENGTH> {
    let Some(body) = after_head(came, OK)? else { return Ok(None) };
    let head = std::str::from_utf8(&came[..body]).map_err(|_| Unlike)?;
    let length = head.lines().find_map(|line| line.strip_prefix(LENGTH_IS)).ok_or(Unlike)?;
    let length: usize = length.parse().map_err(|_| Unlike)?;
    if !(NAME..=NAME + MORE_OF_FILE).contains(&length) {
        return Err(Unlike);
    }
    let Some(file) = came.get(body..body + length) else { return Ok(None) };
    let answer = letters::decode(file).ok_or(Unlike)?;
    Ok(Some((answer, body + length)))
}

pub(super) fn read_piece(way: Way, came: &[u8]) -> Read<PIECE> {
    let word = if way == Way::Up { POST } else { OK };
    // No chunk's length begins so.
    let start = if came.first() == word.first() {
        let Some(start) = after_head(came, word)? else { return Ok(None) };
        start
    } else {
        0
    };
    let rest = &came[start..];
    let Some((digits, rest)) = rest.split_first_chunk::<3>() else { return Ok(None) };
    let letters = std::str::from_utf8(digits).ok().filter(|it| !it.starts_with('+'));
    let letters = letters.and_then(|it| usize::from_str_radix(it, 16).ok());
    let fits = |letters: &usize| (CHUNK..=CHUNK + MORE_OF_CHUNK).contains(letters);
    let letters = letters.filter(fits).ok_or(Unlike)?;
    let Some(body) = rest.get(..letters + 4) else { return Ok(None) };
    let text = body.strip_prefix(b"\r\n").and_then(|body| body.strip_suffix(b"\r\n"));
    let piece = text.and_then(letters::decode).ok_or(Unlike)?;
    Ok(Some((piece, start + 3 + body.len())))
}

/// Where a head ends that begins with this word; `None` as long as it is not whole.
fn after_head(came: &[u8], word: &[u8]) -> Result<Option<usize>, Unlike> {
    if !begins(came, word) {
        return Err(Unlike);
    }
    match end(&came[..came.len().min(LONGEST)]) {
        None if came.len() >= LONGEST => Err(Unlike),
        end => Ok(end),
    }
}

fn end(head: &[u8]) -> Option<usize> {
    head.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Whether they begin so, as far as they go.
fn begins(bytes: &[u8], word: &[u8]) -> bool {
    let had = word.len().min(bytes.len());
    bytes[..had] == word[..had]
}

/// RFC 9110, section 5.6.7.
fn date(now: u32) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now.into()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_written_as_servers_write_them() {
        for (now, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
            (u32::MAX, "Sun, 07 Feb 2106 06:28:15 GMT"),
        ] {
            assert_eq!(super::date(now), date);
        }
    }
}
