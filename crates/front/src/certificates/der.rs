//! The little of a certificate that we need to know: when it is good, and for what (RFC 5280).

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Name;

/// When a certificate is good, and for what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    pub from: SystemTime,
    pub until: SystemTime,
    pub names: Vec<Name>,
}

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// subjectAltName, 2.5.29.17.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Reads a certificate; `None` when it is none.
pub(crate) fn read(der: &[u8]) -> Option<Facts> {
    let mut certificate = Reader(der).inside(SEQUENCE)?;
    let mut tbs = certificate.inside(SEQUENCE)?;
    if tbs.peek() == Some(0xa0) {
        tbs.next()?; // version
    }
    for _ in 0..3 {
        tbs.next()?; // serial number, signature algorithm, issuer
    }
    let mut validity = tbs.inside(SEQUENCE)?;
    let (from, until) = (validity.time()?, validity.time()?);
    let mut names = Vec::new();
    while let Some((tag, value)) = tbs.next() {
        if tag == 0xa3 {
            let mut extensions = Reader(value).inside(SEQUENCE)?;
            while let Some(mut extension) = extensions.inside(SEQUENCE) {
                let is_names = extension.expect(OID)? == ALTERNATIVE_NAMES;
                if extension.peek() == Some(BOOLEAN) {
                    extension.next()?;
                }
                if is_names {
                    names = alternative_names(extension.expect(OCTETS)?)?;
                }
            }
        }
    }
    Some(Facts { from, until, names })
}

fn alternative_names(der: &[u8]) -> Option<Vec<Name>> {
    let mut list = Reader(der).inside(SEQUENCE)?;
    let mut names = Vec::new();
    while let Some((tag, value)) = list.next() {
        let name = match (tag, value.len()) {
            (0x82, _) => std::str::from_utf8(value).ok().and_then(|name| name.parse().ok()),
            (0x87, 4) => <[u8; 4]>::try_from(value).ok().map(|ip| Name::Address(IpAddr::from(ip))),
            (0x87, 16) => {
                <[u8; 16]>::try_from(value).ok().map(|ip| Name::Address(IpAddr::from(ip)))
            }
            _ => None,
        };
        names.extend(name);
    }
    Some(names)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, length], rest) = self.0.split_first_chunk()?;
        let (length, rest) = if length < 0x80 {
            (usize::from(length), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            if digits.len() > 3 {
                return None;
            }
            (digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)), rest)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, expected: u8) -> Option<&'a [u8]> {
        self.next().and_then(|(tag, value)| (tag == expected).then_some(value))
    }

    fn inside(&mut self, expected: u8) -> Option<Reader<'a>> {
        self.expect(expected).map(Reader)
    }

    fn time(&mut self) -> Option<SystemTime> {
        let (tag, text) = self.next()?;
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = match tag {
            UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let year: u64 = year.parse().ok()?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        let two = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
        let (month, day) = (two(0)?, two(2)?);
        let (hour, minute, second) = (two(4)?, two(6)?, two(8)?);
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        // Days since 1970-01-01, in years that begin with March.
        let shifted = if month <= 2 { year - 1 } else { year };
        let march = (month + 9) % 12;
        let days = 365 * shifted + shifted / 4 - shifted / 100
            + shifted / 400
            + (153 * march + 2) / 5
            + day
            - 719_469;
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_when_it_is_good_and_for_what() {
        let names = ["example.org", "*.example.org", "192.0.2.1", "2001:db8::1"];
        let mut params =
            rcgen::CertificateParams::new(names.map(String::from).to_vec()).expect("names");
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2051, 3, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let facts = read(certificate.der()).expect("read");
        assert_eq!(httpdate::fmt_http_date(facts.from), "Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(httpdate::fmt_http_date(facts.until), "Wed, 01 Mar 2051 00:00:00 GMT");
        assert_eq!(facts.names, names.map(|name| name.parse::<Name>().expect(name)));
        for length in 0..certificate.der().len() {
            assert_eq!(read(&certificate.der()[..length]), None, "cut off at {length}");
        }
    }
}
