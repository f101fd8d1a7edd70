//! The page on which a person sets up their apps, and the neutral one before it. Neither has a
//! script; both come with everything they need in one answer.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest;
use data_encoding::BASE64;

use super::language::Language;
use super::words::Words;
use super::{Page, qr};

const STYLE: &str = include_str!("../../templates/style.css");

/// What one person is given.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Person {
    /// Telegram's links, the one to try first in front.
    pub telegram: Vec<Telegram>,
    /// For browsers.
    pub browser: Option<Browser>,
    /// The address of DNS over HTTPS.
    pub dns: Option<String>,
    /// The address of the profile for Apple's devices.
    pub apple: Option<String>,
    /// The access key for Outline: `ss://` or `ssconf://`.
    pub outline: Option<String>,
    /// For WireGuard.
    pub wireguard: Option<WireGuard>,
}

/// One of Telegram's links.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Telegram {
    /// As the app opens it: `tg://proxy?..`, `tg://webproxy?..`.
    pub tg: String,
    /// As it is clickable everywhere: `https://t.me/proxy?..`.
    pub https: String,
}

/// What a browser needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Browser {
    /// The address of the PAC file.
    pub pac: String,
    /// The address at which it is asked for the password.
    pub log_in: String,
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// What WireGuard needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WireGuard {
    /// The address of the configuration file.
    pub file: String,
    /// What is in it.
    pub config: String,
}

impl Person {
    /// The picture of this name: `telegram-1` and on, `outline`, `wireguard`.
    pub(super) fn picture(&self, name: &str) -> Option<Page> {
        let text = match name {
            "outline" => self.outline.as_ref()?,
            "wireguard" => &self.wireguard.as_ref()?.config,
            _ => {
                let number: usize = name.strip_prefix("telegram-")?.parse().ok()?;
                &self.telegram.get(number.checked_sub(1)?)?.tg
            }
        };
        qr::svg(text)
    }
}

/// How the page says something in the language that was chosen, and where it is.
struct Frame<'a> {
    words: &'static Words,
    path: &'a str,
    style: &'static str,
}

impl Frame<'_> {
    fn others(&self) -> impl Iterator<Item = &'static Words> {
        let own = self.words.code;
        Language::ALL.into_iter().map(Language::words).filter(move |words| words.code != own)
    }
}

#[derive(Template)]
#[template(path = "door.html")]
struct Door<'a> {
    frame: Frame<'a>,
    spent: bool,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup<'a> {
    frame: Frame<'a>,
    person: &'a Person,
    ticket: &'a str,
}

#[derive(Template)]
#[template(path = "ready.html")]
struct Ready<'a> {
    frame: Frame<'a>,
}

/// The neutral page: whoever fetches it, a messenger that makes a preview say, learns nothing.
pub(super) fn door(language: Language, path: &str) -> Page {
    page(200, &Door { frame: frame(language, path), spent: false })
}

/// Instead of it when the link has ended.
pub(super) fn spent(language: Language, path: &str) -> Page {
    page(410, &Door { frame: frame(language, path), spent: true })
}

/// The page itself.
pub(super) fn setup(language: Language, path: &str, person: &Person, ticket: &str) -> Page {
    page(200, &Setup { frame: frame(language, path), person, ticket })
}

/// What a browser shows once it has told the proxy its password.
pub(super) fn ready(language: Language) -> Page {
    page(200, &Ready { frame: frame(language, "/") })
}

fn frame(language: Language, path: &str) -> Frame<'_> {
    Frame { words: language.words(), path, style: STYLE }
}

fn page(status: u16, page: &impl Template) -> Page {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = BASE64.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()).as_ref());
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        )
    });
    // Writing to memory cannot fail.
    let text = page.render().unwrap_or_default();
    Page::new(status, "text/html; charset=utf-8", &POLICY, text)
}
