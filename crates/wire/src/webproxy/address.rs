//! Where a WEB proxy is: a host name, and perhaps a path below it.

use std::fmt;
use std::str::FromStr;

/// The longest host name, as in DNS.
const MAX_HOST: usize = 253;
/// The longest base path, as the apps take it.
const MAX_PATH: usize = 128;

/// A host name as every app spells it: small ASCII letters, digits and hyphens (a name in another
/// script as its `xn--` labels), at least two labels, no address in any spelling.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WebHost(String);

impl WebHost {
    /// As it goes into links and into the capability.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// This cannot be the host of a WEB proxy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a WEB proxy needs a host name with a dot, in ASCII letters, digits and hyphens (xn-- for \
     others), and no address"
)]
pub struct BadHost;

impl FromStr for WebHost {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let host = text.to_ascii_lowercase();
        let label_is_good = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let (_, last) = host.rsplit_once('.').ok_or(BadHost)?;
        // Browsers take a name whose last label is a number for an IPv4 address (WHATWG URL).
        let number = last.strip_prefix("0x").map_or_else(
            || last.bytes().all(|b| b.is_ascii_digit()),
            |digits| digits.bytes().all(|b| b.is_ascii_hexdigit()),
        );
        if host.len() > MAX_HOST || number || !host.split('.').all(label_is_good) {
            return Err(BadHost);
        }
        Ok(Self(host))
    }
}

/// What comes between the host and our paths: segments joined by `/`, none around them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BasePath(String);

impl BasePath {
    /// Without slashes around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// This cannot be the base path of a WEB proxy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a WEB proxy's path has at most 128 characters: segments of letters, digits, _ and -, each of \
     which begins with a letter or a digit"
)]
pub struct BadPath;

impl FromStr for BasePath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let segment_is_good = |segment: &str| {
            segment.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if text.len() > MAX_PATH || !text.split('/').all(segment_is_good) {
            return Err(BadPath);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A host and perhaps a path. The port is always 443.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WebAddress {
    /// The host, which is also the name in the TLS hello.
    pub host: WebHost,
    /// The path below which everything of the proxy is.
    pub path: Option<BasePath>,
}

impl WebAddress {
    /// The path under which the bridge page and the carriers are: `/`, or `/path/`.
    #[must_use]
    pub fn base(&self) -> String {
        match &self.path {
            None => "/".to_owned(),
            Some(path) => format!("/{}/", path.as_str()),
        }
    }
}

/// `host` or `host/path`, as people see it in their app.
impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            None => write!(f, "{}", self.host),
            Some(path) => write!(f, "{}/{}", self.host, path.as_str()),
        }
    }
}

/// This is not where a WEB proxy could be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadAddress {
    /// The host is none.
    #[error(transparent)]
    Host(#[from] BadHost),
    /// The path is none.
    #[error(transparent)]
    Path(#[from] BadPath),
}

impl FromStr for WebAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        Ok(match text.split_once('/') {
            None => Self { host: text.parse()?, path: None },
            Some((host, path)) => Self { host: host.parse()?, path: Some(path.parse()?) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_taken_in_one_spelling() {
        for (given, kept) in [
            ("proxy.example.com", "proxy.example.com"),
            ("Proxy.EXAMPLE.com", "proxy.example.com"),
            ("xn--80ak6aa92e.com", "xn--80ak6aa92e.com"),
            ("1.example", "1.example"),
        ] {
            assert_eq!(given.parse::<WebHost>().expect(given).as_str(), kept);
        }
    }

    #[test]
    fn addresses_single_labels_and_what_no_name_is_are_refused() {
        let long = format!("{}.example", "a.".repeat(130));
        for text in [
            "",
            ".",
            "localhost",
            "proxy.example.com.",
            "proxy..com",
            "192.0.2.1",
            "127.1",
            "0x7f.1",
            "a.0x7f",
            "[2001:db8::1]",
            "2001:db8::1",
            "proxy.example.com:443",
            "-bad.example.com",
            "bad-.example.com",
            "a_b.example.com",
            "жарық.example",
            "a b.example",
            &long,
        ] {
            assert_eq!(text.parse::<WebHost>(), Err(BadHost), "{text}");
        }
    }

    #[test]
    fn base_paths_are_segments_and_nothing_else() {
        for text in ["a", "0", "dobry-cola-super-app", "A/b_c/9-", &"a".repeat(128)] {
            assert!(text.parse::<BasePath>().is_ok(), "{text}");
        }
        for text in
            ["", "/", "/a", "a/", "a//b", "_a", "-a", "a/.b", "a.b", "a%2Fb", &"a".repeat(129)]
        {
            assert_eq!(text.parse::<BasePath>(), Err(BadPath), "{text}");
        }
    }
}
