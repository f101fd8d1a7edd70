//! Which addresses are not for the public: nobody is taken to them, and no bundle leads there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not for the public.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nobody's in particular: 0.0.0.0/8, `::`.
    Unspecified,
    /// This machine's own.
    Loopback,
    /// A home's or a company's (RFC 1918, RFC 4193).
    Private,
    /// A carrier's (RFC 6598).
    Shared,
    /// One cable's, clouds' metadata services among them (RFC 3927, RFC 4291).
    LinkLocal,
    /// Many receivers'.
    Multicast,
    /// A cloud's own, which looks public.
    Cloud,
    /// Set apart for documentation, benchmarks, translation or the future (RFC 6890).
    Reserved,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "a carrier's shared address",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Cloud => "a cloud provider's own address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// Why this address is not for the public; `None` for one that is.
#[must_use]
pub fn forbidden(address: IpAddr) -> Option<Kind> {
    match address {
        IpAddr::V4(four) => forbidden_v4(four),
        IpAddr::V6(six) => forbidden_v6(six),
    }
}

fn forbidden_v4(address: Ipv4Addr) -> Option<Kind> {
    Some(match address.octets() {
        [0, ..] => Kind::Unspecified,
        [127, ..] => Kind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private,
        [100, 64..=127, ..] => Kind::Shared,
        [169, 254, ..] => Kind::LinkLocal,
        // Azure's, for every virtual machine there.
        [168, 63, 129, 16] => Kind::Cloud,
        [224..=239, ..] => Kind::Multicast,
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Kind::Reserved,
        _ => return None,
    })
}

fn forbidden_v6(address: Ipv6Addr) -> Option<Kind> {
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Kind::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Kind::Loopback),
        // IPv4 in another dress is what it is inside: mapped (RFC 4291), the translator's (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            forbidden_v4(four(high, low))
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => forbidden_v4(four(high, low)),
        // ISATAP (RFC 5214): an interface's id made of an IPv4 address.
        [.., 0 | 0x200, 0x5efe, high, low] if forbidden_v4(four(high, low)).is_some() => {
            forbidden_v4(four(high, low))
        }
        [0xfc00..=0xfdff, ..] => Some(Kind::Private),
        [0xfe80..=0xfebf, ..] => Some(Kind::LinkLocal),
        [0xff00..=0xffff, ..] => Some(Kind::Multicast),
        // Documentation (RFC 3849, RFC 9637), and what RFC 2928 sets apart, Teredo among it.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x2001, 0..=0x1ff, ..] => {
            Some(Kind::Reserved)
        }
        // Global unicast so far.
        [0x2000..=0x3fff, ..] => None,
        // A network's own translators (RFC 8215) and IPv4-compatible addresses among it.
        _ => Some(Kind::Reserved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_publics_is_refused_in_every_dress() {
        for (text, kind) in [
            ("0.0.0.0", Kind::Unspecified),
            ("10.1.2.3", Kind::Private),
            ("100.64.0.1", Kind::Shared),
            ("100.100.100.200", Kind::Shared),
            ("127.0.0.1", Kind::Loopback),
            ("168.63.129.16", Kind::Cloud),
            ("169.254.169.254", Kind::LinkLocal),
            ("172.16.0.1", Kind::Private),
            ("172.31.255.255", Kind::Private),
            ("192.0.0.192", Kind::Reserved),
            ("192.168.1.1", Kind::Private),
            ("198.18.0.1", Kind::Reserved),
            ("203.0.113.1", Kind::Reserved),
            ("224.0.0.1", Kind::Multicast),
            ("240.0.0.1", Kind::Reserved),
            ("255.255.255.255", Kind::Reserved),
        ] {
            let four: Ipv4Addr = text.parse().expect("an address");
            assert_eq!(forbidden(four.into()), Some(kind), "{text}");
            let [a, b, c, d] = four.octets();
            let [high, low] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            for six in [
                format!("::ffff:{text}"),
                format!("::{text}"),
                format!("64:ff9b::{text}"),
                format!("64:ff9b:1::{text}"),
                format!("64:ff9b:1:{high:x}:0:{low:x}::"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2001:0:{high:x}:{low:x}::1"),
                format!("2001:0:808:808::{:x}:{:x}", !high, !low),
                format!("2a01:4f8::5efe:{high:x}:{low:x}"),
            ] {
                let six: Ipv6Addr = six.parse().expect("an address");
                assert!(forbidden(six.into()).is_some(), "{six}");
            }
        }
        for (text, kind) in [
            ("::", Kind::Unspecified),
            ("::1", Kind::Loopback),
            ("fd00:ec2::254", Kind::Private),
            ("fd20:ce::254", Kind::Private),
            ("fe80::1", Kind::LinkLocal),
            ("fec0::1", Kind::Reserved),
            ("ff02::1", Kind::Multicast),
            ("2001:db8::1", Kind::Reserved),
            ("3fff:fff::1", Kind::Reserved),
            ("2001:2::1", Kind::Reserved),
            ("100::1", Kind::Reserved),
            ("5f00::1", Kind::Reserved),
            ("4000::1", Kind::Reserved),
        ] {
            assert_eq!(forbidden(text.parse().expect("an address")), Some(kind), "{text}");
        }
    }

    #[test]
    fn what_is_the_publics_is_let_through() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "149.154.167.51",
            "168.63.129.17",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "223.255.255.255",
            "2001:67c:4e8:f002::a",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a01:4f8::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "2a01:4f8::5efe:101:101",
            "3fff:1000::1",
        ] {
            assert_eq!(forbidden(text.parse().expect("an address")), None, "{text}");
        }
    }
}
