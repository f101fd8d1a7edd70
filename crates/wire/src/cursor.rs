//! Bytes, read one field after another: big-endian, each list and text bounded.

use std::net::{IpAddr, Ipv6Addr};

/// What is left of them.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next `length` bytes; `None` where fewer are left.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A byte that is 0 or 1.
    pub fn flag(&mut self) -> Option<bool> {
        self.byte().filter(|byte| *byte <= 1).map(|byte| byte == 1)
    }
}

/// A list of at most `most` things, its length before it in two bytes.
pub fn list<'a, T>(
    from: &mut Cursor<'a>,
    most: usize,
    mut one: impl FnMut(&mut Cursor<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = usize::from(from.short()?);
    if count > most {
        return None;
    }
    (0..count).map(|_| one(from)).collect()
}

/// As [`list`] reads it. What is beyond `most` is left out.
pub fn write_list<T>(
    out: &mut Vec<u8>,
    all: &[T],
    most: usize,
    mut one: impl FnMut(&T, &mut Vec<u8>),
) {
    let all = &all[..all.len().min(most).min(usize::from(u16::MAX))];
    out.extend(u16::try_from(all.len()).unwrap_or(0).to_be_bytes());
    all.iter().for_each(|each| one(each, out));
}

/// Text of at most `most` bytes without control characters, its length before it in two bytes.
pub fn text(from: &mut Cursor<'_>, most: usize) -> Option<String> {
    let length = usize::from(from.short()?);
    let bytes = from.take(length)?;
    let text = std::str::from_utf8(bytes).ok()?;
    (length <= most && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// As [`text`] reads it: what it would refuse is left out.
pub fn write_text(out: &mut Vec<u8>, text: &str, most: usize) {
    let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
    while text.len() > most {
        text.pop();
    }
    out.extend(u16::try_from(text.len()).unwrap_or(0).to_be_bytes());
    out.extend(text.as_bytes());
}

/// 16 bytes, IPv4 as `::ffff:a.b.c.d` (RFC 4291).
pub fn write_ip(ip: &IpAddr, out: &mut Vec<u8>) {
    let six = match ip {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => *six,
    };
    out.extend(six.octets());
}

/// As [`write_ip`] writes it.
pub fn ip(from: &mut Cursor<'_>) -> Option<IpAddr> {
    Some(Ipv6Addr::from(from.array::<16>()?).to_canonical())
}
