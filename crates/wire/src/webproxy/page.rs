//! The bridge page: ours, one file, whose script is in `bridge.html`.

use data_encoding::BASE64URL_NOPAD;

use super::address::WebHost;
use super::request::Answer;
use super::token::Token;

const PAGE: &str = include_str!("bridge.html");

/// The answer to [`Ask::Page`](super::request::Ask::Page) for a capability that is somebody's. The
/// website's own headers about framing must not be added: the app's page frames this one.
#[must_use]
pub fn bridge(host: &WebHost, token: &Token) -> Answer {
    let mut nonce = [0; 16];
    crate::fill_random(&mut nonce);
    let nonce = BASE64URL_NOPAD.encode(&nonce);
    let page = PAGE.replace("{{nonce}}", &nonce).replace("{{token}}", &token.written());
    // Older WebKit does not count wss: as 'self'.
    let policy = format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; connect-src 'self' wss://{host}; \
         script-src 'nonce-{nonce}'; frame-ancestors http://127.0.0.1:*; \
         sandbox allow-same-origin allow-scripts"
    );
    let headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("content-security-policy", policy),
        ("referrer-policy", "no-referrer".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("x-dns-prefetch-control", "off".to_owned()),
    ];
    Answer::new(200, headers, page.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_its_token_and_a_nonce_of_its_own() {
        let host = "proxy.example.com".parse().expect("a host");
        let token = Token::generate();
        let (one, two) = (bridge(&host, &token), bridge(&host, &token));
        let text = String::from_utf8(one.body.clone()).expect("text");
        assert!(text.contains(&format!("const bootstrap = \"{}\";", token.written())));
        assert!(!text.contains("{{"), "every gap is filled");
        assert_ne!(one.body, two.body, "another nonce");
        let policy = &one.headers.iter().find(|(name, _)| *name == "content-security-policy");
        let (_, policy) = policy.expect("a policy");
        let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
        assert!(text.contains(&format!("<script nonce=\"{}\">", nonce.expect("a nonce"))));
    }
}
