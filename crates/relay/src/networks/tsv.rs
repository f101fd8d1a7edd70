//! ip2asn's files: a line for each range of addresses, `first TAB last TAB number TAB ...`.

use std::io::{BufRead, Read};
use std::net::IpAddr;

use super::{BadNetworks, LONGEST};

/// Ranges by their first address, IPv4 by address and IPv6 by /64, of which nobody has less. In three
/// lists each, so that none takes room for padding.
#[derive(Default)]
pub(super) struct Table {
    v4: Ranges<u32>,
    v6: Ranges<u64>,
}

#[derive(Default)]
struct Ranges<T> {
    first: Vec<T>,
    last: Vec<T>,
    number: Vec<u32>,
}

/// How long a line may be, in bytes.
const LONGEST_LINE: u64 = 4096;
/// What packed files begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

impl Table {
    pub(super) fn read(file: impl BufRead) -> Result<Self, BadNetworks> {
        let mut table = Self::default();
        // It may grow while it is read.
        let mut file = file.take(LONGEST);
        if file.fill_buf()?.starts_with(&GZIP) {
            return Err(BadNetworks::Packed);
        }
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if (&mut file).take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            table.add(&line).ok_or(BadNetworks::BadLine(number))?;
        }
        let Self { v4, v6 } = table;
        let table = Self { v4: v4.sorted(), v6: v6.sorted() };
        if table.v4.first.is_empty() && table.v6.first.is_empty() {
            return Err(BadNetworks::Empty);
        }
        Ok(table)
    }

    fn add(&mut self, line: &[u8]) -> Option<()> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Some(());
        }
        let mut fields = line.split(|byte| *byte == b'\t').map(std::str::from_utf8);
        let (first, last) =
            (fields.next()?.ok()?.parse().ok()?, fields.next()?.ok()?.parse().ok()?);
        let number = fields.next()?.ok()?.parse().ok()?;
        if first > last {
            return None;
        }
        match (first, last) {
            // Nobody's.
            _ if number == 0 => {}
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                self.v4.add(first.to_bits(), last.to_bits(), number);
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                let half = |bits: u128| u64::try_from(bits >> 64).unwrap_or(u64::MAX);
                self.v6.add(half(first.to_bits()), half(last.to_bits()), number);
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn of(&self, address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(v4) => self.v4.of(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.of(u64::try_from(v6.to_bits() >> 64).ok()?),
        }
    }
}

impl<T: Ord + Copy> Ranges<T> {
    fn add(&mut self, first: T, last: T, number: u32) {
        self.first.push(first);
        self.last.push(last);
        self.number.push(number);
    }

    fn sorted(self) -> Self {
        if self.first.is_sorted() {
            return self;
        }
        let Self { first, last, number } = self;
        let mut all: Vec<_> = first.into_iter().zip(last).zip(number).collect();
        all.sort_unstable();
        let mut sorted =
            Self { first: Vec::new(), last: Vec::new(), number: Vec::with_capacity(all.len()) };
        all.into_iter().for_each(|((first, last), number)| sorted.add(first, last, number));
        sorted
    }

    fn of(&self, address: T) -> Option<u32> {
        let place = self.first.partition_point(|first| *first <= address).checked_sub(1)?;
        (address <= self.last[place]).then(|| self.number[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "1.0.0.0\t1.0.0.255\t13335\tUS\tCLOUDFLARENET\n\
        1.0.1.0\t1.0.3.255\t0\tNone\tNot routed\n\
        2a00:5da0::\t2a00:5da0:ffff:ffff:ffff:ffff:ffff:ffff\t9198\tKZ\tKAZTELECOM\n\
        92.46.0.0\t92.47.255.255\t9198\tKZ\tKAZTELECOM-AS é\n\
        2.132.0.0\t2.135.255.255\t9198\tKZ\tKAZTELECOM-AS\r\n";

    fn read(text: &str) -> Result<Table, BadNetworks> {
        Table::read(text.as_bytes())
    }

    #[test]
    fn an_address_is_of_the_network_in_whose_range_it_is() {
        let table = read(FILE).expect("a table");
        for (address, number) in [
            ("1.0.0.0", Some(13335)),
            ("1.0.0.255", Some(13335)),
            ("1.0.1.0", None),
            ("0.255.255.255", None),
            ("2.133.7.7", Some(9198)),
            ("92.47.255.255", Some(9198)),
            ("92.48.0.0", None),
            ("2a00:5da0:1::10", Some(9198)),
            ("2a00:5da1::", None),
            ("::1", None),
        ] {
            assert_eq!(table.of(address.parse().expect("an address")), number, "{address}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_an_error_that_names_the_line() {
        for (text, line) in [
            ("<html>", 1),
            ("\n1.0.0.0\t1.0.0.255\n", 2),
            ("1.0.0.0\t1.0.0.255\t70000000000\tUS", 1),
            ("1.0.1.0\t1.0.0.255\t1\tUS", 1),
            ("1.0.0.0\t::1\t1\tUS", 1),
            (&"1".repeat(10_000), 1),
        ] {
            assert!(matches!(read(text), Err(BadNetworks::BadLine(at)) if at == line), "{text}");
        }
        assert!(matches!(read("\n"), Err(BadNetworks::Empty)));
        assert!(matches!(Table::read(&b"\x1f\x8b\x08"[..]), Err(BadNetworks::Packed)));
    }
}
