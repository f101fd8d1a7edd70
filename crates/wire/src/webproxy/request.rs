//! The requests of bridge pages, and of apps that speak to a relay without a browser.
//!
//! [`read`] knows ours by their exact form; whatever it does not know, and whoever shows a
//! capability or a token that is nobody's, is for the website, which then answers as it always
//! does. The `Origin` header is not asked for: a token is enough, and it is in no cookie.
//!
//! Two dialects are spoken. The page's is that of the reference: tokens and numbers in headers. The
//! other is that of apps which open a session with the capability itself and put everything into
//! the URL (kurigram 2.2 does).

use super::capability::Capability;
use super::session::WELCOME;
use super::token::Token;

/// Under which name a bridge page's WebSocket shows the session's token: a subprotocol, which the
/// answer must name again.
pub const SUBPROTOCOL: &str = "tproxy-v1.";
/// The longest body that opens a session, in bytes.
pub const MAX_BEGIN: usize = 256;

/// Who asks, and so how to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Our bridge page, and whatever speaks like the reference's.
    Page,
    /// An app that needs no page.
    App,
}

/// A request for the WEB proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// The bridge page. Whose capability this is remains to be seen.
    Page(Capability),
    /// A session, for the token of a page; the body must be [`HELLO`](super::session::HELLO).
    Begin(Token),
    /// A session, for the capability that [`capability_in`] finds in the body.
    Enter,
    /// Frames from the app, in the body.
    Up {
        /// The session's token.
        session: Token,
        /// The request's number: from 1 on, or from 0 in the app's dialect.
        sequence: u64,
        /// How to answer.
        dialect: Dialect,
    },
    /// Frames for the app.
    Down {
        /// The session's token.
        session: Token,
        /// The number of the last answer that has arrived.
        arrived: u64,
        /// How to answer.
        dialect: Dialect,
    },
    /// The end of a session.
    End(Token),
    /// A WebSocket: if its handshake is good ([`websocket::accept`](crate::websocket::accept)),
    /// frames either way, in binary messages.
    Socket(Token),
}

/// Reads a request: its method, its path with the query, and its headers, asked for by small
/// letters. `base` is [`WebAddress::base`](super::WebAddress::base). `None`: for the website.
#[must_use]
pub fn read<'h>(
    method: &str,
    target: &str,
    base: &str,
    header: impl Fn(&str) -> Option<&'h str>,
) -> Option<Ask> {
    let rest = target.strip_prefix(base)?;
    if let Some(query) = rest.strip_prefix('?') {
        let capability = query.strip_prefix("bridge=").and_then(Capability::read);
        return capability.filter(|_| method == "GET").map(Ask::Page);
    }
    let (path, query) =
        rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let of_app = path.strip_prefix("api/v1/session/").map(|path| read_app(method, path, query));
    if let Some(ask) = of_app {
        return ask;
    }
    let bearer = || Token::read(header("authorization")?.strip_prefix("Bearer ")?);
    let number = |name| header(name).and_then(read_number);
    match (method, path, query) {
        ("POST", "api/v1/session", None) => match bearer() {
            Some(token) => Some(Ask::Begin(token)),
            None => header("content-type")
                .filter(|kind| *kind == "application/json")
                .map(|_| Ask::Enter),
        },
        ("DELETE", "api/v1/session", None) => Some(Ask::End(bearer()?)),
        ("POST", "api/v1/up", None) => {
            let (session, sequence) = (bearer()?, number("x-up-seq")?);
            Some(Ask::Up { session, sequence, dialect: Dialect::Page })
        }
        ("POST", "api/v1/down", None) => {
            let (session, arrived) = (bearer()?, number("x-down-cursor")?);
            Some(Ask::Down { session, arrived, dialect: Dialect::Page })
        }
        ("GET", "api/v1/ws", None) => {
            let token = header("sec-websocket-protocol")?.strip_prefix(SUBPROTOCOL)?;
            Token::read(token).map(Ask::Socket)
        }
        _ => None,
    }
}

fn read_app(method: &str, path: &str, query: Option<&str>) -> Option<Ask> {
    let (token, path) = path.split_once('/').unwrap_or((path, ""));
    let (session, dialect) = (Token::read(token)?, Dialect::App);
    let number = |name: &str| {
        let mut pairs = query?.split('&');
        pairs.find_map(|pair| read_number(pair.strip_prefix(name)?.strip_prefix('=')?))
    };
    match (method, path) {
        ("POST", "up") => Some(Ask::Up { session, sequence: number("seq")?, dialect }),
        ("GET", "down") => Some(Ask::Down { session, arrived: number("cursor")?, dialect }),
        ("DELETE", "") => Some(Ask::End(session)),
        _ => None,
    }
}

/// A secret that stands in an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// A capability.
    Capability(Capability),
    /// A session's token.
    Session(Token),
}

/// What a path with its query shows, whatever is asked: to be kept from the website where it is valid.
#[must_use]
pub fn shown(target: &str, base: &str) -> Option<Shown> {
    let rest = target.strip_prefix(base)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if let Some(path) = path.strip_prefix("api/v1/session/") {
        return Token::read(path.split('/').next()?).map(Shown::Session);
    }
    let mut pairs = query.split('&');
    let capability = pairs.find_map(|pair| Capability::read(pair.strip_prefix("bridge=")?));
    capability.map(Shown::Capability)
}

/// Digits alone: `parse` would take a sign too.
fn read_number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The capability in the body of [`Ask::Enter`]: `{"bridge": ".."}`.
#[must_use]
pub fn capability_in(body: &[u8]) -> Option<Capability> {
    let text: String = std::str::from_utf8(body).ok()?.split_ascii_whitespace().collect();
    Capability::read(text.strip_prefix(r#"{"bridge":""#)?.strip_suffix(r#""}"#)?)
}

/// What to answer. Beside these headers go only those that every answer of the website has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, their names in small letters.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

const FRAMES: &str = "application/octet-stream";

impl Answer {
    pub(super) fn new(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Self {
        let mut all = vec![("cache-control", "no-store".to_owned())];
        all.extend(headers);
        Self { status, headers: all, body }
    }

    /// To [`Ask::Begin`], and to the same again: the session's token and the welcome.
    #[must_use]
    pub fn begun(session: &Token) -> Self {
        let headers = vec![
            ("content-type", FRAMES.to_owned()),
            ("x-session-token", session.written()),
            ("x-down-cursor", "0".to_owned()),
            ("x-carrier-mode", "websocket".to_owned()),
        ];
        Self::new(200, headers, WELCOME.to_vec())
    }

    /// To [`Ask::Enter`]: the session's token. The greeting comes with the first request up.
    #[must_use]
    pub fn entered(session: &Token) -> Self {
        let body = format!(r#"{{"id":"{}","cursor":0}}"#, session.written());
        Self::new(200, vec![("content-type", "application/json".to_owned())], body.into_bytes())
    }

    /// To [`Ask::Up`]: done, now or before.
    #[must_use]
    pub fn taken(dialect: Dialect, sequence: u64) -> Self {
        match dialect {
            Dialect::Page => Self::new(204, vec![("x-up-ack", sequence.to_string())], vec![]),
            Dialect::App => Self::new(200, vec![], vec![]),
        }
    }

    /// To [`Ask::Up`] while [`Session::may_receive`](super::Session::may_receive) says no: come
    /// again with the same.
    #[must_use]
    pub fn later() -> Self {
        Self::new(503, vec![("retry-after", "1".to_owned())], vec![])
    }

    /// To [`Ask::Down`]: frames, and the number of this answer.
    #[must_use]
    pub fn batch(dialect: Dialect, number: u64, frames: Vec<u8>) -> Self {
        let headers =
            vec![("content-type", FRAMES.to_owned()), (cursor(dialect), number.to_string())];
        Self::new(200, headers, frames)
    }

    /// To [`Ask::Down`] after [`POLL`](super::carrier::POLL): nothing yet.
    #[must_use]
    pub fn nothing(dialect: Dialect, arrived: u64) -> Self {
        Self::new(204, vec![(cursor(dialect), arrived.to_string())], vec![])
    }

    /// To [`Ask::End`].
    #[must_use]
    pub fn ended() -> Self {
        Self::new(204, vec![], vec![])
    }

    /// To a session that has just broken a rule. (One that has ended before is nobody's: the
    /// website answers.)
    #[must_use]
    pub fn broken() -> Self {
        Self::new(409, vec![], vec![])
    }
}

fn cursor(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Page => "x-down-cursor",
        Dialect::App => "x-cursor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPABILITY: &str = "MHLEY5PmW1GWqJkSrlmJpvJUiLhBH_QKy6yKg8a0JPk";

    fn ask(method: &str, target: &str, headers: &[(&str, &str)]) -> Option<Ask> {
        read(method, target, "/", |name| {
            headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
        })
    }

    #[test]
    fn the_bridge_page_is_given_for_one_exact_request() {
        let page = Capability::read(CAPABILITY).map(Ask::Page);
        assert!(page.is_some());
        assert_eq!(ask("GET", &format!("/?bridge={CAPABILITY}"), &[]), page);
        let below = format!("/a/b/?bridge={CAPABILITY}");
        assert_eq!(read("GET", &below, "/a/b/", |_| None), page);
        for (method, target) in [
            ("HEAD", format!("/?bridge={CAPABILITY}")),
            ("POST", format!("/?bridge={CAPABILITY}")),
            ("GET", format!("/?bridge={CAPABILITY}&a=1")),
            ("GET", format!("/?a=1&bridge={CAPABILITY}")),
            ("GET", format!("/?bridge={CAPABILITY}&bridge={CAPABILITY}")),
            ("GET", format!("/?bridge={}", &CAPABILITY[1..])),
            ("GET", format!("/?Bridge={CAPABILITY}")),
            ("GET", format!("/index.html?bridge={CAPABILITY}")),
            ("GET", format!("//?bridge={CAPABILITY}")),
            ("GET", below),
            ("GET", "/".to_owned()),
        ] {
            assert_eq!(ask(method, &target, &[]), None, "{method} {target}");
        }
    }

    #[test]
    fn requests_are_read_in_both_dialects() {
        let session = Token::generate();
        let written = session.written();
        let bearer = format!("Bearer {written}");
        let socket = format!("tproxy-v1.{written}");
        let (page, app) = (Dialect::Page, Dialect::App);
        for (method, target, header, expected) in [
            ("POST", "/api/v1/session".to_owned(), ("", ""), Ask::Begin(session)),
            ("DELETE", "/api/v1/session".to_owned(), ("", ""), Ask::End(session)),
            (
                "POST",
                "/api/v1/up".to_owned(),
                ("x-up-seq", "7"),
                Ask::Up { session, sequence: 7, dialect: page },
            ),
            (
                "POST",
                "/api/v1/down".to_owned(),
                ("x-down-cursor", "0"),
                Ask::Down { session, arrived: 0, dialect: page },
            ),
            (
                "GET",
                "/api/v1/ws".to_owned(),
                ("sec-websocket-protocol", &socket),
                Ask::Socket(session),
            ),
            (
                "POST",
                format!("/api/v1/session/{written}/up?seq=0"),
                ("", ""),
                Ask::Up { session, sequence: 0, dialect: app },
            ),
            (
                "GET",
                format!("/api/v1/session/{written}/down?cursor=3&wait=25000"),
                ("", ""),
                Ask::Down { session, arrived: 3, dialect: app },
            ),
            ("DELETE", format!("/api/v1/session/{written}"), ("", ""), Ask::End(session)),
        ] {
            assert_eq!(
                ask(method, &target, &[("authorization", &bearer), header]),
                Some(expected),
                "{target}"
            );
        }
        assert_eq!(
            ask("POST", "/api/v1/session", &[("content-type", "application/json")]),
            Some(Ask::Enter)
        );
        let body = format!("{{\"bridge\": \"{CAPABILITY}\"}}");
        assert_eq!(capability_in(body.as_bytes()), Capability::read(CAPABILITY));
    }

    #[test]
    fn secrets_are_seen_in_addresses_that_lead_nowhere() {
        let capability = Capability::read(CAPABILITY).map(Shown::Capability);
        for target in
            [format!("/?bridge={CAPABILITY}"), format!("/index.html?a&bridge={CAPABILITY}&b")]
        {
            assert_eq!(shown(&target, "/"), capability, "{target}");
        }
        let token = Token::generate();
        for end in ["", "/", "/up", "/down?cursor=x"] {
            let target = format!("/api/v1/session/{}{end}", token.written());
            assert_eq!(shown(&target, "/"), Some(Shown::Session(token)), "{target}");
        }
        for target in ["/", "/?bridge=x", "/api/v1/session/x", "/a/b"] {
            assert_eq!(shown(target, "/"), None, "{target}");
        }
    }

    #[test]
    fn everything_else_is_for_the_website() {
        let bearer = format!("Bearer {}", Token::generate().written());
        for (method, target, header) in [
            ("POST", "/api/v1/session", ("authorization", "Bearer x")),
            ("POST", "/api/v1/session?a", ("authorization", &*bearer)),
            ("GET", "/api/v1/session", ("authorization", &bearer)),
            ("POST", "/api/v1/up", ("authorization", &bearer)),
            ("POST", "/api/v1/up", ("x-up-seq", "1")),
            ("POST", "/api/v1/nothing", ("authorization", &bearer)),
            ("GET", "/api/v1/ws", ("sec-websocket-protocol", "tproxy-v1.x")),
            ("GET", "/api/v1/session/x/down?cursor=0", ("authorization", &bearer)),
            ("GET", "/", ("authorization", &bearer)),
        ] {
            assert_eq!(ask(method, target, &[header]), None, "{method} {target}");
        }
        assert_eq!(read_number("+1"), None);
        assert_eq!(read_number(""), None);
    }
}
