//! What a visitor has already, and which part they want (RFC 9110).

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};

/// Which state of a file is sent.
pub(super) struct Version {
    /// Its entity tag, in quotes.
    pub tag: String,
    /// When it was changed last, in whole seconds.
    pub modified: SystemTime,
}

impl Version {
    /// The state of a file of this length that was changed at this time; `how` it is sent, if not as
    /// it is.
    pub(super) fn new(modified: SystemTime, length: u64, how: &str) -> Self {
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let tag = format!("\"{:x}-{length:x}{how}\"", since.as_nanos() / 1_000);
        Self { tag, modified: UNIX_EPOCH + Duration::from_secs(since.as_secs()) }
    }

    /// Whether the visitor has it already.
    pub(super) fn is_known(&self, headers: &HeaderMap) -> bool {
        if let Some(tags) = text(headers, IF_NONE_MATCH) {
            let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            return tags.split(',').any(|tag| tag.trim() == "*" || weak(tag) == self.tag);
        }
        time(headers, IF_MODIFIED_SINCE).is_some_and(|since| self.modified <= since)
    }

    /// Whether a part of it may be sent, since the visitor has other parts of the same.
    fn is_the_same(&self, headers: &HeaderMap) -> bool {
        match text(headers, IF_RANGE) {
            None => true,
            Some(tag) if tag.starts_with('"') => tag == self.tag,
            Some(_) => time(headers, IF_RANGE) == Some(self.modified),
        }
    }
}

/// What of a file is wanted.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Part {
    All,
    Some(Range<u64>),
    /// What there is not.
    None,
}

/// What of a file of this length is wanted. Several parts at once are answered with all of it.
pub(super) fn part(headers: &HeaderMap, version: &Version, length: u64) -> Part {
    let range = text(headers, RANGE).and_then(|range| range.strip_prefix("bytes="));
    let Some(range) = range.filter(|_| version.is_the_same(headers)) else { return Part::All };
    let Some((first, last)) = range.split_once('-') else { return Part::All };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(last)) if first.is_empty() => length.saturating_sub(last)..length,
        _ => return Part::All,
    };
    if range.start < range.end { Part::Some(range) } else { Part::None }
}

/// Whether the visitor takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = text(headers, http::header::ACCEPT_ENCODING).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let refused = quality.trim().strip_prefix("q=").is_some_and(|quality| {
            quality.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
        });
        matches!(name.trim(), "gzip" | "*") && !refused
    })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn time(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let one =
            |(name, value): &(HeaderName, &str)| (name.clone(), value.parse().expect("value"));
        pairs.iter().map(one).collect()
    }

    #[test]
    fn a_part_is_what_was_asked_for() {
        let version = Version::new(UNIX_EPOCH + Duration::from_secs(1_000_000), 10, "");
        for (range, expected) in [
            ("bytes=0-3", Part::Some(0..4)),
            ("bytes=5-", Part::Some(5..10)),
            ("bytes=-3", Part::Some(7..10)),
            ("bytes=-30", Part::Some(0..10)),
            ("bytes=8-99999999999999999999999", Part::Some(8..10)),
            ("bytes=10-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=0-1,3-4", Part::All),
            ("bytes=4-2", Part::All),
            ("bytes=x", Part::All),
            ("lines=0-3", Part::All),
        ] {
            assert_eq!(part(&headers(&[(RANGE, range)]), &version, 10), expected, "{range}");
        }
        let old = headers(&[(RANGE, "bytes=0-3"), (IF_RANGE, "\"old\"")]);
        assert_eq!(part(&old, &version, 10), Part::All);
        let same = headers(&[(RANGE, "bytes=0-3"), (IF_RANGE, &version.tag)]);
        assert_eq!(part(&same, &version, 10), Part::Some(0..4));
    }

    proptest! {
        #[test]
        fn no_part_is_outside_of_the_file(range in "bytes=[0-9]{0,21}-?[0-9]{0,21}(,|-)?", length: u64) {
            let version = Version::new(UNIX_EPOCH, length, "");
            if let Part::Some(part) = part(&headers(&[(RANGE, &range)]), &version, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        for (accepted, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("identity", false),
            ("", false),
        ] {
            let headers = headers(&[(http::header::ACCEPT_ENCODING, accepted)]);
            assert_eq!(takes_gzip(&headers), expected, "{accepted}");
        }
    }
}
