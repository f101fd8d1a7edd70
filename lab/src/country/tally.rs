//! What left a provider's network, counted by its kernel before any rule.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::node::Node;

/// Counts by address and port. `eth0` leads abroad.
pub(super) const RULES: &str = r#"
table inet tally {
  set tcp4 { type ipv4_addr . inet_service; size 1048576; flags dynamic; }
  set udp4 { type ipv4_addr . inet_service; size 1048576; flags dynamic; }
  set tcp6 { type ipv6_addr . inet_service; size 1048576; flags dynamic; }
  set udp6 { type ipv6_addr . inet_service; size 1048576; flags dynamic; }
  chain prerouting {
    type filter hook prerouting priority -300;
    iifname { "eth0", "lo" } return
    meta nfproto ipv4 tcp flags & (syn | ack) == syn add @tcp4 { ip daddr . tcp dport counter }
    meta nfproto ipv4 meta l4proto udp add @udp4 { ip daddr . udp dport counter }
    meta nfproto ipv6 tcp flags & (syn | ack) == syn add @tcp6 { ip6 daddr . tcp dport counter }
    meta nfproto ipv6 meta l4proto udp add @udp6 { ip6 daddr . udp dport counter }
  }
}
"#;

/// What people of a provider sent, by where to.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// First packets of TCP connections, with what the kernel sent again.
    pub syns: HashMap<SocketAddr, u64>,
    /// Datagrams.
    pub datagrams: HashMap<SocketAddr, u64>,
}

impl Tally {
    pub(super) fn of(node: &Node) -> Result<Self> {
        let read = |sets: [&str; 2]| -> Result<_> {
            let mut all = HashMap::new();
            for set in sets {
                counters(&node.nft_list(&format!("set inet tally {set}"))?, &mut all)?;
            }
            Ok(all)
        };
        Ok(Self { syns: read(["tcp4", "tcp6"])?, datagrams: read(["udp4", "udp6"])? })
    }
}

/// Reads `{"nftables": [.., {"set": {"elem": [{"elem": {"val": {"concat": [address, port]}, "counter":
/// {"packets": count}}}]}}]}`.
fn counters(said: &str, all: &mut HashMap<SocketAddr, u64>) -> Result {
    let bad = || Error::Unexpected("nft printed a set that cannot be read".to_owned());
    let json: Value = serde_json::from_str(said).map_err(|_| bad())?;
    let parts = json["nftables"].as_array().ok_or_else(bad)?;
    let elements = parts.iter().filter_map(|part| part["set"]["elem"].as_array()).flatten();
    for element in elements {
        let element = &element["elem"];
        let [address, port] = [0, 1].map(|place| &element["val"]["concat"][place]);
        let address: IpAddr =
            address.as_str().and_then(|text| text.parse().ok()).ok_or_else(bad)?;
        let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).ok_or_else(bad)?;
        let count = element["counter"]["packets"].as_u64().ok_or_else(bad)?;
        all.insert((address, port).into(), count);
    }
    Ok(())
}
