//! What a person is shown: the page on which they set up their apps, and the files that it leads to.
//!
//! Everything here is pure: who somebody is, what they may see and what they ask for goes in, a
//! [`Page`] comes out.
//!
//! | module | what is in it |
//! |---|---|
//! | [`visit`] | who asks for what, and so which page they get |
//! | [`link`] | the address of a person's page: its token, its tickets, and when it ends |
//! | [`setup`] | the page itself, in three languages, and the neutral one before it |
//! | [`language`], `words` | which language, and what is said in it |
//! | [`qr`] | QR codes, as SVG |
//! | [`pac`] | the proxy's address for browsers |
//! | [`profile`] | the profile for Apple's devices |

pub mod language;
pub mod link;
pub mod pac;
pub mod profile;
pub mod qr;
pub mod setup;
pub mod visit;
mod words;

pub use language::Language;
pub use link::{Openings, SetupLink};
pub use setup::Person;
pub use visit::Visit;

/// What a browser shows once it has told the proxy its password.
#[must_use]
pub fn ready(language: Language) -> Page {
    setup::ready(language)
}

/// An answer: nothing in it comes from elsewhere, and nothing of it may be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The headers, their names in small letters.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Page {
    fn new(status: u16, kind: &str, policy: &str, body: impl Into<Vec<u8>>) -> Self {
        let header = |name, value: &str| (name, value.to_owned());
        let headers = vec![
            header("content-type", kind),
            header("cache-control", "no-store"),
            header("referrer-policy", "no-referrer"),
            header("x-content-type-options", "nosniff"),
            header("x-robots-tag", "noindex, nofollow"),
            header("content-security-policy", policy),
        ];
        Self { status, headers, body: body.into() }
    }
}
