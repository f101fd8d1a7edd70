//! Who asks for what at the address of a person's page, and what they get.
//!
//! ```text
//! GET  PATH                    the neutral page, or that the link has ended
//! POST PATH                    the page itself; counts as opening it, unless a ticket is shown
//! GET  PATH/TICKET/NAME.svg    a QR code
//! ```

use super::language::Language;
use super::link::{Openings, SetupLink};
use super::{Page, Person, setup};

/// The longest body of a POST that is worth reading, in bytes.
pub const MAX_BODY: usize = 1024;

/// A request at the address of a person's page.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The method.
    pub method: &'a str,
    /// The page's own path, up to the token and with it, without a slash at the end.
    pub path: &'a str,
    /// What comes after it in the request's path.
    pub rest: &'a str,
    /// The request's query.
    pub query: Option<&'a str>,
    /// `Accept-Language`.
    pub accept_language: Option<&'a str>,
    /// The body of a POST, at most [`MAX_BODY`] bytes.
    pub body: &'a [u8],
    /// Unix time, in seconds.
    pub now: u64,
}

impl Visit<'_> {
    /// The answer; `None`: the website's own, for what is not there. `openings` has changed if the
    /// page was opened: keep it before the answer is sent.
    #[must_use]
    pub fn answer(
        &self,
        link: &SetupLink,
        person: &Person,
        openings: &mut Openings,
    ) -> Option<Page> {
        let Self { method, path, rest, now, .. } = *self;
        let language = Language::choose(self.query, self.accept_language);
        match (method, rest) {
            ("GET" | "HEAD", "") if openings.is_left(now) => Some(setup::door(language, path)),
            ("GET" | "HEAD", "") => Some(setup::spent(language, path)),
            ("POST", "") => {
                let shown = self.ticket().filter(|ticket| link.accepts(ticket, now));
                if shown.is_none() && !openings.open(now) {
                    return Some(setup::spent(language, path));
                }
                let ticket = shown.map_or_else(|| link.ticket(now), str::to_owned);
                Some(setup::setup(language, path, person, &ticket))
            }
            ("GET", rest) => {
                let (ticket, name) = rest.strip_prefix('/')?.split_once('/')?;
                let name = name.strip_suffix(".svg")?;
                link.accepts(ticket, now).then(|| person.picture(name))?
            }
            _ => None,
        }
    }

    fn ticket(&self) -> Option<&str> {
        let body = std::str::from_utf8(self.body.get(..MAX_BODY).unwrap_or(self.body)).ok()?;
        body.split('&').find_map(|pair| pair.strip_prefix("ticket="))
    }
}
