//! What a provider's people send to somebody abroad, counted port by port by the border's kernel.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use serde_json::Value;

use crate::censor::Transport;
use crate::error::{Error, Result};
use crate::network::Network;

/// Counts what goes to ports of one address, before a gate or a censor takes any of it.
#[derive(Clone, Debug)]
pub struct Meter {
    border: Network,
    table: String,
}

impl Meter {
    /// The set is full from the beginning: one that grows while packets come loses some of them.
    pub(super) fn on(
        border: &Network,
        transport: Transport,
        address: IpAddr,
        ports: impl IntoIterator<Item = u16>,
    ) -> Result<Self> {
        let (family, kind) =
            if address.is_ipv4() { ("ip", "ipv4_addr") } else { ("ip6", "ipv6_addr") };
        let (transport, hit) = match transport {
            Transport::Tcp => ("tcp", "tcp flags & (syn | ack) == syn"),
            Transport::Udp => ("udp", ""),
        };
        let word = |byte: char| if byte.is_ascii_alphanumeric() { byte } else { '_' };
        let table: String = format!("{transport} {address}").chars().map(word).collect();
        let mut keys = String::new();
        for port in ports {
            let _ = write!(keys, "{address} . {port},");
        }
        border.router().nft(&format!(
            "table inet {table}
            delete table inet {table}
            table inet {table} {{
              set sent {{ type {kind} . inet_service; size 65536; counter; elements = {{ {keys} }}\n}}
              chain prerouting {{
                type filter hook prerouting priority -300;
                iifname {{ \"eth0\", \"border-out\", \"border-in\" }} return
                {hit} {family} daddr . {transport} dport @sent
              }}
            }}\n"
        ))?;
        Ok(Self { border: border.clone(), table })
    }

    /// How much was sent to which port, if anything: datagrams, or first packets of connections, those
    /// among them that a kernel sent again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sent(&self) -> Result<BTreeMap<u16, u64>> {
        let said = self.border.router().nft_list(&format!("set inet {} sent", self.table))?;
        let bad = || Error::Unexpected("nft printed a set that cannot be read".to_owned());
        // {"nftables": [.., {"set": {"elem": [{"elem": {"val": {"concat": [address, port]},
        // "counter": {"packets": count}}}]}}]}
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
