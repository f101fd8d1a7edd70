//! Whose an address is: the number of the autonomous system that announces it, from a file that
//! somebody else made. Nobody is asked, so nobody learns who was here.

mod mmdb;
mod tsv;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::net::IpAddr;
use std::path::Path;

/// How long a file may be, in bytes: ten times what there is today.
const LONGEST: u64 = 256 << 20;

/// A table of networks, all of it in memory: about 11 MiB of ip2asn's combined file, or as much as a
/// file of `MaxMind`'s is long.
pub struct Networks(Table);

enum Table {
    Tsv(tsv::Table),
    Mmdb(mmdb::Table),
}

/// A table of networks cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadNetworks {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is too long.
    #[error("it is longer than {} MiB, so it is no table of networks", LONGEST >> 20)]
    TooLong,
    /// It is packed.
    #[error("it is packed; unpack it first (gunzip)")]
    Packed,
    /// A line is not as it should be.
    #[error(
        "line {0} is not what ip2asn files have: first address, last address, number, more, with tabs \
         between them"
    )]
    BadLine(usize),
    /// There is nothing in it.
    #[error("there is no network in it")]
    Empty,
    /// It is no file of `MaxMind`'s about networks.
    #[error("it is no file of MaxMind's with numbers of networks, as GeoLite2-ASN.mmdb is: {0}")]
    BadMmdb(String),
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Networks(..)")
    }
}

impl Networks {
    /// Reads a file: ip2asn's (<https://iptoasn.com>) in text, or one of `MaxMind`'s format, by its
    /// ending `.mmdb`. It takes a second or so.
    ///
    /// # Errors
    /// What is wrong with it; never the reader's fault.
    pub fn read(file: &Path) -> Result<Self, BadNetworks> {
        let is_mmdb = file.extension().is_some_and(|ending| ending == "mmdb");
        let opened = File::open(file)?;
        let length = opened.metadata()?.len();
        if length > LONGEST {
            return Err(BadNetworks::TooLong);
        }
        if is_mmdb {
            return Ok(Self(Table::Mmdb(mmdb::Table::read(opened)?)));
        }
        Ok(Self(Table::Tsv(tsv::Table::read(BufReader::new(opened))?)))
    }

    /// The number of the autonomous system that an address is of.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<u32> {
        let address = address.to_canonical();
        match &self.0 {
            Table::Tsv(table) => table.of(address),
            Table::Mmdb(table) => table.of(address),
        }
    }
}
