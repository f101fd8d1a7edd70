//! `MaxMind`'s format, as GeoLite2-ASN has it and others that are made like it.

use std::io::Read;
use std::net::IpAddr;

use maxminddb::{MaxMindDbError, PathElement, Reader};

use super::{BadNetworks, LONGEST};

pub(super) struct Table(Reader<Vec<u8>>);

/// Where the number stands in a record.
const NUMBER: [PathElement<'_>; 1] = [PathElement::Key("autonomous_system_number")];
/// In how many records at most a number is looked for: others have cities or countries.
const LOOKED_AT: usize = 1_000;

impl Table {
    pub(super) fn read(file: impl Read) -> Result<Self, BadNetworks> {
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        let bad = |error: MaxMindDbError| BadNetworks::BadMmdb(error.to_string());
        let reader = Reader::from_source(bytes).map_err(bad)?;
        let mut records = reader.networks(maxminddb::WithinOptions::default()).map_err(bad)?;
        let has_number = records.by_ref().take(LOOKED_AT).any(|record| {
            record.is_ok_and(|record| matches!(record.decode_path::<u32>(&NUMBER), Ok(Some(_))))
        });
        drop(records);
        if !has_number {
            return Err(BadNetworks::BadMmdb("it has other things".to_owned()));
        }
        Ok(Self(reader))
    }

    pub(super) fn of(&self, address: IpAddr) -> Option<u32> {
        self.0.lookup(address).ok()?.decode_path(&NUMBER).ok()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).expect("short");
        // Longer than 28 bytes: one more byte has the rest.
        let head = if length < 29 { vec![0x40 | length] } else { vec![0x40 | 29, length - 29] };
        [&head, text.as_bytes()].concat()
    }

    fn pair(key: &str, value: &[u8]) -> Vec<u8> {
        [&text(key), value].concat()
    }

    /// One network: the lower half of all IPv4 addresses. See MaxMind DB's specification, 2.0.
    fn file(field: &str) -> Vec<u8> {
        let node = [0, 0, 17, 0, 0, 1];
        let record = [&[0xe1][..], &pair(field, &[0xc2, 0x23, 0xee])].concat();
        let metadata = [
            &[0xe9][..],
            &pair("node_count", &[0xc1, 1]),
            &pair("record_size", &[0xa1, 24]),
            &pair("ip_version", &[0xa1, 4]),
            &pair("database_type", &text("Test-ASN")),
            &pair("languages", &[0x00, 0x04]),
            &pair("binary_format_major_version", &[0xa1, 2]),
            &pair("binary_format_minor_version", &[0xa1, 0]),
            &pair("build_epoch", &[0x01, 0x02, 1]),
            &pair("description", &[0xe0]),
        ]
        .concat();
        [&node[..], &[0; 16], &record, b"\xab\xcd\xefMaxMind.com", &metadata].concat()
    }

    #[test]
    fn an_address_is_of_the_network_that_the_file_says() {
        let table = Table::read(&file("autonomous_system_number")[..]).expect("a table");
        assert_eq!(table.of([92, 46, 7, 7].into()), Some(9198));
        assert_eq!(table.of([192, 0, 2, 1].into()), None);
        assert_eq!(table.of("2a00:5da0::1".parse().expect("an address")), None);
    }

    #[test]
    fn a_file_of_something_else_is_an_error() {
        for wrong in [file("geoname_id"), file("autonomous_system_number")[..60].to_vec(), vec![]] {
            assert!(matches!(Table::read(&wrong[..]), Err(BadNetworks::BadMmdb(_))));
        }
    }
}
