//! What a provider's people send to somebody abroad, counted port by port by the border's kernel.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::network::Network;

/// Counts what goes to one address, before a gate or a censor takes any of it.
#[derive(Clone, Debug)]
pub struct Meter {
    border: Network,
    table: String,
}

impl Meter {
    /// The sets are full from the beginning. One that grows while packets come loses some of them.
    pub(super) fn on(border: &Network, address: IpAddr) -> Result<Self> {
        let word = |byte: char| if byte.is_ascii_alphanumeric() { byte } else { '_' };
        let table: String = format!("meter {address}").chars().map(word).collect();
        let (family, kind) =
            if address.is_ipv4() { ("ip", "ipv4_addr") } else { ("ip6", "ipv6_addr") };
        let mut ports = String::new();
        for port in 0..=u16::MAX {
            let _ = write!(ports, "{address} . {port},");
        }
        let set =
            format!("type {kind} . inet_service; size 65536; counter; elements = {{ {ports} }}");
        border.router().nft(&format!(
            "table inet {table}
            delete table inet {table}
            table inet {table} {{
              set syns {{ {set}\n}}
              set datagrams {{ {set}\n}}
              chain prerouting {{
                type filter hook prerouting priority -300;
                iifname {{ \"eth0\", \"border-out\", \"border-in\" }} return
                tcp flags & (syn | ack) == syn {family} daddr . tcp dport @syns
                {family} daddr . udp dport @datagrams
              }}
            }}\n"
        ))?;
        Ok(Self { border: border.clone(), table })
    }

    /// How many first packets of TCP connections went to which port, those among them that a kernel
    /// sent again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn syns(&self) -> Result<BTreeMap<u16, u64>> {
        self.read("syns")
    }

    /// How many datagrams went to which port.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn datagrams(&self) -> Result<BTreeMap<u16, u64>> {
        self.read("datagrams")
    }

    /// nft prints `{"nftables": [.., {"set": {"elem": [{"elem": {"val": {"concat": [address, port]},
    /// "counter": {"packets": count}}}]}}]}`.
    fn read(&self, set: &str) -> Result<BTreeMap<u16, u64>> {
        let said = self.border.router().nft_list(&format!("set inet {} {set}", self.table))?;
        let bad = || Error::Unexpected("nft printed a set that cannot be read".to_owned());
        let json: Value = serde_json::from_str(&said).map_err(|_| bad())?;
        let parts = json["nftables"].as_array().ok_or_else(bad)?;
        let elements = parts.iter().filter_map(|part| part["set"]["elem"].as_array()).flatten();
        let count = |element: &Value| {
            let element = &element["elem"];
            let port = u16::try_from(element["val"]["concat"][1].as_u64()?).ok()?;
            Some((port, element["counter"]["packets"].as_u64()?))
        };
        let counts = elements.map(|element| count(element).ok_or_else(bad));
        counts.filter(|count| !matches!(count, Ok((_, 0)))).collect()
    }
}
