//! What browsers say to an HTTP proxy (RFC 9110, RFC 9112), mostly the proxy's side: the head of a
//! request, the head that goes on to the server, and our own answers.
//!
//! A head is read when it is whole, so it comes out the same however it was cut; it has at most
//! [`MAX_HEAD`] bytes and [`MAX_HEADERS`] headers.

use data_encoding::BASE64;

use crate::socks5::{Login, Read};
use crate::target::Target;

/// The longest head that is read, in bytes.
pub const MAX_HEAD: usize = 32 << 10;
/// The most headers that a head may have.
pub const MAX_HEADERS: usize = 100;

/// Headers that are between two neighbours and not for the server (RFC 9110, section 7.6.1), beside
/// those that `Connection` names.
const NEIGHBOURLY: [&str; 7] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "upgrade",
    "proxy-authorization",
    "proxy-authenticate",
];
/// Headers that say where a message goes and ends, which `Connection` cannot take away.
const FRAMING: [&str; 3] = ["host", "content-length", "transfer-encoding"];

/// What a browser wants, and who it says to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Whom it wants to reach.
    pub target: Target,
    /// Who it says to be, if it says so.
    pub login: Option<Login>,
    /// What it wants there.
    pub wish: Wish,
}

/// Ways of asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// `CONNECT`: a tunnel.
    Tunnel,
    /// A request with a whole URL, to be passed on.
    Fetch {
        /// The head for the server, in origin form: one request, then the connection ends.
        head: Vec<u8>,
        /// How many bytes of body follow.
        body: u64,
    },
}

/// This is no request that a proxy can serve.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadRequest {
    /// Too long, or with too many headers.
    #[error("the request's head is too long")]
    Long,
    /// Not HTTP/1, or with headers that contradict each other.
    #[error("this is no HTTP/1 request")]
    Malformed,
    /// Neither `CONNECT host:port` nor `http://host/`.
    #[error("a proxy needs CONNECT host:port, or a URL that begins with http://")]
    Form,
    /// A body whose length is not told before.
    #[error("the length of the request's body must be told: Content-Length")]
    LengthRequired,
}

/// Reads a request's head from the front of what has come.
///
/// # Errors
/// [`BadRequest`]; [`Status::for_bad`] says how to answer.
pub fn request(bytes: &[u8]) -> Result<Read<Request>, BadRequest> {
    let visible = &bytes[..bytes.len().min(MAX_HEAD)];
    let Some(end) = visible.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() < MAX_HEAD { Ok(Read::More) } else { Err(BadRequest::Long) };
    };
    let length = end + 4;
    parse(&bytes[..length]).map(|request| Read::Whole(request, length))
}

/// What a client does: asks for a tunnel to there.
#[must_use]
pub fn connect(target: &Target, login: &Login) -> String {
    let pair = [&login.user[..], b":", &login.password].concat();
    let pair = BASE64.encode(&pair);
    format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {pair}\r\n\r\n"
    )
}

/// What a client does: reads the head of the answer; its status, as in 200.
///
/// # Errors
/// As [`request`].
pub fn answer(bytes: &[u8]) -> Result<Read<u16>, BadRequest> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(&bytes[..bytes.len().min(MAX_HEAD)]) {
        Ok(httparse::Status::Complete(length)) => {
            Ok(Read::Whole(parsed.code.ok_or(BadRequest::Malformed)?, length))
        }
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => Ok(Read::More),
        Ok(httparse::Status::Partial) => Err(BadRequest::Long),
        Err(_) => Err(BadRequest::Malformed),
    }
}

fn parse(head: &[u8]) -> Result<Request, BadRequest> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(BadRequest::Long),
        _ => return Err(BadRequest::Malformed),
    }
    let (Some(method), Some(path)) = (parsed.method, parsed.path) else {
        return Err(BadRequest::Malformed);
    };
    let headers = &*parsed.headers;
    let login = headers.iter().find(|header| is(header, "proxy-authorization"));
    let login = login.and_then(|header| basic(header.value));
    if method == "CONNECT" {
        let target = Target::read(path, None).ok_or(BadRequest::Form)?;
        return Ok(Request { target, login, wish: Wish::Tunnel });
    }
    let url = strip_scheme(path).ok_or(BadRequest::Form)?;
    // A fragment does not belong here, but would be sent on as part of the path.
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    let (authority, rest) = url.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_userinfo, host)| host);
    let target = Target::read(authority, Some(80)).ok_or(BadRequest::Form)?;
    let body = body_length(headers)?;
    // Whoever speaks HTTP/1.0 would not understand an answer in HTTP/1.1's pieces.
    let version = if parsed.version == Some(0) { "HTTP/1.0" } else { "HTTP/1.1" };
    let head = onward([method, rest, version], authority, headers);
    Ok(Request { target, login, wish: Wish::Fetch { head, body } })
}

fn strip_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_at_checked("http://".len())?;
    scheme.eq_ignore_ascii_case("http://").then_some(rest)
}

fn is(header: &httparse::Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

/// How long the body is (RFC 9112, section 6.3).
fn body_length(headers: &[httparse::Header<'_>]) -> Result<u64, BadRequest> {
    if headers.iter().any(|header| is(header, "transfer-encoding")) {
        return Err(BadRequest::LengthRequired);
    }
    let mut length = None;
    for header in headers.iter().filter(|header| is(header, "content-length")) {
        let digits = std::str::from_utf8(header.value).unwrap_or_default().trim();
        let told: u64 = match digits.parse() {
            Ok(told) if digits.bytes().all(|byte| byte.is_ascii_digit()) => told,
            _ => return Err(BadRequest::Malformed),
        };
        if length.is_some_and(|length| length != told) {
            return Err(BadRequest::Malformed);
        }
        length = Some(told);
    }
    Ok(length.unwrap_or(0))
}

/// The head in origin form, for the server alone.
fn onward(
    [method, rest, version]: [&str; 3],
    authority: &str,
    headers: &[httparse::Header<'_>],
) -> Vec<u8> {
    let named: Vec<&str> = headers
        .iter()
        .filter(|header| is(header, "connection"))
        .filter_map(|header| std::str::from_utf8(header.value).ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let path = rest.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path =
        if method == "OPTIONS" && path.is_empty() { "*".into() } else { format!("{slash}{path}") };
    // The URL's host counts, whatever the header says (RFC 9112, section 3.2.2).
    let mut head = format!("{method} {path} {version}\r\nHost: {authority}\r\n").into_bytes();
    for header in headers {
        let is_named =
            named.iter().any(|name| is(header, name)) && !FRAMING.iter().any(|f| is(header, f));
        if is_named || is(header, "host") || NEIGHBOURLY.iter().any(|name| is(header, name)) {
            continue;
        }
        head.extend_from_slice(header.name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(header.value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    head
}

/// Reads `Basic` credentials (RFC 7617), as they stand in `Proxy-Authorization`.
#[must_use]
pub fn basic(value: &[u8]) -> Option<Login> {
    let (scheme, rest) = value.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let pair = BASE64.decode(rest.trim_ascii()).ok()?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some(Login { user: pair[..colon].to_vec(), password: pair[colon + 1..].to_vec() })
}

/// What a tunnel begins with.
pub const TUNNEL: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Our own answers; the connection ends after each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// 400.
    BadRequest,
    /// 403: the rules forbid it.
    Forbidden,
    /// 407: a user name and a password are needed.
    LoginRequired,
    /// 411.
    LengthRequired,
    /// 431.
    HeadTooLong,
    /// 502: the other side cannot be found or reached.
    BadGateway,
    /// 504: the other side does not answer.
    Timeout,
}

/// What a proxy says when it wants to know who somebody is.
pub const CHALLENGE: &str = "Basic realm=\"proxy\", charset=\"UTF-8\"";

impl Status {
    /// Its number.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::LoginRequired => 407,
            Self::LengthRequired => 411,
            Self::HeadTooLong => 431,
            Self::BadGateway => 502,
            Self::Timeout => 504,
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad Request",
            Self::Forbidden => "Forbidden",
            Self::LoginRequired => "Proxy Authentication Required",
            Self::LengthRequired => "Length Required",
            Self::HeadTooLong => "Request Header Fields Too Large",
            Self::BadGateway => "Bad Gateway",
            Self::Timeout => "Gateway Timeout",
        }
    }

    /// How to answer a request that cannot be served.
    #[must_use]
    pub fn for_bad(bad: BadRequest) -> Self {
        match bad {
            BadRequest::Long => Self::HeadTooLong,
            BadRequest::Malformed | BadRequest::Form => Self::BadRequest,
            BadRequest::LengthRequired => Self::LengthRequired,
        }
    }

    /// As bytes, with one line that says why.
    #[must_use]
    pub fn because(self, why: &str) -> Vec<u8> {
        let (code, phrase) = (self.code(), self.phrase());
        let extra = match self {
            Self::LoginRequired => format!("Proxy-Authenticate: {CHALLENGE}\r\n"),
            _ => String::new(),
        };
        let length = why.len() + 1;
        format!(
            "HTTP/1.1 {code} {phrase}\r\n{extra}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{why}\n"
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_ours_is_understood_and_understands() {
        let target = Target::read("[2001:db8::1]:443", None).expect("a target");
        let login = Login { user: b"user".to_vec(), password: b"p:ss".to_vec() };
        let asked = connect(&target, &login);
        let meant = Request { target, login: Some(login), wish: Wish::Tunnel };
        assert_eq!(request(asked.as_bytes()), Ok(Read::Whole(meant, asked.len())));
        let said = b"HTTP/1.1 407 Who are you\r\nA: b\r\n\r\nmore";
        assert_eq!(answer(said), Ok(Read::Whole(407, said.len() - 4)));
        assert_eq!(answer(&said[..30]), Ok(Read::More));
        assert_eq!(answer(b"SSH-2.0\r\n"), Err(BadRequest::Malformed));
    }
    use proptest::prelude::*;

    fn whole(text: &str) -> Request {
        match request(text.as_bytes()) {
            Ok(Read::Whole(request, length)) if length == text.len() => request,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_tunnel_with_credentials_is_understood() {
        let asked = whole(
            "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\
             Proxy-Authorization: basic dXNlcjpwYTpzcw==\r\n\r\n",
        );
        let login = Login { user: b"user".to_vec(), password: b"pa:ss".to_vec() };
        let target = Target::read("example.org:443", None).expect("a target");
        assert_eq!(asked, Request { target, login: Some(login), wish: Wish::Tunnel });
    }

    #[test]
    fn what_goes_on_to_the_server_names_no_proxy_and_no_password() {
        let asked = whole(
            "POST http://user:secret@Example.org:8080/a?b#c HTTP/1.1\r\nHost: elsewhere\r\n\
             Proxy-Authorization: Basic dXNlcjpwYXNz\r\nProxy-Connection: keep-alive\r\n\
             Connection: keep-alive, X-Hop, Content-Length\r\nX-Hop: 1\r\nX-End: 2\r\n\
             Content-Length: 5\r\nUpgrade: h2c\r\nTE: trailers\r\n\r\n",
        );
        assert_eq!(asked.target.to_string(), "example.org:8080");
        let Wish::Fetch { head, body } = asked.wish else { panic!("no fetch") };
        assert_eq!(body, 5);
        assert_eq!(
            String::from_utf8(head).expect("text"),
            "POST /a?b HTTP/1.1\r\nHost: Example.org:8080\r\nX-End: 2\r\nContent-Length: 5\r\n\
             Connection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_url_without_a_path_means_the_root() {
        for (url, line) in [
            ("http://a.org", "GET / HTTP/1.1"),
            ("HTTP://a.org?q", "GET /?q HTTP/1.1"),
            ("http://[2001:db8::1]/", "GET / HTTP/1.0"),
        ] {
            let version = &line[line.len() - "HTTP/1.1".len()..];
            let asked = whole(&format!("GET {url} {version}\r\n\r\n"));
            let Wish::Fetch { head, .. } = asked.wish else { panic!("no fetch") };
            assert!(head.starts_with(line.as_bytes()), "{url}");
        }
    }

    #[test]
    fn what_a_proxy_cannot_serve_is_named() {
        let post = |headers| format!("POST http://a.org/ HTTP/1.1\r\n{headers}\r\n\r\n");
        for (text, bad) in [
            ("GET / HTTP/1.1\r\nHost: a.org\r\n\r\n".to_owned(), BadRequest::Form),
            ("GET https://a.org/ HTTP/1.1\r\n\r\n".to_owned(), BadRequest::Form),
            ("CONNECT a.org HTTP/1.1\r\n\r\n".to_owned(), BadRequest::Form),
            ("CONNECT http://a.org:1 HTTP/1.1\r\n\r\n".to_owned(), BadRequest::Form),
            ("SSH-2.0-probe\r\n\r\n".to_owned(), BadRequest::Malformed),
            ("GET http://a.org/ HTTP/1.1\n\nX\r\n\r\n".to_owned(), BadRequest::Malformed),
            (post("Transfer-Encoding: chunked"), BadRequest::LengthRequired),
            (post("Content-Length: 1\r\nContent-Length: 2"), BadRequest::Malformed),
            (post("Content-Length: +1"), BadRequest::Malformed),
            (post(&"X: y\r\n".repeat(MAX_HEADERS + 1)), BadRequest::Long),
            ("x".repeat(MAX_HEAD), BadRequest::Long),
        ] {
            assert_eq!(request(text.as_bytes()), Err(bad), "{text:.80}");
        }
    }

    #[test]
    fn an_answer_has_the_length_that_it_names() {
        let text = String::from_utf8(Status::Forbidden.because("no")).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 403 ") && head.contains("Content-Length: 3\r\n"));
        assert_eq!(body, "no\n");
        let login = String::from_utf8(Status::LoginRequired.because("log in")).expect("text");
        assert!(login.contains("\r\nProxy-Authenticate: Basic "));
    }

    proptest! {
        #[test]
        fn any_segmentation_gives_the_same(
            parts in prop::collection::vec(prop::sample::select(vec![
                "GET ", "CONNECT ", "http://", "a.org", ":80", "/", " HTTP/1.1", "\r\n", "\r\n\r\n",
                "Content-Length: ", "1", "Connection: ", "x", "\n", "\0", "\u{e9}",
            ]), 0..20),
        ) {
            let bytes = parts.concat().into_bytes();
            let all = request(&bytes);
            for cut in 0..bytes.len() {
                let part = request(&bytes[..cut]);
                prop_assert!(part == Ok(Read::More) || part == all);
            }
        }
    }
}
