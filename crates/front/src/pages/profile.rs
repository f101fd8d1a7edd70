//! A profile that takes all traffic of an iPhone, iPad or Mac through the relay, with no app.
//!
//! Apple's payload `com.apple.relay.managed` (iOS 17, macOS 14 and later), not signed. What it asks of
//! the relay is an HTTPS proxy: `CONNECT` over HTTP/2, with the account in the header that the profile
//! adds to each request, and 200 for an answer. Datagrams (RFC 9298) would need a template in the URL;
//! without them, apps take TCP. What is for the relay's own name goes there directly: a relay leads
//! nobody to itself, and the person's page and Telegram's links lead there.
//!
//! Apple's
//! reference says that it may be installed by hand, its deployment guide names only managed devices,
//! and in its systems 27 it is deprecated, though present: **nobody here has seen it work on a real
//! phone yet.** The page says so too.

use askama::Template;
use aws_lc_rs::digest;
use data_encoding::BASE64;
use wire::target::Host;

use super::Page;

/// What a profile is made for.
#[derive(Clone, Copy, Debug)]
pub struct Profile<'a> {
    /// How people find it in their settings.
    pub name: &'a str,
    /// The relay's URL, `https://host:port/`, for HTTP/2.
    pub relay: &'a str,
    /// The user name of the person's account.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
}

#[derive(Template)]
#[template(path = "relay.mobileconfig", escape = "html")]
struct File<'a> {
    profile: &'a Profile<'a>,
    credentials: String,
    outer: String,
    inner: String,
    relay: String,
    /// The relay's name, if it has one.
    own: Option<String>,
}

/// The file. A newer one for the same account takes the place of the older.
#[must_use]
pub fn profile(profile: &Profile<'_>) -> Page {
    let id = |what| uuid(&[what, profile.relay, profile.user]);
    let credentials = BASE64.encode(format!("{}:{}", profile.user, profile.password).as_bytes());
    let (outer, inner, relay) = (id("profile"), id("payload"), id("relay"));
    let own = name(profile.relay);
    let file = File { profile, credentials, outer, inner, relay, own }.render().unwrap_or_default();
    let mut page = Page::new(200, "application/x-apple-aspen-config", "default-src 'none'", file);
    let name = "attachment; filename=\"relay.mobileconfig\"".to_owned();
    page.headers.push(("content-disposition", name));
    page
}

/// The name in a URL, where there is a name and no address.
fn name(url: &str) -> Option<String> {
    let url: http::Uri = url.parse().ok()?;
    match Host::read(url.host()?)? {
        Host::Name(name) => Some(name),
        Host::Address(_) => None,
    }
}

/// The same for the same parts (RFC 9562, version 8).
fn uuid(parts: &[&str]) -> String {
    let hash = digest::digest(&digest::SHA256, parts.join("\n").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXUPPER.encode(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
