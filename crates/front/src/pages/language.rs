//! Which language somebody is spoken to in.

use super::words::{self, Words};

/// A language that every page is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// Kazakh, the first of them.
    Kazakh,
    /// Russian.
    Russian,
    /// English.
    English,
}

impl Language {
    /// In the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Kazakh, Self::Russian, Self::English];

    /// As in `lang="kk"`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.words().code
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::Kazakh => &words::KAZAKH,
            Self::Russian => &words::RUSSIAN,
            Self::English => &words::ENGLISH,
        }
    }

    /// The one with this code, whatever comes after it: `kk`, `kk-KZ`.
    #[must_use]
    pub fn read(tag: &str) -> Option<Self> {
        let code = tag.split('-').next()?.trim();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(code))
    }

    /// The one that was chosen by `l=` in the query, else the one that the browser likes best, else
    /// Kazakh. `accept` is the browser's `Accept-Language` (RFC 9110, section 12.5.4).
    #[must_use]
    pub fn choose(query: Option<&str>, accept: Option<&str>) -> Self {
        let chosen = query
            .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("l=")))
            .and_then(Self::read);
        let liked = || {
            let mut best = None;
            for part in accept?.split(',').take(32) {
                let (tag, weight) = part.split_once(';').unwrap_or((part, "q=1"));
                let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
                let better = best.is_none_or(|(_, other)| weight > other);
                if let Some(language) = Self::read(tag)
                    && better
                    && weight > 0.0
                {
                    best = Some((language, weight));
                }
            }
            best.map(|(language, _)| language)
        };
        chosen.or_else(liked).unwrap_or(Self::Kazakh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_counts_more_than_the_browser_and_the_browser_more_than_nothing() {
        use Language::{English, Kazakh, Russian};
        for (query, accept, language) in [
            (None, None, Kazakh),
            (None, Some("de-DE,de;q=0.9"), Kazakh),
            (None, Some("de,ru;q=0.8,en;q=0.7"), Russian),
            (None, Some("en-GB,en;q=0.9,kk;q=0.8"), English),
            (None, Some("en;q=0.1, kk-KZ;q=0.9"), Kazakh),
            (None, Some("kk;q=0,en"), English),
            (Some("l=ru"), Some("en"), Russian),
            (Some("a=1&l=en"), Some("ru"), English),
            (Some("l=xx"), Some("ru"), Russian),
            (None, Some(";;,q=,\u{0}"), Kazakh),
        ] {
            assert_eq!(Language::choose(query, accept), language, "{query:?} {accept:?}");
        }
    }
}
