//! What of a message is between two neighbours and not between the ends (RFC 9110, 7.6.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Version, request};

/// Beside those that `Connection` names.
const BETWEEN_NEIGHBOURS: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes away what was meant for us alone.
pub(crate) fn forget(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|names| names.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != CONTENT_LENGTH && *name != HOST)
        .collect();
    for name in named.iter().chain(&BETWEEN_NEIGHBOURS) {
        headers.remove(name);
    }
}

/// Takes away what HTTP/2 does not allow (RFC 9113, section 8.2.2).
pub(crate) fn unknown_to_http2(headers: &mut HeaderMap) {
    let [connection, keep_alive, proxy_connection, ..] = &BETWEEN_NEIGHBOURS;
    for name in [connection, keep_alive, proxy_connection, &TE, &TRANSFER_ENCODING, &UPGRADE] {
        headers.remove(name);
    }
}

/// The same for a request that goes on in HTTP/1.1, whatever it came in.
pub(crate) fn leave(parts: &mut request::Parts) {
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    forget(&mut parts.headers);
    // HTTP/2 may have split what is one field in HTTP/1.1 (RFC 9113, 8.2.3).
    let cookies: Vec<_> = parts.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1 {
        // Whole fields, and what is between them is text: this cannot fail.
        if let Ok(cookies) = HeaderValue::from_bytes(&cookies.join(&b"; "[..])) {
            parts.headers.insert(COOKIE, cookies);
        }
    }
}
